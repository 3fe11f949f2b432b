"""Commands about saved searches: saved, new."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, format_option, open_index, text_or_json

__all__ = ["new", "saved"]


def _saved_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of saved searches, for the completion of a shell."""
    with open_index(ctx.params.get("config_file"), ctx.params.get("folder")) as index:
        return [search.name for search in index.saved_searches() if search.name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_saved_names)
@common
@click.option("--delete", is_flag=True, help="Delete the search of this name with its runs.")
@click.option("--rename", metavar="NEW", help="Give the search of this name another one.")
@text_or_json
def saved(
    name: str | None, folder: str | None, config_file: Path | None, delete: bool, rename: str | None, style: str
) -> None:
    """List the saved searches, or describe one for a methods section."""
    import msgspec

    from search.cli.output import print_json
    from search.cli.screen import plain
    from search.retrieval.saved_searches import methods

    if (delete or rename) and not name or (delete and rename):
        raise click.UsageError("--delete and --rename take the name of a saved search, and exclude each other")
    with open_index(config_file, folder) as index:
        if name and delete:
            index.delete_saved(name)
            click.echo(f"{name} is deleted", err=True)
            return
        if name and rename:
            index.rename_saved(name, rename)
            click.echo(f"{name} is now {rename}", err=True)
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


@click.command()
@click.argument("name", shell_complete=_saved_names)
@common
@format_option
def new(name: str, folder: str | None, config_file: Path | None, style: str) -> None:
    """Run a saved search over the articles added since it last ran."""
    from search.cli.output import print_searches

    with open_index(config_file, folder) as index:
        hits = index.new_results(name)
    print_searches([None], [hits], style)
