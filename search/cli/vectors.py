"""The command that takes vectors others have made."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, open_index

__all__ = ["import_vectors"]

_UNUSABLE_SHOWN = 10


@click.command(name="import-vectors")
@click.argument("paths", nargs=-1, required=True)
@common
@click.option("--pmids", help="The PMIDs of the rows: a JSON list, an integer .npy, or one a line.")
@click.option("--model", help="The model the vectors were made with; `medcpt` for NCBI's files.")
@click.option("--replace", is_flag=True, help="Replace vectors that articles have already.")
def import_vectors(
    paths: tuple[str, ...], folder: str | None, config_file: Path | None, pmids: str | None, model: str | None,
    replace: bool,
) -> None:  # fmt: skip
    """Take published vectors instead of encoding: .npy files, or a folder of NCBI's embeds_chunk_N.npy.

    The articles come first (`search add --no-encode`); vectors of others are passed over. Nothing is written unless all
    files fit the index: the model's name, its dimension, and as many PMIDs as rows.
    """
    from search.cli.progress import RowMeter

    with open_index(config_file, folder) as index, RowMeter() as meter:
        report = index.import_vectors(paths, pmids=pmids, model=model, replace=replace, progress=meter.update)
    fates = ", ".join(f"{number:,} {fate}" for fate, number in sorted(report.counts.items())) or "nothing"
    click.echo(f"{report.read:,} vectors read: {fates}", err=True)
    if report.unusable:
        shown = ", ".join(map(str, report.unusable[:_UNUSABLE_SHOWN]))
        more = len(report.unusable) - _UNUSABLE_SHOWN
        click.echo(f"zero or not finite, PMID {shown}" + (f" and {more:,} more" if more > 0 else ""), err=True)
    if report.counts["imported"] == 0 and report.counts["not in the index"] == report.read:
        click.echo("none of them is of an article in the index: add the articles first (`search add`)", err=True)
