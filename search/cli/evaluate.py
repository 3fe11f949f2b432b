"""Commands that judge models: evaluate pairs, evaluate retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import formats

if TYPE_CHECKING:
    from search.evaluation.retrieval import RetrievalResult

__all__ = ["evaluate"]

format_option = formats("table", "markdown", "json")
models_option = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="builtin, a preset, a folder or a hub name; repeatable. MODEL@int8 computes it in that precision.",
)


@click.group()
def evaluate() -> None:
    """Judge models by true and shuffled pairs, and by retrieval."""


@evaluate.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@models_option
@click.option(
    "--set",
    "names",
    multiple=True,
    type=click.Choice(["pubmedqa", "subset", "subset-zxvix", "summary"]),
    help="Which published set each file is, in order; without files, which to fetch from the hub [default: pubmedqa].",
)
@click.option("--shuffles", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@format_option
def pairs(
    files: tuple[Path, ...],
    models: tuple[str, ...],
    names: tuple[str, ...],
    shuffles: int,
    seed: int,
    style: str,
) -> None:
    """Correlate cosines with true (1) and shuffled (0) pairs: Pearson x100.

    The published figures stand beside it.
    """
    from search.evaluation import result_tables
    from search.evaluation.pair_correlation import evaluate_pairs, load_pair_set
    from search.evaluation.published_sets import fetch_pair_set

    set_names = names or ("pubmedqa",) * max(1, len(files))
    if files and len(set_names) != len(files):
        raise click.UsageError("give --set once for each file")
    sources: Sequence[Path | list[Path]] = files or [fetch_pair_set(name) for name in set_names]
    # Rows of one's own file can be put right; those of a fetched one cannot.
    sets = [load_pair_set(source, name, skip_empty=not files) for source, name in zip(sources, set_names, strict=True)]
    for pair_set in sets:
        if pair_set.skipped:
            click.echo(f"{pair_set.name}: {pair_set.skipped:,} rows with an empty text are left out", err=True)
    scores = [
        evaluate_pairs(encode, pair_set, model=name, shuffles=shuffles, seed=seed)
        for name, encode in _encoders(models)
        for pair_set in sets
    ]
    if style == "json":
        click.echo(result_tables.to_json(scores))
    else:
        click.echo(result_tables.render(result_tables.pairs_table(scores), style))
        click.echo(result_tables.index_text(scores))


@evaluate.command()
@click.option(
    "--collection",
    "folders",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A folder in BEIR's layout; repeatable.",
)
@models_option
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(["semantic", "lexical", "hybrid"]),
    help="How to rank; repeatable [default: all three].",
)
@click.option("--split", help="Which qrels [default: test, else dev].")
@click.option("--no-feedback", is_flag=True, help="Rank by the questions alone, without their first answers.")
@click.option("--compare", nargs=2, metavar="A B", help="Compare two models question by question (paired test).")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw models against collections into a PNG file.")
@format_option
def retrieval(
    folders: tuple[Path, ...],
    models: tuple[str, ...],
    modes: tuple[str, ...],
    split: str | None,
    no_feedback: bool,
    compare: tuple[str, str] | None,
    plot: Path | None,
    style: str,
) -> None:
    """Judge rankings of a collection by nDCG@10, recall@100, MRR and P@10."""
    from search.evaluation import result_tables
    from search.evaluation.collection import load_collection
    from search.evaluation.retrieval import MODES, evaluate_retrieval

    named = tuple(dict.fromkeys((*models, *(compare or ()))))
    results: list[RetrievalResult] = []
    for name, encode in _encoders(named):
        for folder in folders:
            collection = load_collection(folder, split)
            results += evaluate_retrieval(
                collection, encode, model=name, modes=modes or MODES, feedback=not no_feedback
            )
    comparisons = _comparisons(results, compare) if compare else []
    if plot is not None:
        result_tables.plot_results(_values(results), plot)
    if style == "json":
        click.echo(result_tables.to_json([*results, *comparisons]))
        return
    click.echo(result_tables.render(result_tables.retrieval_table(results), style))
    click.echo(result_tables.index_text(results))
    for comparison in comparisons:
        click.echo(result_tables.comparison_text(comparison))


def _encoders(names: Sequence[str]) -> list[tuple[str, Callable[..., Any]]]:
    from search.models import PRECISIONS, load_encoder

    encoders = []
    for name in names or ("builtin",):
        model, _, precision = name.rpartition("@")
        if not model or precision not in PRECISIONS:
            model, precision = name, "auto"
        encoders.append((name, load_encoder(model, precision=precision).encode))
    return encoders


def _comparisons(results: list[RetrievalResult], names: tuple[str, str]) -> list[Any]:
    from search.evaluation.retrieval import compare

    keyed = {(result.model, result.collection, result.mode): result for result in results}
    return [
        compare(keyed[names[0], collection, mode], keyed[names[1], collection, mode])
        for model, collection, mode in keyed
        if model == names[0] and (names[1], collection, mode) in keyed
    ]


def _values(results: list[RetrievalResult]) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for result in results:
        values.setdefault(f"{result.model} {result.mode}", {})[result.collection] = result.mean("nDCG@10")
    return values
