"""The commands of MeSH: add NLM's file to the installation, and show a heading."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, config_option, json_option, open_index, text_or_json
from search.errors import QueryError

if TYPE_CHECKING:
    from search.api import Index
    from search.config import Config
    from search.formats.mesh_records import MeshRecord
    from search.retrieval.mesh_tree import MeshTree

__all__ = ["mesh"]


@click.group()
def mesh() -> None:
    """Install NLM's MeSH, and show its headings.

    With it, a heading includes the narrower ones, and untagged words are mapped to headings as PubMed does.
    """


@mesh.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def add(files: tuple[Path, ...], as_json: bool) -> None:
    """Keep MeSH for this installation, from NLM's files.

    FILES are the descriptors (descYYYY.xml, or dYYYY.bin in ASCII) and, for [nm] and all of [pa], the supplementary
    concepts (suppYYYY.xml or cYYYY.bin), gzipped or not; mtreesYYYY.bin gives the tree alone. Every index uses them
    from then on, unless `mesh_tree` in config.yml names another file. A kind that no file has stays as it was.
    """
    from search.retrieval.mesh_tree import add_mesh

    _print_counts(add_mesh(files), as_json=as_json)


@mesh.command()
@config_option
@json_option
def update(config_file: Path | None, as_json: bool) -> None:
    """Fetch this year's MeSH from NLM and keep it.

    Downloads the descriptors and the supplementary concepts (about 60 MB together) from `nlm: mesh_url` in config.yml
    and checks them. Run it again to resume after an interruption, and once a year to keep MeSH current.
    """
    from search.config import load_config
    from search.pubmed.mesh_files import update_mesh

    counts = update_mesh(load_config(config_file).nlm, say=lambda text: click.echo(text, err=True))
    _print_counts(counts, as_json=as_json)


def _print_counts(counts: tuple[int, int], *, as_json: bool) -> None:
    from search.cli.output import print_json

    headings, concepts = counts
    if as_json:
        print_json({"headings": headings, "supplementary_concepts": concepts}, indent=2)
    else:
        click.echo(f"MeSH now has {headings:,} headings and {concepts:,} supplementary concepts", err=True)


@mesh.command()
@click.argument("name", nargs=-1, required=True)
@common
@text_or_json
def show(name: tuple[str, ...], folder: str | None, config_file: Path | None, style: str) -> None:
    """Show a heading: entry terms, places in the tree, how many articles."""
    from search.cli.output import print_json
    from search.cli.screen import plain

    text = " ".join(name)
    with open_index(config_file, folder) as index, closing(_tree(index.config)) as tree:
        heading = tree.heading(text) or tree.concept(text)
        if heading is None:
            raise QueryError(f"MeSH has no heading or supplementary concept {text!r}")
        counts = _articles(index, heading)
        below = tree.below(heading.name)
    if style == "json":
        names = {"name": heading.name, "ui": heading.ui, "supplementary": heading.supplementary}
        lists = {"entry_terms": heading.entry_terms, "actions": heading.actions}
        tree_lists = {} if heading.supplementary else {"tree": heading.numbers, "narrower": below}
        print_json(names | counts | lists | tree_lists, indent=2)
        return
    click.echo(plain(f"{heading.name} ({heading.ui or 'no UI'})"))
    if heading.supplementary:
        click.echo(f"Articles: {counts['articles']:,} with this supplementary concept")
    else:
        alone = counts["articles_without_narrower"]
        click.echo(f"Articles: {counts['articles']:,} with it or a heading below it, {alone:,} with it")
    click.echo(plain(f"Entry terms: {'; '.join(heading.entry_terms) or 'none'}"))
    if heading.actions:
        click.echo(plain(f"Pharmacological actions: {'; '.join(heading.actions)}"))
    if not heading.supplementary:
        click.echo(plain(f"Tree: {', '.join(heading.numbers)}"))
        click.echo(plain(f"Below it: {'; '.join(below) or 'nothing'}"))


def _articles(index: Index, heading: MeshRecord) -> dict[str, int]:
    """Return how many articles have a heading, with what is below it and alone, or a supplementary concept."""
    if heading.supplementary:
        return {"articles": index.strategy(f'"{heading.name}"[nm]').count}
    tags = {"articles": "mh", "articles_without_narrower": "mh:noexp"}
    return {key: index.strategy(f'"{heading.name}"[{tag}]').count for key, tag in tags.items()}


def _tree(config: Config) -> MeshTree:
    from search.retrieval.mesh_tree import load_mesh

    tree = load_mesh(config.mesh_tree)
    if tree is None:
        raise QueryError(
            "MeSH is not installed: run `search mesh update`, or give NLM's file to `search mesh add FILE`"
        )
    return tree
