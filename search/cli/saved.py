"""Commands about saved searches: saved, new, report."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, format_option, open_index, text_or_json
from search.errors import QueryError, SearchError

if TYPE_CHECKING:
    from search.api import Index
    from search.retrieval.hit import Hit

__all__ = ["new", "report", "saved"]


def _saved_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of saved searches, for the completion of a shell."""
    with open_index(ctx.params.get("config_file"), ctx.params.get("folder")) as index:
        return [search.name for search in index.saved_searches() if search.name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_saved_names)
@common
@click.option("--delete", is_flag=True, help="Delete the search of this name with its runs.")
@click.option("--rename", metavar="NEW", help="Give the search of this name a new one.")
@click.option(
    "--diff", nargs=2, type=int, metavar="RUN RUN", help="Show the differences between two runs of this search."
)
@text_or_json
def saved(
    name: str | None,
    folder: str | None,
    config_file: Path | None,
    delete: bool,
    rename: str | None,
    diff: tuple[int, int] | None,
    style: str,
) -> None:
    """List the saved searches, or describe one for a methods section."""
    import msgspec

    from search.cli.output import print_json
    from search.cli.screen import plain
    from search.retrieval.saved_searches import methods

    chosen = sum((delete, rename is not None, diff is not None))
    if chosen > 1 or (chosen and not name):
        raise click.UsageError("--delete, --rename and --diff take the name of a saved search, and exclude each other")
    with open_index(config_file, folder) as index:
        if name and (delete or rename):
            index.rename_saved(name, rename) if rename else index.delete_saved(name)
            if style == "json":
                print_json({"name": rename, "renamed": name} if rename else {"deleted": name}, indent=2)
            else:
                click.echo(f"{name} is now {rename}" if rename else f"{name} is deleted", err=True)
            return
        if name and diff:
            _print_difference(index, name, *diff, style)
            return
        searches = [index.saved_search(name)] if name else index.saved_searches()
    if style == "json":
        print_json(msgspec.to_builtins(searches), indent=2)
    elif name:
        click.echo(plain(methods(searches[0])))
    else:
        for search in searches:
            click.echo(plain(f"{search.name}: {search.question} ({search.mode}, last run {search.runs[-1].time})"))
        if not searches:
            click.echo('no saved searches; `search query "..." --save NAME` keeps one', err=True)


def _print_difference(index: Index, name: str, first: int, second: int, style: str) -> None:
    from search.cli.output import print_json
    from search.cli.screen import plain

    found = index.saved_difference(name, first, second)
    if style == "json":
        print_json(found, indent=2)
        return
    pmids = [*found.only_first, *found.only_second, *found.newly_retracted]
    titles = {article.pmid: article.title for article in index.present(pmids)}
    lines = []
    for told, some in (
        (f"only in run {first}", found.only_first),
        (f"only in run {second}", found.only_second),
        ("newly retracted", found.newly_retracted),
    ):
        lines += [f"{told}: PMID {pmid} {titles.get(pmid, '(no longer in the index)')}" for pmid in some]
    lines += [f"rank {one} is now {other}: PMID {pmid}" for pmid, one, other in found.moved]
    lines += [f"{what}: {_shown(one)} | {_shown(other)}" for what, (one, other) in found.changed.items()]
    click.echo(plain("\n".join(lines)) if lines else "nothing sets them apart")


def _shown(value: object) -> str:
    import msgspec

    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else f"{text[:97]}..."


@click.command()
@click.argument("name", required=False, shell_complete=_saved_names)
@common
@click.option("--all", "everything", is_flag=True, help="Run every saved search, one after the other: for cron.")
@click.option(
    "--exec",
    "command",
    metavar="COMMAND",
    help="For each search with anything new, run this command: {} is the search's name, standard input JSON lines.",
)
@format_option
def new(
    name: str | None, folder: str | None, config_file: Path | None, everything: bool, command: str | None, style: str
) -> None:
    """Run a saved search over the articles added since it last ran.

    Articles that it had found before and that were retracted since come last, marked.
    """
    from search.cli.output import print_searches
    from search.cli.screen import plain

    if bool(name) == everything:
        raise click.UsageError("give the name of a saved search, or --all")
    failed = False
    with open_index(config_file, folder) as index:
        names = [name] if name else [search.name for search in index.saved_searches()]
        answers: list[list[Hit]] = []
        for one in names:
            found: list[Hit] = []
            try:
                found = index.new_results(one)
                if command and found:
                    _run(command, one, found)
            except SearchError as error:
                if not everything:
                    raise
                failed = True
                click.echo(plain(f"error: {one}: {error}"), err=True)
            answers.append(found)
    print_searches(names if everything else [None], answers, style)
    sys.exit(1 if failed else 0)


def _run(command: str, name: str, hits: list[Hit]) -> None:
    """Run a command with the new results of a search as its input. Raises QueryError if it fails."""
    from search.presentation.hit_record import as_json, hit_records

    try:
        arguments = [part.replace("{}", name) for part in shlex.split(command)]
        data = b"".join(as_json(record, indent=0) for record in hit_records(None, hits))
        done = subprocess.run(
            arguments, input=data, check=False, env={**os.environ, "SEARCH_NAME": name, "SEARCH_NEW": str(len(hits))}
        )
    except (OSError, ValueError, IndexError) as error:
        raise QueryError(f"--exec {command!r} cannot be run: {error}") from error
    if done.returncode:
        raise QueryError(f"--exec {command!r} ended with exit code {done.returncode}")


@click.command()
@click.argument("name", shell_complete=_saved_names)
@common
@click.option(
    "--with",
    "files",
    multiple=True,
    metavar="FILE",
    help="References of another database, whose numbers go into the flow; repeatable.",
)
def report(name: str, folder: str | None, config_file: Path | None, files: tuple[str, ...]) -> None:
    """Write the report of a saved search for a review.

    It has the methods, the strategy with its counts, PRISMA numbers and PRISMA-S items, in Markdown, which reads as
    plain text too. What only the authors know is in square brackets.
    """
    from search.cli.screen import plain

    with open_index(config_file, folder) as index:
        click.echo(plain(index.saved_report(name, files)), nl=False)
