"""Commands about saved searches: saved, new."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, format_option, open_index

__all__ = ["new", "saved"]


@click.command()
@click.argument("name", required=False)
@common
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def saved(name: str | None, folder: str | None, config_file: Path | None, style: str) -> None:
    """List the saved searches, or tell of one what a methods section needs."""
    import msgspec

    from search.cli.output import plain, print_json
    from search.retrieval.saved_searches import methods

    with open_index(config_file, folder) as index:
        found = [index.saved_search(name)] if name else index.saved_searches()
    if style == "json":
        print_json(msgspec.to_builtins(found), indent=2)
    elif name:
        click.echo(plain(methods(found[0])))
    else:
        for search in found:
            click.echo(plain(f"{search.name}: {search.question} ({search.mode}, last run {search.runs[-1].time})"))


@click.command()
@click.argument("name")
@common
@format_option
def new(name: str, folder: str | None, config_file: Path | None, style: str) -> None:
    """Tell what a saved search finds among the articles added since it last ran."""
    from search.cli.output import print_searches

    with open_index(config_file, folder) as index:
        hits = index.new_results(name)
    print_searches([None], [hits], style)
