"""Commands that follow citations: cited-by, references, snowball; and their files: citations, retractions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.filters import is_pmid
from search.cli.options import common, json_option, open_index, results_option, text_or_json

if TYPE_CHECKING:
    from search.ingest.citation_files import FileReport
    from search.retrieval.citing import Citations, Snowball

__all__ = ["cited_by", "citations", "references", "retractions", "snowball"]

_REJECTIONS_SHOWN = 10
#: Works outside the index that are printed.
_OTHERS_SHOWN = 40

count_option = results_option(100, help="How many articles.")


@click.command(name="cited-by")
@click.argument("pmid", type=int)
@common
@count_option
@text_or_json
def cited_by(pmid: int, folder: str | None, config_file: Path | None, limit: int, style: str) -> None:
    """List what cites an article, the newest first."""
    with open_index(config_file, folder) as index:
        found = index.cited_by(pmid, limit)
    _print_citations(found, f"{found.count:,} works cite PMID {pmid}", style)


@click.command()
@click.argument("pmid", type=int)
@common
@count_option
@text_or_json
def references(pmid: int, folder: str | None, config_file: Path | None, limit: int, style: str) -> None:
    """List what an article cites, in its order."""
    with open_index(config_file, folder) as index:
        found = index.references(pmid, limit)
    _print_citations(found, f"PMID {pmid} cites {found.count:,} works", style)


@click.command()
@click.argument("start", nargs=-1, required=True, metavar="PMID...|NAME")
@common
@results_option(50, help="How many articles.")
@click.option("--rounds", type=click.IntRange(1, 5), default=1, show_default=True, help="How many steps to follow.")
@click.option("--not", "seen", type=int, multiple=True, metavar="PMID", help="Leave this article out; repeatable.")
@text_or_json
def snowball(
    start: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    limit: int,
    rounds: int,
    seen: tuple[int, ...],
    style: str,
) -> None:
    """Follow citations both ways, from articles or a saved search.

    Works that cite most of them, or are cited by most, come first, then those nearest in meaning. The articles that you
    start from are left out.
    """
    from search.cli.output import print_json
    from search.presentation.hit_record import snowball_record

    names = [word for word in start if not is_pmid(word)]
    if names and len(start) > 1:
        raise click.UsageError("give PMIDs, or the name of one saved search")
    with open_index(config_file, folder) as index:
        found = index.snowball(names[0] if names else list(map(int, start)), limit, rounds=rounds, seen=seen)
    if style == "json":
        print_json(snowball_record(found), indent=2)
    else:
        _print_snowball(found)


@click.group()
def citations() -> None:
    """Add NIH's open citation collection, or remove it.

    With it, the index knows more of who cites whom than its own records say.
    """


@citations.command(name="add")
@click.argument("file")
@common
@click.option("--all", "everything", is_flag=True, help="Keep citations of which neither article is in the index too.")
@click.option("--reread", is_flag=True, help="Read the file again if it was read before, e.g. after adding articles.")
@json_option
def add_citations(
    file: str, folder: str | None, config_file: Path | None, everything: bool, reread: bool, as_json: bool
) -> None:
    """Add citations from a CSV with the columns `citing` and `referenced`, gzipped or not.

    To resume an interrupted run, give the same command again.
    """
    with open_index(config_file, folder) as index:
        report = index.add_citations(file, everything=everything, reread=reread)
    if report.known and not as_json:
        click.echo(f"{file}: read before, unchanged (--reread reads it again)", err=True)
        return
    _print_report(report, "citations", as_json)


@citations.command(name="remove")
@common
@json_option
def remove_citations(folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Remove the open citation collection; what records cite stays."""
    from search.cli.output import print_json

    with open_index(config_file, folder) as index:
        removed = index.remove_citations()
    if as_json:
        print_json({"removed": removed}, indent=2)
    else:
        click.echo(f"{removed:,} citations removed", err=True)


@click.group()
def retractions() -> None:
    """Add Retraction Watch's list of retractions.

    Every output then gives the reasons and dates of the list.
    """


@retractions.command(name="add")
@click.argument("file")
@common
@json_option
def add_retractions(file: str, folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Add Retraction Watch's public CSV; it replaces an earlier list."""
    with open_index(config_file, folder) as index:
        report = index.add_retractions(file)
    _print_report(report, "entries", as_json)


def _print_report(report: FileReport, what: str, as_json: bool) -> None:
    from search.cli.output import print_json
    from search.cli.screen import plain

    if as_json:
        print_json(report, indent=2)
        return
    for rejection in report.rejections[:_REJECTIONS_SHOWN]:
        click.echo(plain(f"skipped {rejection.where}: {rejection.reason}"), err=True)
    more = report.counts["rejected"] - _REJECTIONS_SHOWN
    if more > 0:
        click.echo(f"... and {more:,} more", err=True)
    fates = ", ".join(f"{number:,} {fate}" for fate, number in sorted(report.counts.items()))
    click.echo(f"{report.read:,} {what} read: {fates}", err=True)


def _print_citations(found: Citations, title: str, style: str) -> None:
    from search.cli.blocks import print_hits
    from search.cli.output import print_json
    from search.cli.screen import paged
    from search.presentation.hit_record import citations_record
    from search.retrieval.hit import Hit

    if style == "json":
        print_json(citations_record(found), indent=2)
        return
    with paged():
        click.echo(f"{title}, {found.in_index:,} of them in the index")
        hits = [Hit(rank=rank, score=0.0, article=article) for rank, article in enumerate(found.articles, start=1)]
        if hits:
            print_hits(None, hits, headed=False, explain=False)
        _print_others([str(work) for work in found.others])


def _print_snowball(found: Snowball) -> None:
    from search.cli.blocks import print_hits
    from search.cli.screen import paged

    with paged():
        click.echo(f"{found.found:,} works found, {found.found - len(found.others):,} of them in the index")
        if found.hits:
            print_hits(None, found.hits, headed=False, explain=False)
        _print_others([f"{work} ({links})" if links else str(work) for work, links in found.others.items()])


def _print_others(works: list[str]) -> None:
    from search.cli.screen import plain

    if works:
        more = f" and {len(works) - _OTHERS_SHOWN:,} more (--json lists all)" if len(works) > _OTHERS_SHOWN else ""
        click.echo(plain(f"Not in the index: {', '.join(works[:_OTHERS_SHOWN])}{more}"))
