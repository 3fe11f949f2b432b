"""Commands that make a model: train pairs, train model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.cli.options import common, json_option, open_index

if TYPE_CHECKING:
    from search.training.pairs import PairsReport

__all__ = ["train"]

_Kind = TypeVar("_Kind")


@click.group()
def train() -> None:
    """Make a model: mine pairs from an index, fine-tune a base on them."""


@train.command()
@common
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file, e.g. pairs.jsonl.gz.")
@click.option("--sample", default="250,000", show_default=True, help="How many articles, or `all`.")
@click.option(
    "--kinds", default="title-abstract,similar-title", show_default=True, help="Kinds of pairs, separated by commas."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Another seed, another sample.",
)
@json_option
def pairs(
    folder: str | None, config_file: Path | None, output: Path, sample: str, kinds: str, seed: int, as_json: bool
) -> None:
    """Mine pairs of texts from the articles of an index.

    The kinds are (title, abstract) and (title, similar title).
    """
    from search.cli.output import print_json
    from search.training.pairs import mine_pairs

    digits = sample.replace(",", "")
    if sample != "all" and not (digits.isdecimal() and int(digits) > 0):
        raise click.BadParameter(f"{sample!r} is not a number of articles; give one, or `all`", param_hint="--sample")
    with open_index(config_file, folder) as index:
        report = mine_pairs(
            index.articles(), output, seed=seed, sample=None if sample == "all" else int(digits), kinds=kinds.split(",")
        )
    print_json(report, indent=2) if as_json else _print_pairs(report)


def _print_pairs(report: PairsReport) -> None:
    from search.cli.screen import plain

    click.echo(f"{report.articles:,} articles read, {report.sampled:,} sampled, {report.total:,} pairs", err=True)
    for kind, count in report.pairs.items():
        first, second = report.lengths[kind]
        click.echo(f"  {kind}: {count:,} pairs of {first:.0f} and {second:.0f} words, e.g.", err=True)
        for example in report.examples.get(kind, [])[:1]:
            click.echo(plain(f"    {example.anchor}\n    {example.positive[:160]}"), err=True)
    for reason, count in report.left_out.items():
        click.echo(f"  left out: {count:,} {reason}", err=True)


@train.command()
@click.option("--pairs", "pairs_file", type=click.Path(path_type=Path), required=True, help="What `train pairs` wrote.")
@click.option("--base", required=True, help="The model to start from: builtin, a preset, a folder or a hub name.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the new model.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A parameter, e.g. learning_rate=1e-5.")
@click.option("--licence", help="The licence for the model card, e.g. apache-2.0 [default: that of the base].")
@json_option
def model(
    pairs_file: Path,
    base: str,
    output: Path,
    resume: bool,
    values: tuple[str, ...],
    licence: str | None,
    as_json: bool,
) -> None:
    """Fine-tune a base on pairs with the recipe of the reference model.

    Parameters and their defaults are in docs/training.md.
    """
    _require_packages()
    from search.training.finetune import train_model
    from search.training.parameters import TrainingParameters

    report = train_model(
        pairs_file,
        base,
        output,
        parameters=_converted(values, TrainingParameters),
        resume=resume,
        licence=licence,
        progress=_print_progress,
    )
    if as_json:
        from search.cli.output import print_json

        print_json(report, indent=2)
        return
    click.echo(
        f"{report.output}: {report.steps:,} steps on {report.pairs:,} pairs in {report.seconds:,.0f} s; Pearson x100 "
        f"on {report.held_out:,} held-out pairs {report.score_before:.2f} before, {report.score_after:.2f} after",
        err=True,
    )


@train.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A folder of the training texts.")
@click.option("--index", "folder", type=click.Path(path_type=Path), required=True, help="An index made by the base.")
@click.option("--base", default="minilm", show_default=True, help="The model to start from.")
@click.option(
    "--teacher",
    "teachers",
    type=(str, click.Path(path_type=Path)),
    multiple=True,
    metavar="MODEL INDEX",
    help="Another model that teaches, and an index of the same records made by it.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the new model.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A parameter, e.g. steps=400.")
def hybrid(
    data: Path,
    folder: Path,
    base: str,
    teachers: tuple[tuple[str, Path], ...],
    output: Path,
    resume: bool,
    values: tuple[str, ...],
) -> None:
    """Teach a small model what BM25 adds to its own ranking.

    What the data folder holds, and the parameters, are in docs/training.md.
    """
    _require_packages()
    from search.models.presets import resolve_model
    from search.training.hybrid import HybridParameters
    from search.training.recipe import teach_hybrid

    def report(step: int, losses: dict[str, float]) -> None:
        parts = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        click.echo(f"step {step:,}: {parts}", err=True)

    parameters = _converted(values, HybridParameters)
    teach_hybrid(
        data,
        folder,
        resolve_model(base).document,
        output,
        teachers=[(resolve_model(name).document, index) for name, index in teachers],
        parameters=parameters,
        resume=resume,
        progress=report,
    )


@train.command()
@click.argument("trained", type=click.Path(path_type=Path))
@click.option("--base", default="minilm", show_default=True, help="The model that it was trained from.")
@click.option("--share", type=click.FloatRange(0, 1), required=True, help="The part of the trained weights.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the new model.")
def mix(trained: Path, base: str, share: float, output: Path) -> None:
    """Mix the weights of a trained model with those of its base."""
    _require_packages()
    from search.models.presets import resolve_model
    from search.training.saved_model import mix_models

    mix_models(resolve_model(base).document, resolve_model(trained).document, output, share)
    click.echo(f"{output}: {share:.0%} of {trained}, {1 - share:.0%} of {base}", err=True)


def _require_packages() -> None:
    from search.extras import require

    require("train", "training", "torch", "sentence_transformers", "datasets", "accelerate", "scipy")


def _converted(values: tuple[str, ...], kind: type[_Kind]) -> _Kind:
    """Return parameters of a kind, made of NAME=VALUE texts; others keep their defaults."""
    import msgspec

    from search.errors import TrainingError

    given = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes NAME=VALUE, not {value!r}")
        given[name.strip()] = text.strip()
    unknown = sorted(set(given) - set(kind.__dataclass_fields__))  # type: ignore[attr-defined]
    if unknown:
        raise TrainingError(f"no such training parameter: {', '.join(unknown)}")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise TrainingError(str(error)) from error


def _print_progress(progress: Any) -> None:
    loss = f", loss {progress.loss:.4f}" if progress.loss is not None else ""
    score = f", Pearson {progress.score:.2f}" if progress.score is not None else ""
    left = f", {progress.seconds_left / 60:,.0f} min left"
    click.echo(f"step {progress.step:,} of {progress.steps:,}{loss}{score}{left}", err=True)


@train.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder of the weights.")
@json_option
def roles(files: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Teach which sentences of an abstract are aim, methods or results.

    FILES hold structured abstracts: PubMed QA's JSON, a BEIR corpus.jsonl, or what `search add` reads.
    """
    from search.cli.output import print_json
    from search.training.role_classifier import read_abstracts, report_lines, train_roles

    report = train_roles(read_abstracts(files), output, lambda line: click.echo(line, err=True))
    if as_json:
        print_json(report, indent=2)
    else:
        click.echo("\n".join(report_lines(report)))
