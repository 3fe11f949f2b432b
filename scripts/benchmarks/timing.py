"""Timing in turn: A B A B ..., so that a machine that slows down slows both."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["CLOCKS", "data_folder", "in_turn", "quantiles", "ratio", "report"]

#: Seconds that pass, and seconds that the processor works for this process, divided by its cores: the second hardly
#: change where other programs are at work.
CLOCKS: dict[str, Callable[[], float]] = {
    "passed": time.perf_counter,
    "processor": lambda: time.process_time() / len(os.sched_getaffinity(0)),
}


def in_turn(candidates: dict[str, Callable[[], Any]], runs: int, clock: str = "passed") -> dict[str, list[float]]:
    """Return the seconds of each run of each candidate, run in turn after one warm-up each."""
    now = CLOCKS[clock]
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(runs):
        for name, run in candidates.items():
            begun = now()
            run()
            seconds[name].append(now() - begun)
    return seconds


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return {f"p{q}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)] * 1000, 2) for q in (50, 95, 99)}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Return how many times faster the second is, run by run: median, least and most."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return {
        "median": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
    }


def report(name: str, figures: dict[str, Any]) -> None:
    """Print figures as JSON, and write them to the file that `--json FILE` names."""
    text = json.dumps({"benchmark": name, **figures}, indent=2)
    print(text)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(text + "\n")


def data_folder() -> Path:
    """Return the folder of real records; exits with a message where there is none."""
    folder = Path(os.environ.get("SEARCH_SHARED_DATA", "../shared/data"))
    if not folder.is_dir():
        sys.exit("the real records are not here: set SEARCH_SHARED_DATA to their folder")
    return folder
