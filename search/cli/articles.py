"""Commands that write: add, delete, encode."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, model_named, open_index, settings

if TYPE_CHECKING:
    from search.api import Index
    from search.ingest.pipeline import IngestReport

__all__ = ["add", "delete", "encode", "open_or_create", "print_report"]

_REJECTIONS_SHOWN = 20


@click.command()
@click.argument("paths", nargs=-1)
@common
@click.option("--pubmed", "query", help="Add what PubMed finds for this query, in PubMed's own query language.")
@click.option("--limit", type=click.IntRange(min=1), help="With --pubmed: no more than so many records.")
@click.option("--model", help="The model of a new index, a name or a mapping as in config.yml.")
@click.option("--strict", is_flag=True, help="Stop at the first record or file that cannot be used.")
@click.option("--again", is_flag=True, help="Read files that were read to their end before once more.")
@click.option("--restore", is_flag=True, help="Bring back articles that were deleted.")
@click.option("--no-encode", is_flag=True, help="Only store the articles; `search encode` encodes them later.")
def add(
    paths: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    query: str | None,
    limit: int | None,
    model: str | None,
    strict: bool,
    again: bool,
    restore: bool,
    no_encode: bool,
) -> None:
    """Add records: files, folders, - for standard input, or what a query to PubMed finds (--pubmed).

    PubMed XML, MEDLINE text (.nbib) and JSON lines are told apart by their content, compressed with gzip or not. The
    newest version of an article wins. What is there already is not encoded again, so an interrupted run goes on where
    it was when the same command is given again. The index is made if it is not there.
    """
    from search.cli.progress import Meter

    if bool(paths) == (query is not None):
        raise click.UsageError("give files to add, or a query to PubMed with --pubmed")
    if query is None and limit is not None:
        raise click.UsageError("--limit goes with --pubmed")
    if query is not None and (strict or restore or again):
        raise click.UsageError("--strict, --restore and --again go with files")
    with open_or_create(config_file, folder, model) as index, Meter() as meter:
        if query is not None:
            report = index.add_pubmed(query, limit=limit, encode=not no_encode, progress=meter.update)
        else:
            report = index.add(
                paths, strict=strict, restore=restore, again=again, encode=not no_encode, progress=meter.update
            )
    print_report(report)
    sys.exit(1 if report.errors else 0)


@click.command()
@common
@click.option("--ray", metavar="ADDRESS", help="Let a Ray cluster do it: auto, ray://host:10001, or local.")
@click.option("--workers", type=click.IntRange(min=1), help="With --ray and no GPUs: how many workers.")
def encode(folder: str | None, config_file: Path | None, ray: str | None, workers: int | None) -> None:
    """Encode the articles that have no vector of their text yet."""
    from search.cli.progress import Meter

    with open_index(config_file, folder) as index, Meter() as meter:
        report = index.encode(ray=ray, workers=workers, progress=meter.update)
    click.echo(f"{report.encoded:,} articles encoded", err=True)


@click.command()
@click.argument("pmids", nargs=-1, required=True, type=int)
@common
def delete(pmids: tuple[int, ...], folder: str | None, config_file: Path | None) -> None:
    """Delete articles by PMID. They stay deleted, whatever is added later, unless `add --restore` is used."""
    with open_index(config_file, folder) as index:
        deleted = index.delete(pmids)
    click.echo(f"{deleted:,} of {len(set(pmids)):,} articles were there and are deleted", err=True)


def open_or_create(config_file: Path | None, folder: str | None, model: str | None) -> Index:
    """Open the index that is meant, or make it if it is not there."""
    from search.api import Index
    from search.storage.backend import name_of

    config, address = settings(config_file, folder)
    if Index.exists(address, config=config):
        return Index.open(address, model=model_named(model), config=config)
    click.echo(f"making a new index in {name_of(address)}", err=True)
    index = Index.create(address, model=model_named(model), config=config)
    for note in index.manifest.model_notes:
        click.echo(f"note: {note}", err=True)
    return index


def print_report(report: IngestReport) -> None:
    """Tell what a run did, on standard error."""
    from search.cli.output import plain

    for rejection in report.rejections[:_REJECTIONS_SHOWN]:
        known = f" (PMID {rejection.pmid})" if rejection.pmid else ""
        click.echo(plain(f"skipped {rejection.where}{known}: {rejection.reason}"), err=True)
    more = report.counts["rejected"] - _REJECTIONS_SHOWN
    if more > 0:
        click.echo(f"... and {more:,} more", err=True)
    for name in report.skipped_files:
        click.echo(plain(f"{name}: read before, unchanged (--again reads it once more)"), err=True)
    for note in report.notes:
        click.echo(plain(f"note: {note}"), err=True)
    for message in report.errors:
        click.echo(plain(f"error: {message}"), err=True)
    fates = ", ".join(f"{number:,} {fate}" for fate, number in sorted(report.counts.items())) or "nothing new"
    click.echo(f"{report.read:,} records read: {fates}; {report.encoded:,} encoded", err=True)
