"""`search models`: the models that have a short name, and their download."""

from __future__ import annotations

from typing import Any

import click

from search.cli.options import formats, json_option, model_named

__all__ = ["models"]


@click.group(invoke_without_command=True)
@formats("table", "json")
@click.pass_context
def models(context: click.Context, style: str) -> None:
    """List the models that have a short name, or download one.

    Any other model is named by its folder or its hub name.

    NFCorpus, SciFact and TREC-COVID are published nDCG@10 x 100, PubMed QA is a published Pearson correlation x 100;
    docs/models.md says by whom. The rate is of documents of the last large job on this machine.
    """
    if context.invoked_subcommand is not None:
        return
    from search.cli.output import print_json
    from search.models.presets import PRESETS, RERANKERS

    rows = [_row(name) for name in PRESETS]
    if style == "json":
        print_json({"models": rows, "rerankers": RERANKERS}, indent=2)
        return
    _print_table(rows)
    click.echo("\nFor `rerank`: " + ", ".join(f"{name} ({hub})" for name, hub in RERANKERS.items()))


@models.command()
@click.argument("name")
@json_option
def download(name: str, as_json: bool) -> None:
    """Download a model and compile it, to work with no network from then on."""
    from search.cli.output import print_json
    from search.models import load_encoder

    encoder = load_encoder(model_named(name) or name)
    if as_json:
        names = ("name", "revision", "dimension", "backend", "notes")
        print_json({key: getattr(encoder, key) for key in names}, indent=2)
        return
    for note in encoder.notes:
        click.echo(f"note: {note}", err=True)
    where = f", revision {encoder.revision}" if encoder.revision else ""
    click.echo(f"{encoder.name}: {encoder.dimension} dimensions, runs on {encoder.backend}{where}", err=True)


def _row(name: str) -> dict[str, Any]:
    from search.errors import ModelError
    from search.models import Encoder
    from search.models.precision import recall_speed
    from search.models.presets import PRESETS, local_folder

    preset = PRESETS[name]
    is_here = local_folder(preset) is not None
    speed = None
    if is_here:
        try:
            speed = recall_speed(Encoder(name).fingerprint)
        except ModelError:
            is_here = False
    scores = dict(zip(("nfcorpus", "scifact", "trec_covid", "pubmed_qa"), preset.scores, strict=True))
    return {
        "name": name,
        "hub": preset.document,
        "parameters": preset.parameters,
        "dimensions": preset.dimensions,
        "licence": preset.licence,
        "languages": preset.languages,
        "needs": preset.needs,
        **scores,
        "here": is_here,
        "documents_per_second": speed,
        "tried_with": preset.tried,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    heads = ("name", "M", "dim", "licence", "languages", "needs", "NFC", "SciF", "COVID", "QA", "here", "docs/s")
    for head in heads:
        table.add_column(head, justify="left" if head in ("name", "licence", "languages", "needs", "here") else "right")
    for row in rows:
        rate = row["documents_per_second"]
        values = [f"{row['parameters']:g}", row["dimensions"], row["licence"], row["languages"], row["needs"]]
        scores = [row[key] for key in ("nfcorpus", "scifact", "trec_covid", "pubmed_qa")]
        here = ["yes" if row["here"] else "", "" if rate is None else f"{rate:.1f}"]
        table.add_row(row["name"], *("" if value is None else str(value) for value in [*values, *scores, *here]))
    # A pipe has no width.
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)
