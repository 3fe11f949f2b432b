"""Commands for the references of a text or a review: check, dedupe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, open_index, text_or_json

if TYPE_CHECKING:
    from search.review.check import Report
    from search.review.dedupe import Deduplication

__all__ = ["check", "dedupe"]

#: The exit code of a check that found what should stop a publication: 1 is an error, 2 wrong usage.
_FOUND = 3


@click.command()
@click.argument("file")
@common
@click.option("--strict", is_flag=True, help="Fail for references that are not in the index too.")
@text_or_json
def check(file: str, folder: str | None, config_file: Path | None, strict: bool, style: str) -> None:
    """Check references: retracted, in doubt, duplicated, or wrong.

    FILE is RIS, BibTeX, MEDLINE text (.nbib), CSL JSON, CSV, or a list of PMIDs and DOIs. Nothing is asked of the
    network. The exit code is 3 if a reference is retracted, under concern, duplicated, unreadable, or says another
    title, year or first author than PubMed; corrections and citations of retracted work are
    reported, and do not fail.
    """
    from search.cli.output import print_json

    with open_index(config_file, folder) as index:
        report = index.check(file)
    if style == "json":
        print_json(report, indent=2)
    else:
        _print_checked(report)
    sys.exit(_FOUND if report.failed(strict=strict) else 0)


def _print_checked(report: Report) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from search.cli.screen import console, plain

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("where", no_wrap=True)
    table.add_column("reference", ratio=2)
    table.add_column("found", ratio=3)
    shown = sorted((entry for entry in report.checked if entry.findings), key=lambda entry: entry.gravity)
    for entry in shown:
        told = "\n".join(f"{finding.problem.upper()}: {finding.told}" for finding in entry.findings)
        table.add_row(
            Text(plain(entry.where.removeprefix(f"{report.file} "))),
            Text(plain(entry.reference)),
            Text("\n".join(map(plain, told.split("\n")))),
        )
    if shown:
        console().print(table)
    counts = ", ".join(f"{count:,} {problem}" for problem, count in report.counts.items()) or "nothing to report"
    click.echo(f"{report.references:,} references: {counts}", err=True)


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write what is left to this file, in RIS.")
@text_or_json
def dedupe(files: tuple[str, ...], output: Path | None, style: str) -> None:
    """Find duplicates among references of several databases.

    FILES are RIS, MEDLINE text (.nbib), BibTeX, CSV or CSL JSON. References are compared by PMID, DOI, PMCID, and by
    title with year, first author, volume and page; preprints are listed with what was published of them, and both
    are kept.
    """
    from search.cli.output import print_json
    from search.review.dedupe import dedupe_files

    found = dedupe_files(files)
    if output is not None:
        _write(found, output)
    if style == "json":
        print_json(found, indent=2)
    else:
        _print_deduplication(found)


def _write(found: Deduplication, output: Path) -> None:
    from search.errors import ExportError
    from search.files import written_output
    from search.formats.reference_lists import write_ris

    try:
        with written_output(output) as stream:
            stream.writelines(map(write_ris, found.kept))
    except OSError as error:
        raise ExportError(f"{output}: {error.strerror}") from error


def _print_deduplication(found: Deduplication) -> None:
    from search.cli.screen import plain

    for entry in found.duplicates:
        click.echo(plain(f"{entry.where} is {entry.kept}: {entry.reason}: {entry.title}"))
    for entry in found.versions:
        click.echo(plain(f"{entry.where} is a preprint of {entry.kept}: {entry.reason}: {entry.title}"))
    for rejection in found.rejections:
        click.echo(plain(f"skipped {rejection.where}: {rejection.reason}"), err=True)
    for name, count in found.identified.items():
        click.echo(plain(f"{name}: records identified {count:,}, duplicates removed {found.removed[name]:,}"), err=True)
    click.echo(", ".join(f"{what} {count:,}" for what, count in found.counts.items()), err=True)
