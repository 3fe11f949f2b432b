"""Run a strategy and show its lines with their counts, its PMIDs, or a report."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.filters import StrategyText
from search.cli.options import common, formats, open_index

if TYPE_CHECKING:
    from search.api import Index
    from search.retrieval.strategy import StrategyResult

__all__ = ["strategy"]


@click.command()
@click.argument("text", type=StrategyText(), metavar="TEXT|@FILE")
@common
@formats(
    *("text", "json", "pmids", "report"),
    explained="Lines with counts; all of it as JSON; PMIDs, one a line; or the text of a report (PRISMA-S).",
)
def strategy(text: str, folder: str | None, config_file: Path | None, style: str) -> None:
    """Run a search in PubMed's query language, with exact counts.

    Give one search, or the numbered lines of a search history; the last line is the result. To put it in order:
    `search query QUESTION --strategy @FILE`; to write it: `search export --strategy @FILE --all`.
    """
    from search.cli.output import print_json, print_strategy
    from search.cli.screen import plain
    from search.retrieval.strategy import StrategyAnswer

    if Path(text).suffix in (".txt", ".strategy") and Path(text).is_file():
        text = StrategyText().convert(f"@{text}", None, None)
    with open_index(config_file, folder) as index:
        result = index.strategy(text)
        report = _report(index, result) if style == "report" else ""
    if style == "json":
        print_json(StrategyAnswer.of(result), indent=2)
    elif style == "pmids":
        click.echo("".join(f"{pmid}\n" for pmid in result.pmids), nl=False)
    elif style == "report":
        click.echo(plain(report))
    else:
        print_strategy(result)
    for note in result.notes if style in ("text", "pmids") else ():
        click.echo(f"note: {plain(note)}", err=True)


def _report(index: Index, result: StrategyResult) -> str:
    """Return what PRISMA-S asks for of a search that can be run again: where, when, how, and how many."""
    status = index.status()
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    lines = [
        f"Source: PubMed records in the index {index.name} ({status.articles:,} articles, change {status.change})",
        f"Searched: {now}",
        "Search strategy, line by line as run (PubMed's query language; words unstemmed, counts exact):",
        *(f"#{line.number}  {line.text}  [{line.count:,}]" for line in result.lines),
        f"Search details: {result.translation}",
        f"Records identified: {result.count:,}",
    ]
    if status.nlm is not None:
        lines.insert(
            1,
            f"Currency: {status.nlm.applied:,} files of NLM applied, the last {status.nlm.last} on "
            f"{status.nlm.last_applied}; part kept: {status.nlm.part}",
        )
    return "\n".join([*lines, *(f"Note: {note}" for note in result.notes)])
