"""The command that keeps PubMed, or a part of it, in an index: sync."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.articles import open_or_create, print_report
from search.cli.options import common, json_option, settings

if TYPE_CHECKING:
    from search.pubmed.sync import SyncReport
    from search.pubmed.sync_plan import SyncPlan

__all__ = ["sync"]

_FILES_SHOWN = 12


@click.command()
@common
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="A folder of NLM's files, instead of NLM's server."
)
@click.option("--since", type=click.IntRange(min=1500, max=2200), help="Keep articles published in this year or later.")
@click.option(
    "--mesh",
    multiple=True,
    help="Keep articles with this MeSH descriptor (name or UID) or one below it in `mesh_tree`. "
    "Repeatable; any one is enough.",
)
@click.option(
    "--language",
    multiple=True,
    help="Keep articles in this language (English, eng, ...). Repeatable; any one is enough.",
)
@click.option(
    "--query-terms",
    "terms",
    multiple=True,
    help="Keep articles with this word or phrase in title, abstract or keywords; * at its end for any ending. "
    "Repeatable; any one is enough.",
)
@click.option(
    "--change-part", is_flag=True, help="Switch to another part, or to all of PubMed; reads every file again."
)
@click.option("--accept-removals", is_flag=True, help="Let a new year's baseline remove very many articles.")
@click.option("--dry-run", is_flag=True, help="Only print the plan: the files, the number of records, the time.")
@click.option("--keep", is_flag=True, help="Keep downloaded files.")
@click.option("--model", help="The model of a new index [default: the config's `model`].")
@click.option("--no-encode", is_flag=True, help="Only store the articles; `search encode` encodes them later.")
@json_option
def sync(
    folder: str | None,
    config_file: Path | None,
    source: Path | None,
    since: int | None,
    mesh: tuple[str, ...],
    language: tuple[str, ...],
    terms: tuple[str, ...],
    change_part: bool,
    accept_removals: bool,
    dry_run: bool,
    keep: bool,
    model: str | None,
    no_encode: bool,
    as_json: bool,
) -> None:
    """Download PubMed, or a part of it, and keep it current.

    Downloads the baseline and update files that were not applied yet, checks them and applies them in NLM's order. Run
    it again to resume after an interruption, and daily to keep the index current. The part that is kept (--since,
    --mesh, --language, --query-terms; all of them must hold) is remembered.
    """
    from search.cli.output import print_json
    from search.pubmed.origin import preview
    from search.pubmed.subset import make_part

    part = make_part(since, mesh, language, terms)
    if dry_run:
        config, path = settings(config_file, folder)
        plan = preview(config, path, source, part=part, change_part=change_part)
        print_json(plan, indent=2) if as_json else _print_plan(plan)
        return
    from search.cli.progress import Meter

    with open_or_create(config_file, folder, model) as index, Meter() as meter:
        report = index.sync(
            source,
            part=part,
            change_part=change_part,
            accept_removals=accept_removals,
            keep=keep,
            encode=not no_encode,
            progress=meter.update,
        )
    print_json(report, indent=2) if as_json else _print_sync(report)


def _print_plan(plan: SyncPlan) -> None:
    from humanize import naturaldelta, naturalsize

    from search.cli.screen import plain

    lines = [
        f"from      {plan.origin}",
        f"keeps     {plan.part}",
        f"applied   {plan.applied_before:,} files so far",
        f"to apply  {plan.baseline_files:,} baseline and {plan.update_files:,} update files, {naturalsize(plan.bytes)}",
    ]
    names = [file.name for file in plan.files]
    if len(names) > _FILES_SHOWN:
        names = [*names[: _FILES_SHOWN - 2], "...", names[-1]]
    lines += [f"          {name}" for name in names]
    if plan.files:
        lines += [
            f"records   about {plan.records:,} to read, at most about {plan.to_encode:,} of them to encode",
            f"time      about {naturaldelta(plan.seconds)}, and downloading",
            f"disk      at most about {naturalsize(plan.disk_bytes)} more",
        ]
    lines += [f"note      {note}" for note in plan.notes]
    click.echo(plain("\n".join(lines)))


def _print_sync(report: SyncReport) -> None:
    from search.cli.screen import plain

    print_report(report.ingest)
    deletions = sum(entry.deletions for entry in report.applied)
    click.echo(f"{len(report.applied):,} files applied, with {deletions:,} deletions; kept: {report.part}", err=True)
    if report.removed:
        click.echo(f"{report.removed:,} articles are not in the new baseline and were removed", err=True)
    for note in report.notes:
        click.echo(plain(f"note: {note}"), err=True)
