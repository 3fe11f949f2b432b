"""Import published vectors: import-vectors."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, json_option, open_index

__all__ = ["import_vectors"]

_UNUSABLE_SHOWN = 10


@click.command(name="import-vectors")
@click.argument("paths", nargs=-1, required=True)
@common
@click.option("--pmids", help="The PMIDs of the rows: a JSON list, an integer .npy, or one per line.")
@click.option("--model", help="The model the vectors were made with; `medcpt` for NCBI's files.")
@click.option("--replace", is_flag=True, help="Replace the vectors that articles already have.")
@json_option
def import_vectors(
    paths: tuple[str, ...], folder: str | None, config_file: Path | None, pmids: str | None, model: str | None,
    replace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Import published vectors instead of encoding.

    Give .npy files, or a folder of NCBI's embeds_chunk_N.npy.

    Add the articles first (`search add --no-encode`); vectors of other articles are skipped. Nothing is written unless
    every file fits the index: the model's name, its dimension, and as many PMIDs as rows.
    """
    from search.cli.output import print_json
    from search.cli.progress import RowMeter

    with open_index(config_file, folder) as index, RowMeter() as meter:
        report = index.import_vectors(paths, pmids=pmids, model=model, replace=replace, progress=meter.update)
    if as_json:
        print_json(report, indent=2)
        return
    fates = ", ".join(f"{number:,} {fate}" for fate, number in sorted(report.counts.items())) or "nothing"
    click.echo(f"{report.read:,} vectors read: {fates}", err=True)
    if report.unusable:
        shown = ", ".join(map(str, report.unusable[:_UNUSABLE_SHOWN]))
        more = len(report.unusable) - _UNUSABLE_SHOWN
        click.echo(f"zero or not finite, PMID {shown}" + (f" and {more:,} more" if more > 0 else ""), err=True)
    if report.counts["imported"] == 0 and report.counts["not in the index"] == report.read:
        click.echo("none of these articles is in the index: add them first (`search add --no-encode`)", err=True)
