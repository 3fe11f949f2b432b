"""Commands that find and show: query, similar, facets, show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from search.cli.filters import filter_options, is_pmid
from search.cli.options import common, format_option, open_index
from search.errors import QueryError

if TYPE_CHECKING:
    from search.retrieval.filters import Filters
    from search.retrieval.request import Mode

__all__ = ["facets", "query", "show", "similar"]

limit_option = click.option(
    "-n", "--results", "limit", type=click.IntRange(min=1), help="How many [default: the config's `results`]."
)
mode_option = click.option(
    "--mode",
    type=click.Choice(["semantic", "lexical", "hybrid"]),
    help="Rank by meaning, by words (BM25) or by both [default: the config's `mode`].",
)


@click.command()
@click.argument("question", nargs=-1)
@common
@limit_option
@mode_option
@click.option(
    "--queries",
    "file",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="A file with a question a line (- for standard input).",
)
@click.option(
    "--evidence", type=click.IntRange(0), default=0, metavar="N", help="Show the N nearest sentences of each."
)
@click.option("--explain", is_flag=True, help="Show cosine, BM25, matched words and the rank in each list.")
@click.option("--no-fold", is_flag=True, help="Show duplicates (same DOI, or same title and year) each for itself.")
@click.option("--no-feedback", is_flag=True, help="Rank by the question alone, without its first answers.")
@click.option("--save", metavar="NAME", help="Keep the search under a name; `search new NAME` tells what is new.")
@format_option
@filter_options
def query(
    question: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    limit: int | None,
    mode: Mode | None,
    file: TextIO | None,
    evidence: int,
    explain: bool,
    no_fold: bool,
    no_feedback: bool,
    save: str | None,
    style: str,
    filters: Filters,
) -> None:
    """Find the articles whose meaning is nearest to a question in plain language.

    PubMed field tags inside a question are filters: `statins 2015:2020[dp] AND review[pt]`. With --strategy, the
    question orders what the strategy selects; without a question, the newest come first.
    """
    from search.cli.output import print_searches

    if bool(question) == (file is not None) and (file is not None or filters.strategy is None):
        raise click.UsageError("give a question, a file of questions with --queries, or --strategy")
    questions = [line.strip() for line in file if line.strip()] if file else [" ".join(question)]
    if not questions:
        raise QueryError(f"{getattr(file, 'name', '--queries')} holds no question")
    if save and len(questions) > 1:
        raise click.UsageError("--save keeps one question")
    with open_index(config_file, folder) as index:
        options: dict[str, Any] = {"mode": mode, "filters": filters, "evidence": evidence, "fold": not no_fold}
        options["feedback"] = False if no_feedback else None
        if save:
            answers = [index.save_search(save, questions[0], limit, **options)]
        else:
            answers = index.search(questions, limit, **options)
    print_searches(questions, answers, style, explain=explain)


@click.command()
@click.argument("likes", nargs=-1, required=True, metavar="PMID|FILE...")
@common
@limit_option
@click.option("--not", "unlike", type=int, multiple=True, metavar="PMID", help="Keep away from this article.")
@format_option
@filter_options
def similar(
    likes: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    limit: int | None,
    unlike: tuple[int, ...],
    style: str,
    filters: Filters,
) -> None:
    """Find the articles most like some articles or texts: PMIDs, text files, - for standard input."""
    from search.cli.output import print_searches

    pmids = [int(like) for like in likes if is_pmid(like)]
    texts = [_read_text(like) for like in likes if not is_pmid(like)]
    with open_index(config_file, folder) as index:
        hits = index.similar(pmids, limit, unlike=unlike, texts=texts, filters=filters)
    print_searches([None], [hits], style)


def _read_text(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text("utf-8", "replace")
    except OSError as error:
        raise QueryError(f"{name}: {error.strerror}; give PMIDs or text files") from error


@click.command()
@click.argument("question", nargs=-1, required=True)
@common
@mode_option
@click.option("--depth", type=click.IntRange(1), default=1000, show_default=True, help="How many results are counted.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@filter_options
def facets(
    question: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    mode: Mode | None,
    depth: int,
    style: str,
    filters: Filters,
) -> None:
    """Count the first results of a search by year, journal, MeSH heading, type and language."""
    import msgspec

    from search.cli.output import print_facets, print_json

    with open_index(config_file, folder) as index:
        found = index.facets(" ".join(question), mode=mode, filters=filters, depth=depth)
    if style == "json":
        print_json(msgspec.to_builtins(found, str_keys=True), indent=2)
    else:
        print_facets(found)


@click.command()
@click.argument("pmids", nargs=-1, required=True, type=int)
@common
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(pmids: tuple[int, ...], folder: str | None, config_file: Path | None, style: str) -> None:
    """Show articles by PMID, with all that is known of them in JSON."""
    from search.article import to_dict
    from search.cli.output import print_article, print_json

    with open_index(config_file, folder) as index:
        for pmid in pmids:
            article = index.get(pmid)
            if article is None:
                raise QueryError(f"PMID {pmid} is not in {index.name}")
            if style == "json":
                print_json(to_dict(article), indent=2)
            else:
                print_article(article)
