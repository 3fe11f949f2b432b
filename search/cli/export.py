"""Write articles in other formats: export."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from search.cli.filters import filter_options
from search.cli.find import mode_option
from search.cli.options import common, exact_option, open_index, results_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from search.api import Index
    from search.article import Article
    from search.retrieval.filters import Filters
    from search.retrieval.request import Mode

__all__ = ["CITATION_STYLES", "EXPORT_FORMATS", "export"]

#: `search.formats.export.FORMATS` and `search.formats.styled_citation.STYLES`, which take time to import.
EXPORT_FORMATS = ("ris", "bibtex", "nbib", "csv", "jsonl", "csl", "citation", "markdown")
CITATION_STYLES = ("nlm", "vancouver", "ama", "apa")


@click.command()
@click.argument("pmids", nargs=-1, type=int)
@common
@click.option(
    "--format",
    "style",
    required=True,
    type=click.Choice([*EXPORT_FORMATS, "txtai"]),
    help="The format; `txtai` makes an index folder that txtai opens.",
)
@click.option(
    "--style",
    "cited",
    type=click.Choice(CITATION_STYLES),
    default="nlm",
    show_default=True,
    help="With --format citation: its style.",
)
@click.option(
    "--bom/--no-bom",
    "mark",
    default=None,
    help="Begin CSV with a byte order mark, which Excel needs [default: where -o names a .csv file].",
)
@click.option("--hybrid", is_flag=True, help="With --format txtai: add an index of words, for hybrid searches.")
@click.option("--graph", is_flag=True, help="With --format txtai: add a graph of the articles.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file or folder [default: standard output].")
@click.option("--query", "question", help="Export the results of a search.")
@results_option(100, help="With --query: how many results.")
@mode_option
@exact_option
@click.option(
    "--evidence",
    type=click.IntRange(0, 10),
    default=0,
    metavar="N",
    help="With --query and --format markdown: quote N sentences of each that say what was found.",
)
@click.option("--all", "everything", is_flag=True, help="Export the whole index, or all that --strategy selects.")
@click.option("--json", "as_json", is_flag=True, help="With -o: print how many articles went where as JSON.")
@filter_options
def export(
    pmids: tuple[int, ...],
    folder: str | None,
    config_file: Path | None,
    style: str,
    cited: str,
    mark: bool | None,
    hybrid: bool,
    graph: bool,
    output: Path | None,
    question: str | None,
    limit: int,
    mode: Mode | None,
    exact: bool | None,
    evidence: int,
    everything: bool,
    as_json: bool,
    filters: Filters,
) -> None:
    """Write articles in the formats of other tools.

    RIS, BibTeX, MEDLINE text, CSV, JSON lines, CSL JSON, citations in a style, Markdown, or an index that txtai opens.
    Give PMIDs, a file of PMIDs, a search, a strategy or --all. Retracted articles are marked in every format.
    """
    from search.cli.output import print_json

    chosen, question = _selection(list(pmids), question, everything, filters)
    selected = question is not None
    if (style == "txtai" or as_json) and output is None:
        needs = f"--format {style} needs --output FOLDER" if style == "txtai" else "--json goes with -o FILE"
        raise click.UsageError(needs)
    _check_format_options(style, question, hybrid or graph, evidence)
    with open_index(config_file, folder) as index, ExitStack() as stack:
        if selected and everything:
            limit = max(1, index.strategy(filters.strategy or "").count)
        options: dict[str, Any] = {"mode": mode, "filters": filters, "exact": exact}
        options |= {"fold": not everything, "evidence": evidence}
        articles, quotes = _articles(index, chosen, question, limit, options)
        if isinstance(articles, Generator):
            # Closed before the index is, also where the reader of a pipe has seen enough.
            stack.enter_context(closing(articles))
        if style == "txtai" and output is not None:
            chosen_articles = None if everything and not selected else articles
            count = index.export_txtai(output, chosen_articles, hybrid=hybrid, graph=graph)
        else:
            count = _write(articles, style, output, cited, mark, quotes)
    if as_json:
        print_json({"articles": count, "format": style, "output": output}, indent=2)
    else:
        click.echo(f"{count:,} article{'' if count == 1 else 's'}", err=True)


def _selection(
    pmids: list[int], question: str | None, everything: bool, filters: Filters
) -> tuple[list[int], str | None]:
    """Return the PMIDs to export, or the question (empty where a strategy alone selects); neither means everything."""
    if filters.strategy is not None and question is None and not pmids:
        question = ""
    selected = question is not None
    if not selected and not pmids and not everything and filters.pmids is not None:
        pmids = sorted(filters.pmids)
    if sum((bool(pmids), selected, everything and not selected)) != 1:
        raise click.UsageError("give PMIDs, --pmids FILE, --query, --strategy or --all")
    if selected and everything and filters.strategy is None:
        raise click.UsageError("--all goes with --query only where --strategy says which articles are all")
    return pmids, question


def _check_format_options(style: str, question: str | None, of_txtai: bool, evidence: int) -> None:
    if of_txtai and style != "txtai":
        raise click.UsageError("--hybrid and --graph go with --format txtai")
    if evidence and (style != "markdown" or not question):
        raise click.UsageError("--evidence goes with --query and --format markdown")


def _articles(
    index: Index, pmids: list[int], question: str | None, limit: int, options: dict[str, Any]
) -> tuple[Iterable[Article], dict[int, list[str]]]:
    """Return what is exported, and the evidence of each article by PMID."""
    if question is None:
        return index.get_many(pmids) if pmids else index.articles(), {}
    hits = index.search(question, limit, **options)
    quotes = {hit.pmid: [f"{part.section}: {part.text}" for part in hit.evidence] for hit in hits}
    return [hit.article for hit in hits], quotes


def _write(
    articles: Iterable[Article],
    style: str,
    output: Path | None,
    cited: str,
    mark: bool | None,
    quotes: dict[int, list[str]],
) -> int:
    from search.errors import ExportError
    from search.files import written_output
    from search.formats.export import write

    if mark is None:
        mark = output is not None and output.suffix.lower() == ".csv"
    mark = mark and style == "csv"
    if output is None:
        return write(articles, sys.stdout, style, byte_order_mark=mark, style=cited, quotes=quotes)
    try:
        with written_output(output) as stream:
            return write(articles, stream, style, byte_order_mark=mark, style=cited, quotes=quotes)
    except (OSError, ExportError) as error:
        raise ExportError(f"{output}: {error.strerror if isinstance(error, OSError) else error}") from error
