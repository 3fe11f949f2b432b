"""The plots of docs/benchmarks, from the JSON files that the measurements wrote there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws

#: The same file for the same figures: no dates, no numbers by chance.
plt.rcParams.update({"svg.hashsalt": "benchmarks", "figure.figsize": (7, 4.5), "axes.grid": True})


def main() -> None:
    """Draw whatever there are figures for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/benchmarks"))
    folder = parser.parse_args().folder
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for figures in found:
        by_name.setdefault(figures["benchmark"], []).append(figures)
    for figures in by_name.get("kinds", []):
        recall_against_latency(figures, folder / f"recall-{figures['vectors']}.svg")
    for figures in by_name.get("compare", []):
        compared(figures, folder / f"compare-{figures['vectors']}.svg")
    for figures in by_name.get("neighbours", []):
        neighbours(figures, folder / "neighbours.svg")
    sizes = sorted(by_name.get("scale", []), key=lambda figures: figures["vectors"])
    if sizes:
        against_size(sizes, folder / "size.svg")


def recall_against_latency(figures: dict[str, Any], path: Path) -> None:
    """Draw a line for each kind of index, with 200 candidates."""
    axes = plt.subplots()[1]
    for kind, measured in figures.items():
        if isinstance(measured, dict) and "search" in measured:
            rows = [row for row in measured["search"] if row["candidates"] == 200]
            axes.plot([row["p50_ms"] for row in rows], [row["recall@10"] for row in rows], marker="o", label=kind)
    axes.set(xscale="log", xlabel="p50 of one question, ms (candidates only)", ylabel="recall@10 of 200 candidates")
    axes.set_title(f"{figures['vectors']:,} vectors")
    _save(axes, path)


def neighbours(figures: dict[str, Any], path: Path) -> None:
    """Draw how near the neighbours of real questions are, among real vectors and among made ones."""
    axes = plt.subplots()[1]
    for name, style in (("real", "o-"), ("made", "x--")):
        curve = figures["median_cosine"][name]
        for which in ("nearest", "10th", "100th"):
            axes.plot(
                [int(n) for n in curve], [cosines[which] for cosines in curve.values()], style, label=f"{name}, {which}"
            )
    axes.set(xscale="log", xlabel="vectors", ylabel="median cosine to the question")
    _save(axes, path)


def against_size(sizes: list[dict[str, Any]], path: Path) -> None:
    """Draw memory, building time and latency against the number of vectors."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4))
    count = [figures["vectors"] for figures in sizes]
    left.plot(count, [sum(figures["ask"]["resident_mb"].values()) for figures in sizes], "o-", label="searching")
    left.plot(count, [figures["build"]["peak_memory_mb"] for figures in sizes], "s-", label="building, at the most")
    middle.plot(count, [figures["build"]["build_s"] for figures in sizes], "o-", label="building")
    # Asked again, with the files in the system's cache: the first time begins from disk.
    asked = [figures.get("ask again", figures["ask"]) for figures in sizes]
    for name, mark in (("all", "o-"), ("the best 100", "s-"), ("every 20th", "x-")):
        label = "the best 10" if name == "all" else f"{name} pass" if name.startswith("every") else name
        right.plot(count, [found[name]["of the processor"]["p50_ms"] for found in asked], mark, label=label)
    left.set(xscale="log", yscale="log", xlabel="vectors", ylabel="MB")
    middle.set(xscale="log", yscale="log", xlabel="vectors", ylabel="seconds")
    right.set(xscale="log", yscale="log", xlabel="vectors", ylabel="p50 of one question, ms of the processor")
    middle.legend()
    right.legend()
    _save(left, path)
    plt.close(figure)


def compared(figures: dict[str, Any], path: Path) -> None:
    """Draw recall against latency, and building against memory, of the indexes that were compared."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5))
    for name, measured in figures["indexes"].items():
        left.plot(measured["p50_ms"], measured["recall@10"], "o", label=name)
        right.plot(measured["memory_mb"], measured["build_processor_s"], "o", label=name)
    left.set(xscale="log", xlabel="p50 of one question, ms", ylabel="recall@10")
    left.set_title(f"{figures['vectors']:,} vectors")
    right.set(xscale="log", yscale="log", xlabel="memory, MB", ylabel="building, seconds of the processor")
    _save(left, path)
    plt.close(figure)


def _save(axes: Any, path: Path) -> None:
    axes.legend()
    axes.figure.tight_layout()
    axes.figure.savefig(path, metadata={"Date": None})
    print(path)


if __name__ == "__main__":
    main()
