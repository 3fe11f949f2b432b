"""Commands that find and show: query, ask, table, similar, facets, show, open."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from search.cli.filters import filter_options, is_pmid
from search.cli.options import common, exact_option, format_option, formats, open_index, results_option, text_or_json
from search.errors import QueryError

if TYPE_CHECKING:
    from search.api import Index
    from search.retrieval.expansion import Understanding
    from search.retrieval.filters import Filters
    from search.retrieval.request import Mode, Sort

__all__ = ["ask", "facets", "open_article", "query", "show", "similar", "table"]

#: `search.retrieval.request.MODES`, which takes time to import.
MODES = ("semantic", "lexical", "hybrid")

limit_option = results_option(help="How many results [default: the config's].")
mode_option = click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Rank by meaning, by words (BM25) or by both [default: the config's].",
)


@click.command()
@click.argument("question", nargs=-1)
@common
@limit_option
@mode_option
@click.option(
    "--queries",
    "file",
    type=click.File("r", encoding="utf-8-sig", errors="replace"),
    help="A file with one question per line (- for standard input).",
)
@click.option(
    "--evidence",
    type=click.IntRange(0, 10),
    default=0,
    metavar="N",
    help="Show N sentences of each abstract that say what was found.",
)
@click.option("--explain", is_flag=True, help="Show cosine, BM25, matched words and the rank in each list.")
@click.option("--no-dedupe", is_flag=True, help="Show duplicates (same DOI, or same title and year) separately.")
@click.option("--no-feedback", is_flag=True, help="Rank by the question alone; learn nothing from its first answers.")
@exact_option
@click.option(
    "--sort",
    type=click.Choice(["relevance", "date", "first-author", "cited"]),
    default="relevance",
    show_default=True,
    help="Put the best 200 in order by date, author or citations.",
)
@click.option("--min-score", type=float, metavar="S", help="Leave out results that score less; -1 lists all.")
@click.option("--save", metavar="NAME", help="Save the search; `search new NAME` then shows what is new.")
@click.option("--replace", is_flag=True, help="With --save: replace another search of that name.")
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
    no_dedupe: bool,
    no_feedback: bool,
    exact: bool | None,
    sort: Sort,
    min_score: float | None,
    save: str | None,
    replace: bool,
    style: str,
    filters: Filters,
) -> None:
    """Find the articles that answer a question in plain language.

    `search "your question"` does the same. PubMed field tags in a question are filters:
    `statins 2015:2020[dp] AND review[pt]`. With --strategy, the question orders what the strategy selects; without a
    question, the newest come first.
    """
    from search.cli.output import print_searches
    from search.retrieval.request import SearchOptions
    from search.retrieval.tags import has_idle_operator

    if bool(question) == (file is not None) and (file is not None or filters.strategy is None):
        raise click.UsageError("give a question, a file of questions with --queries, or --strategy")
    questions = [line.strip() for line in file if line.strip()] if file else [" ".join(question)]
    if not questions:
        raise QueryError(f"{getattr(file, 'name', '--queries')} contains no question")
    if save and len(questions) > 1:
        raise click.UsageError("--save takes one question")
    if replace and not save:
        raise click.UsageError("--replace goes with --save")
    with open_index(config_file, folder) as index:
        options: dict[str, Any] = {"mode": mode, "filters": filters, "evidence": evidence, "fold": not no_dedupe}
        options["feedback"] = False if no_feedback else None
        options |= {"exact": exact, "sort": sort, "min_score": min_score}
        if save:
            answers = [index.save_search(save, questions[0], limit, replace=replace, **options)]
        else:
            answers = index.search(questions, limit, **options)
        count = ""
        if style == "text" and len(questions) == 1 and answers[0]:
            search = SearchOptions(mode=mode, filters=filters, exact=exact)
            count = _count(index, index.engine.understand(questions[0], search, near=min_score is None))
    print_searches(questions, answers, style, explain=explain, count=count)
    if any(has_idle_operator(text) for text in questions):
        click.echo(
            "note: without field tags, AND, OR and NOT are plain words; --strategy knows them as operators", err=True
        )


def _count(index: Index, understood: Understanding) -> str:
    """Return how many articles pass the filters of a question, and how many are near enough to it."""
    total = index.count()
    near = f"at least {understood.near_enough:,} near enough to the question" if understood.near_enough else ""
    if understood.articles < total:
        return f"{understood.articles:,} of {total:,} articles selected" + (f", {near}" if near else "")
    return near and f"at least {understood.near_enough:,} of {total:,} articles near enough to the question"


@click.command()
@click.argument("question", nargs=-1, required=True)
@common
@limit_option
@mode_option
@exact_option
@formats("markdown", "csv", "json")
@filter_options
def table(
    question: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    limit: int | None,
    mode: Mode | None,
    exact: bool | None,
    style: str,
    filters: Filters,
) -> None:
    """Lay the answers out as a table of studies.

    The columns are design, n, finding, year and citation. Design and n are read by rules from publication types,
    headings and abstract, and are empty where these do not say.
    """
    from search.cli.screen import plain
    from search.presentation.hit_record import as_json
    from search.presentation.study_table import csv_table, markdown_table, study_rows

    with open_index(config_file, folder) as index:
        hits = index.search(" ".join(question), limit, mode=mode, filters=filters, evidence=1, exact=exact)
        rows = study_rows(hits)
    if style == "json":
        click.echo(as_json(rows), nl=False)
    else:
        click.echo(csv_table(rows) if style == "csv" else plain(markdown_table(rows)), nl=False)


@click.command()
@click.argument("question", nargs=-1, required=True)
@common
@limit_option
@mode_option
@exact_option
@click.option(
    "--llm/--no-llm",
    "with_llm",
    default=None,
    help="Let a language model write the answer, or quote findings only [default: --llm if the config names a model].",
)
@click.option("--strict", is_flag=True, default=None, help="With --llm: leave out sentences that fail the check.")
@text_or_json
@filter_options
def ask(
    question: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    limit: int | None,
    mode: Mode | None,
    exact: bool | None,
    with_llm: bool | None,
    strict: bool | None,
    style: str,
    filters: Filters,
) -> None:
    """Quote what the best articles found, each finding with its source.

    Findings that agree are together, the nearest and those of firmer designs first. Every sentence is an article's own.

    With --llm the language model of the config writes an answer. Each of its sentences is checked against the articles
    it names, and marked if it fails.
    """
    from search.cli.blocks import print_findings
    from search.cli.written import print_answer, print_answer_json
    from search.presentation.hit_record import as_json

    with open_index(config_file, folder) as index:
        if with_llm is None:
            with_llm = index.config.language_model is not None
        if strict and not with_llm:
            raise click.UsageError("--strict goes with --llm")
        text = " ".join(question)
        if with_llm:
            answer = index.ask(text, limit, mode=mode, filters=filters, exact=exact, llm=True, strict=strict)
            print_answer_json(answer) if style == "json" else print_answer(answer)
            return
        findings = index.ask(text, limit, mode=mode, filters=filters, exact=exact)
    if style == "json":
        click.echo(as_json(findings), nl=False)
    else:
        print_findings(findings)


@click.command()
@click.argument("likes", nargs=-1, required=True, metavar="PMID|FILE...")
@common
@limit_option
@click.option(
    "--not", "unlike", type=int, multiple=True, metavar="PMID", help="Avoid articles like this one; repeatable."
)
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
    """Find articles like the given articles or texts.

    Give PMIDs, text files, or - for standard input.
    """
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
        return Path(name).read_text("utf-8-sig", "replace")
    except OSError as error:
        raise QueryError(f"{name}: {error.strerror}; give PMIDs or text files") from error


@click.command()
@click.argument("question", nargs=-1, required=True)
@common
@mode_option
@exact_option
@click.option(
    "--depth", type=click.IntRange(1), metavar="N", default=1000, show_default=True, help="How many results to count."
)
@text_or_json
@filter_options
def facets(
    question: tuple[str, ...],
    folder: str | None,
    config_file: Path | None,
    mode: Mode | None,
    exact: bool | None,
    depth: int,
    style: str,
    filters: Filters,
) -> None:
    """Count results by year, journal, MeSH heading, type and language."""
    import msgspec

    from search.cli.output import print_facets, print_json

    with open_index(config_file, folder) as index:
        counts = index.facets(" ".join(question), mode=mode, filters=filters, exact=exact, depth=depth)
    if style == "json":
        print_json(msgspec.to_builtins(counts, str_keys=True), indent=2)
    else:
        print_facets(counts)


@click.command()
@click.argument("identifiers", nargs=-1, required=True, metavar="PMID|DOI|PMCID...")
@common
@text_or_json
@click.option("--all-authors", is_flag=True, help="Print every author [default: the first 20].")
def show(
    identifiers: tuple[str, ...], folder: str | None, config_file: Path | None, style: str, all_authors: bool
) -> None:
    """Show articles by PMID, DOI, PMCID or address.

    JSON has every field of the record; several articles are a list.
    """
    from search.article import to_dict
    from search.cli.output import print_article, print_json
    from search.cli.screen import paged
    from search.retrieval.identifiers_typed import identifier_query

    for identifier in identifiers:
        if not is_pmid(identifier) and identifier_query(identifier) is None:
            raise click.UsageError(f"{identifier!r} is not a valid PMID, DOI, PMCID or address of an article")
    with open_index(config_file, folder) as index:
        articles = index.get_many([_named(index, identifier) for identifier in identifiers])
    if style == "json":
        records = [to_dict(article) for article in articles]
        print_json(records[0] if len(identifiers) == 1 else records, indent=2)
        return
    with paged():
        for article in articles:
            print_article(article, all_authors=all_authors)


def _named(index: Index, identifier: str) -> int:
    """Return the PMID of the article that an identifier names."""
    if is_pmid(identifier):
        return int(identifier)
    pmids = index.engine.identified(identifier)
    if not pmids:
        raise QueryError(f"{identifier} is not in {index.name}")
    return pmids[0]


@click.command(name="open")
@click.argument("pmid", type=int)
@click.option("--full-text", is_flag=True, help="Open the free full text in PubMed Central, if there is one.")
@common
def open_article(pmid: int, full_text: bool, folder: str | None, config_file: Path | None) -> None:
    """Open an article's page at PubMed in the browser."""
    with open_index(config_file, folder) as index:
        (article,) = index.get_many([pmid])
    if full_text and article.pmcid is None:
        raise QueryError(f"PMID {pmid} has no free full text in PubMed Central")
    address = f"https://pmc.ncbi.nlm.nih.gov/articles/{article.pmcid}/" if full_text else article.url
    click.echo(address, err=True)
    click.launch(address)
