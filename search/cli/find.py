"""Commands that find and show: query, similar, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from search.cli.options import common, format_option, open_index
from search.errors import QueryError

if TYPE_CHECKING:
    from search.query.search import Mode

__all__ = ["query", "show", "similar"]


@click.command()
@click.argument("question", nargs=-1)
@common
@click.option(
    "-n", "--results", "limit", type=click.IntRange(min=1), help="How many [default: the config's `results`]."
)
@click.option(
    "--mode",
    type=click.Choice(["semantic", "lexical", "hybrid"]),
    help="Rank by meaning, by words (BM25) or by both [default: the config's `mode`].",
)
@click.option(
    "--queries",
    "file",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="A file with a question a line (- for standard input).",
)
@format_option
def query(
    question: tuple[str, ...],
    folder: Path | None,
    config_file: Path | None,
    limit: int | None,
    mode: Mode | None,
    file: TextIO | None,
    style: str,
) -> None:
    """Find the articles whose meaning is nearest to a question in plain language."""
    from search.cli.output import print_searches

    if bool(question) == (file is not None):
        raise click.UsageError("give a question, or a file of questions with --queries")
    questions = [line.strip() for line in file if line.strip()] if file else [" ".join(question)]
    if not questions:
        raise QueryError(f"{getattr(file, 'name', '--queries')} holds no question")
    with open_index(config_file, folder) as index:
        answers = index.search(questions, limit or index.config.results, mode=mode or index.config.mode)
    print_searches(questions, answers, style)


@click.command()
@click.argument("pmids", nargs=-1, required=True, type=int)
@common
@click.option(
    "-n", "--results", "limit", type=click.IntRange(min=1), help="How many [default: the config's `results`]."
)
@format_option
def similar(
    pmids: tuple[int, ...], folder: Path | None, config_file: Path | None, limit: int | None, style: str
) -> None:
    """Find the articles most like one, or like several taken together."""
    from search.cli.output import print_searches

    with open_index(config_file, folder) as index:
        hits = index.similar(pmids, limit or index.config.results)
    print_searches([None], [hits], style)


@click.command()
@click.argument("pmids", nargs=-1, required=True, type=int)
@common
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(pmids: tuple[int, ...], folder: Path | None, config_file: Path | None, style: str) -> None:
    """Show articles by PMID, with all that is known of them in JSON."""
    from search.article import to_dict
    from search.cli.output import print_article, print_json

    with open_index(config_file, folder) as index:
        for pmid in pmids:
            article = index.get(pmid)
            if article is None:
                raise QueryError(f"PMID {pmid} is not in {index.folder}")
            if style == "json":
                print_json(to_dict(article), indent=2)
            else:
                print_article(article)
