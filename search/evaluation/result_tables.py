"""Show results as a table, JSON, Markdown or a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from search.errors import EvaluationError
from search.evaluation.pair_correlation import PAIR_SETS, PUBLISHED, PairScores
from search.evaluation.retrieval import MEASURES, Comparison, RetrievalResult

__all__ = ["comparison_text", "index_text", "pairs_table", "plot_results", "render", "retrieval_table", "to_json"]

Table = tuple[list[str], list[list[str]]]


def pairs_table(scores: Sequence[PairScores]) -> Table:
    """Return head and rows: a model a row, a set a column, Pearson x100, with the published figures beneath."""
    sets = list(dict.fromkeys(score.pair_set for score in scores))
    titles = [PAIR_SETS[name].title if name in PAIR_SETS else name for name in sets]
    rows: list[list[str]] = []
    for model in dict.fromkeys(score.model for score in scores):
        by_set = {score.pair_set: score for score in scores if score.model == model}
        cells = [_pair_cell(by_set.get(name)) for name in sets]
        rows.append([model, *cells, _average([by_set[name].pearson for name in sets if name in by_set], len(sets))])
    for model, figures in PUBLISHED.items():
        known = [figures[name] for name in sets if name in figures]
        cells = [f"{figures[name]:.2f}" if name in figures else "" for name in sets]
        rows.append([f"{model} (published)", *cells, _average(known, len(sets))])
    return ["model", *titles, "average"], rows


def _pair_cell(score: PairScores | None) -> str:
    return f"{score.pearson:.2f} ± {score.pearson_spread:.2f}" if score is not None else ""


def _average(values: Sequence[float], expected: int) -> str:
    """Return the mean, or nothing where a set is missing: averages of different sets do not compare."""
    return f"{sum(values) / len(values):.2f}" if values and len(values) == expected else ""


def retrieval_table(results: Sequence[RetrievalResult]) -> Table:
    """Return head and rows: a result a row, nDCG@10 with its 95 % interval, the other measures as means."""
    rows = []
    for result in results:
        best = result.intervals["nDCG@10"]
        others = [f"{result.mean(name):.3f}" for name in MEASURES if name != "nDCG@10"]
        ndcg = f"{best.mean:.3f} [{best.low:.3f}, {best.high:.3f}]"
        rows.append(
            [result.model, f"{result.collection} {result.split}", result.mode, str(result.queries), ndcg, *others]
        )
    return ["model", "collection", "mode", "questions", *MEASURES], rows


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison as one sentence."""
    return (
        f"{comparison.measure} of {comparison.first} less that of {comparison.second}: {comparison.difference:+.4f} "
        f"(p = {comparison.p_value:.4f}; better on {comparison.wins} questions, worse on {comparison.losses}, "
        f"equal on {comparison.ties})"
    )


def index_text(results: Sequence[PairScores | RetrievalResult]) -> str:
    """Return a line for each result whose index was compared with exact search."""
    lines = []
    for result in results:
        if result.index is not None:
            name = result.pair_set if isinstance(result, PairScores) else f"{result.collection} {result.split}"
            lines.append(
                f"index ({result.index.kind}) of {name} by {result.model}: it finds {result.index.recall:.4f} of the "
                f"exact {result.index.k} nearest"
            )
    return "\n".join(lines)


def render(table: Table, form: str = "table") -> str:
    """Return head and rows as text: aligned columns, or a Markdown table."""
    head, rows = table
    if form == "markdown":
        lines = [head, ["---"] * len(head), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def to_json(results: Sequence[PairScores | RetrievalResult | Comparison]) -> str:
    """Return results in full as JSON, but for the rankings."""
    rows = [asdict(result) for result in results]
    for row in rows:
        row.pop("run", None)
    return json.dumps(rows, ensure_ascii=False, indent=2)


def plot_results(values: Mapping[str, Mapping[str, float]], output: Path, *, measure: str = "nDCG@10") -> Path:
    """Draw models against collections as grouped bars; `values` is model -> collection -> measure.

    The file's ending chooses the format (png, svg, pdf). Raises EvaluationError without matplotlib or anything to draw.
    """
    try:
        matplotlib = import_module("matplotlib")
    except ImportError as error:
        raise EvaluationError("a plot needs matplotlib (`pip install matplotlib`); tables need nothing more") from error
    matplotlib.use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    collections = list(dict.fromkeys(name for scores in values.values() for name in scores))
    if not collections:
        raise EvaluationError("there are no results to plot")
    figure, axes = pyplot.subplots(figsize=(max(6.0, 1.6 * len(collections)), 4.0), layout="constrained")
    width = 0.8 / len(values)
    for place, (model, scores) in enumerate(values.items()):
        left = [position + (place - (len(values) - 1) / 2) * width for position in range(len(collections))]
        axes.bar(left, [scores.get(name, 0.0) for name in collections], width, label=model)
    axes.set_xticks(range(len(collections)), collections)
    axes.set_ylabel(measure)
    axes.legend()
    try:
        figure.savefig(output)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{output} cannot be written: {error}") from error
    finally:
        pyplot.close(figure)
    return output
