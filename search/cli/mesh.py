"""The commands of MeSH: add NLM's file to the installation, and show a heading."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, open_index
from search.errors import QueryError

__all__ = ["mesh"]


@click.group()
def mesh() -> None:
    """Use NLM's MeSH: narrower headings, entry terms, and PubMed's mapping of untagged words."""


@mesh.command()
@click.argument("file", type=click.Path(path_type=Path))
def add(file: Path) -> None:
    """Keep MeSH for this installation, from one of NLM's files.

    FILE is descYYYY.xml, dYYYY.bin (ASCII) or mtreesYYYY.bin, gzipped or not, from NLM's page of MeSH downloads.
    Every index uses it from then on, unless `mesh_tree` in config.yml names another file.
    """
    from search.retrieval.mesh_tree import add_mesh

    count = add_mesh(file)
    click.echo(f"{count:,} headings added", err=True)


@mesh.command()
@click.argument("name", nargs=-1, required=True)
@common
def show(name: tuple[str, ...], folder: str | None, config_file: Path | None) -> None:
    """Show a heading: its entry terms, its places in the tree, and how many articles have it or a heading below it."""
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
    click.echo(plain(f"{heading.name} ({heading.ui or 'no UI'})"))
    click.echo(f"Articles: {exploded:,} with it or a heading below it, {alone:,} with it")
    click.echo(plain(f"Entry terms: {'; '.join(heading.entry_terms) or 'none'}"))
    click.echo(plain(f"Tree: {', '.join(heading.numbers)}"))
    click.echo(plain(f"Below it: {'; '.join(below) or 'nothing'}"))
