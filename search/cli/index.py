"""Commands about the index itself: status, merge."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, open_index

__all__ = ["merge", "status"]


@click.command()
@common
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(folder: Path | None, config_file: Path | None, style: str) -> None:
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
        f"vectors   {found.vector_index}, generation {found.generation}, {found.pending:,} pending",
        f"text      {found.text_rule}",
        f"disk      {sum(found.bytes.values()) / 1e6:,.1f} MB",
        f"files     {found.files:,} read" + "".join(f"\n          not to its end: {n}" for n in found.incomplete_files),
    ]
    click.echo(plain("\n".join(lines)))


@click.command()
@common
def merge(folder: Path | None, config_file: Path | None) -> None:
    """Bring the search structures up to the last change now instead of when it is due."""
    with open_index(config_file, folder) as index:
        index.merge()
        click.echo(f"generation {index.status().generation} is in force", err=True)
