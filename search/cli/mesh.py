"""The commands of MeSH: add NLM's file to the installation, and show a heading."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, json_option, open_index, text_or_json
from search.errors import QueryError

__all__ = ["mesh"]


@click.group()
def mesh() -> None:
    """Install NLM's MeSH, and show its headings.

    With it, a heading includes the narrower ones, and untagged words are mapped to headings as PubMed does.
    """


@mesh.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def add(file: Path, as_json: bool) -> None:
    """Keep MeSH for this installation, from one of NLM's files.

    FILE is descYYYY.xml, dYYYY.bin (ASCII) or mtreesYYYY.bin, gzipped or not, from NLM's page of MeSH downloads.
    Every index uses it from then on, unless `mesh_tree` in config.yml names another file.
    """
    from search.cli.output import print_json
    from search.retrieval.mesh_tree import add_mesh

    count = add_mesh(file)
    if as_json:
        print_json({"headings": count}, indent=2)
    else:
        click.echo(f"{count:,} headings added", err=True)


@mesh.command()
@click.argument("name", nargs=-1, required=True)
@common
@text_or_json
def show(name: tuple[str, ...], folder: str | None, config_file: Path | None, style: str) -> None:
    """Show a heading: entry terms, places in the tree, how many articles."""
    from search.cli.output import print_json
    from search.cli.screen import plain
    from search.retrieval.mesh_tree import load_mesh

    text = " ".join(name)
    with open_index(config_file, folder) as index:
        tree = load_mesh(index.config.mesh_tree)
        if tree is None:
            raise QueryError("MeSH is not installed: give NLM's file to `search mesh add FILE`")
        heading = tree.heading(text)
        if heading is None:
            raise QueryError(f"MeSH has no heading {text!r}")
        quoted = f'"{heading.name}"'
        exploded, alone = (index.strategy(f"{quoted}[{tag}]").count for tag in ("mh", "mh:noexp"))
    below = tree.below(heading.name)
    if style == "json":
        names = {"name": heading.name, "ui": heading.ui, "articles": exploded, "articles_without_narrower": alone}
        lists = {"entry_terms": heading.entry_terms, "tree": heading.numbers, "narrower": below}
        print_json(names | lists, indent=2)
        return
    click.echo(plain(f"{heading.name} ({heading.ui or 'no UI'})"))
    click.echo(f"Articles: {exploded:,} with it or a heading below it, {alone:,} with it")
    click.echo(plain(f"Entry terms: {'; '.join(heading.entry_terms) or 'none'}"))
    click.echo(plain(f"Tree: {', '.join(heading.numbers)}"))
    click.echo(plain(f"Below it: {'; '.join(below) or 'nothing'}"))
