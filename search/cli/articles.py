"""Commands that write: add, delete, encode."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, json_option, model_named, open_index, settings
from search.errors import SearchError

if TYPE_CHECKING:
    from search.api import Index
    from search.ingest.pipeline import IngestReport

__all__ = ["add", "delete", "encode", "open_or_create", "print_report"]

_REJECTIONS_SHOWN = 20


@click.command()
@click.argument("paths", nargs=-1)
@common
@click.option("--pubmed", "query", help="Add what PubMed finds for this query, in PubMed's own query language.")
@click.option("--limit", type=click.IntRange(min=1), help="With --pubmed: at most this many records.")
@click.option("--model", help="The model of a new index, a name or a mapping as in config.yml.")
@click.option("--strict", is_flag=True, help="Stop at the first record or file that cannot be read.")
@click.option("--reread", is_flag=True, help="Read files again that were read completely before.")
@click.option("--restore", is_flag=True, help="Bring back articles that were deleted.")
@click.option("--no-encode", is_flag=True, help="Only store the articles; `search encode` encodes them later.")
@json_option
def add(
    paths: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    query: str | None,
    limit: int | None,
    model: str | None,
    strict: bool,
    reread: bool,
    as_json: bool,
    restore: bool,
    no_encode: bool,
) -> None:
    """Add records from files, folders or PubMed.

    Give files, folders, - for standard input, or a query to PubMed itself with --pubmed.

    Reads PubMed XML, MEDLINE text (.nbib), JSON, CSV and Parquet, compressed with gzip or not; the format is
    recognised by the content. The newest version of an article wins. Makes the index if there is none. To resume an
    interrupted run, give the same command again: articles already in the index are not encoded again.
    """
    from search.cli.output import print_json
    from search.cli.progress import Meter

    if bool(paths) == (query is not None):
        raise click.UsageError("give files to add, or a query to PubMed with --pubmed")
    if query is None and limit is not None:
        raise click.UsageError("--limit goes with --pubmed")
    if query is not None and (strict or restore or reread):
        raise click.UsageError("--strict, --restore and --reread go with files")
    with open_or_create(config_file, folder, model) as index, Meter() as meter:
        if query is not None:
            report = index.add_pubmed(query, limit=limit, encode=not no_encode, progress=meter.update)
        else:
            report = index.add(
                paths, strict=strict, restore=restore, reread=reread, encode=not no_encode, progress=meter.update
            )
    if as_json:
        print_json(report, indent=2)
    else:
        print_report(report)
    nothing_usable = report.read > 0 and report.counts["rejected"] == report.read
    sys.exit(1 if report.errors or nothing_usable else 0)


@click.command()
@common
@click.option("--ray", metavar="ADDRESS", help="Let a Ray cluster do it: auto, ray://host:10001, or local.")
@click.option("--workers", type=click.IntRange(min=1), help="With --ray and no GPUs: how many workers.")
@json_option
def encode(folder: str | None, config_file: Path | None, ray: str | None, workers: int | None, as_json: bool) -> None:
    """Encode the articles that are not encoded yet.

    An article whose text has changed is encoded again.
    """
    from search.cli.output import print_json
    from search.cli.progress import Meter

    with open_index(config_file, folder) as index, Meter() as meter:
        report = index.encode(ray=ray, workers=workers, progress=meter.update)
    if as_json:
        print_json(report, indent=2)
    else:
        click.echo(f"{report.encoded:,} articles encoded", err=True)


@click.command()
@click.argument("pmids", nargs=-1, required=True, type=int)
@common
@json_option
def delete(pmids: tuple[int, ...], folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Delete articles by PMID.

    They stay deleted until `search add --restore`, even if a file brings them again.
    """
    from search.cli.output import print_json

    with open_index(config_file, folder) as index:
        deleted = index.delete(pmids)
    missing = len(set(pmids)) - deleted
    if as_json:
        print_json({"deleted": deleted, "not_in_the_index": missing})
        return
    click.echo(f"{deleted:,} article{'' if deleted == 1 else 's'} deleted", err=True)
    if missing:
        click.echo(f"{missing:,} not in the index; adding them later needs `search add --restore`", err=True)


@contextmanager
def open_or_create(config_file: Path | None, folder: str | None, model: str | None) -> Iterator[Index]:
    """Open the index, or create it; a new index that stays empty is removed again."""
    from search.api import Index
    from search.storage.backend import name_of, remove_if_empty

    config, address = settings(config_file, folder)
    if Index.exists(address, config=config):
        with Index.open(address, model=model_named(model), config=config) as index:
            yield index
        return
    click.echo(f"making a new index in {name_of(address)}", err=True)
    new_folder = "://" not in address and not Path(address).exists()
    try:
        with Index.create(address, model=model_named(model), config=config) as index:
            for note in index.manifest.model_notes:
                click.echo(f"note: {note}", err=True)
            yield index
    finally:
        # What went wrong before is what is reported.
        with suppress(SearchError, OSError):
            if Index.exists(address, config=config) and remove_if_empty(address, config):
                click.echo(f"nothing was added, so {name_of(address)} was not kept", err=True)
                if new_folder:
                    Path(address).rmdir()


def print_report(report: IngestReport) -> None:
    """Print what a run did on standard error."""
    from search.cli.screen import plain

    for rejection in report.rejections[:_REJECTIONS_SHOWN]:
        known = f" (PMID {rejection.pmid})" if rejection.pmid else ""
        click.echo(plain(f"skipped {rejection.where}{known}: {rejection.reason}"), err=True)
    more = report.counts["rejected"] - _REJECTIONS_SHOWN
    if more > 0:
        click.echo(f"... and {more:,} more", err=True)
    for name in report.skipped_files:
        click.echo(plain(f"{name}: read before, unchanged (--reread reads it again)"), err=True)
    for note in report.notes:
        click.echo(plain(f"note: {note}"), err=True)
    for message in report.errors:
        click.echo(plain(f"error: {message}"), err=True)
    fates = ", ".join(f"{number:,} {fate}" for fate, number in sorted(report.counts.items())) or "nothing new"
    click.echo(f"{report.read:,} records read: {fates}; {report.encoded:,} encoded", err=True)
