"""Commands about the index itself: status, merge, verify, repair."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, open_index, settings

if TYPE_CHECKING:
    from search.api import Status

#: From here on, a length in tokens means that there is no limit.
_NO_LIMIT = 1_000_000

__all__ = ["merge", "repair", "status", "verify"]


@click.command()
@common
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(folder: str | None, config_file: Path | None, style: str) -> None:
    """Tell what the index holds and how far its parts are."""
    import msgspec

    from search.cli.output import plain, print_json

    with open_index(config_file, folder) as index:
        found = index.status()
    if style == "json":
        print_json(msgspec.to_builtins(found), indent=2)
        return
    lines = [
        f"index     {found.folder}, made {found.created}",
        f"articles  {found.articles:,} ({found.stale:,} not encoded yet), {found.deleted:,} deleted",
        f"model     {found.model} ({found.fingerprint[:12]}), {found.dimension} dimensions, {found.stored_vectors}",
        f"vectors   {found.vector_index}, generation {found.generation}, {found.unmerged:,} unmerged",
        f"text      {found.text_rule}",
        f"disk      {sum(found.bytes.values()) / 1e6:,.1f} MB",
        f"files     {found.files:,} read" + "".join(f"\n          not to its end: {n}" for n in found.incomplete_files),
    ]
    lines[3:3] = _model_lines(found)
    if found.nlm is not None:
        lines.append(f"PubMed    {found.nlm.part}, up to {found.nlm.last}, applied {found.nlm.last_applied}")
    click.echo(plain("\n".join(lines)))


def _model_lines(found: Status) -> list[str]:
    """Return how the model is used, and what a user should know of it."""
    used = found.model_settings
    if used is None:
        return []
    lengths = used.max_length if isinstance(used.max_length, dict) else {}
    prompts = {"query": used.prompts.query, "document": used.prompts.document}
    facts = [
        *([f"revision {used.revision[:12]}"] if used.revision else []),
        *([f"pooling {used.pooling}"] if used.pooling else []),
        *(f"{kind} {length} tokens" for kind, length in lengths.items() if length < _NO_LIMIT),
        *(f"{kind} prompt {prompt!r}" for kind, prompt in prompts.items() if prompt),
        *([f"first {used.dimension} dimensions"] if used.dimension else []),
    ]
    return [f"          {', '.join(facts)}", *(f"          note: {note}" for note in found.model_notes)]


@click.command()
@common
def merge(folder: str | None, config_file: Path | None) -> None:
    """Bring the search structures up to the last change now instead of when it is due."""
    with open_index(config_file, folder) as index:
        index.merge()
        click.echo(f"generation {index.status().generation} is in force", err=True)


@click.command()
@common
def verify(folder: str | None, config_file: Path | None) -> None:
    """Read every part of the index and hold it against the others. Exit code 1 if anything is wrong."""
    from search.api import Index
    from search.cli.output import plain

    config, address = settings(config_file, folder)
    problems = Index.verify(address, config=config)
    for problem in problems:
        click.echo(plain(problem))
    click.echo(f"{len(problems):,} problems" if problems else "the index is whole", err=True)
    sys.exit(1 if problems else 0)


@click.command()
@common
def repair(folder: str | None, config_file: Path | None) -> None:
    """Make again what can be made from the records: search indexes, terms, dates. Exit code 1 if something cannot.

    Nothing is encoded; a damaged vector is removed, and `search encode` makes it again.
    """
    from search.api import Index
    from search.cli.output import plain

    config, address = settings(config_file, folder)
    problems = Index.repair(address, config=config)
    for problem in problems:
        click.echo(plain(problem))
    click.echo(f"everything else is rebuilt; {len(problems):,} left" if problems else "no problems left", err=True)
    sys.exit(1 if problems else 0)
