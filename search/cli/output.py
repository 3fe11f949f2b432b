"""Print hits, articles and counts as text, JSON, JSON lines or CSV. Data goes to standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from search.article import Article
from search.cli.screen import badge, badge_style, console, paged, plain, print_wrapped
from search.formats import csv
from search.normalize import escaped
from search.presentation.citation import author_names, source
from search.presentation.hit_record import as_json, hit_records, search_records
from search.presentation.notices import notices_of
from search.retrieval.facets import Facets
from search.retrieval.hit import Hit

if TYPE_CHECKING:
    from search.retrieval.strategy import StrategyResult

__all__ = ["print_article", "print_facets", "print_json", "print_searches", "print_strategy"]


def print_searches(
    questions: Sequence[str | None],
    answers: Sequence[list[Hit]],
    style: str,
    *,
    explain: bool = False,
    count: str = "",
) -> None:
    """Print the hits of one or several searches, as text with a count of the articles above them.

    A question of None has no words to explain a hit by.
    """
    several = len(answers) > 1
    if style == "text":
        from search.cli.blocks import print_hits

        with paged():
            for question, hits in zip(questions, answers, strict=True):
                print_hits(question, hits, headed=several, explain=explain, count=count)
    elif style == "csv":
        _print_csv(questions, answers)
    elif style == "jsonl":
        for question, hits in zip(questions, answers, strict=True):
            for record in hit_records(question, hits, explain=explain):
                print_json({"question": question, **msgspec.to_builtins(record)} if several else record)
    elif several:
        print_json(search_records(questions, answers, explain=explain), indent=2)
    else:
        print_json(hit_records(questions[0], answers[0], explain=explain), indent=2)


def print_strategy(found: StrategyResult) -> None:
    """Print the lines of a strategy with their counts, and the search details of the last."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("line", justify="right")
    table.add_column("search", ratio=1)
    table.add_column("articles", justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(f"#{line.number}", Text(plain(line.text)), f"{line.count:,}")
    screen = console()
    screen.print(table)
    print_wrapped(screen, Text(f"Search details: {plain(found.translation)}"))


def print_json(value: Any, indent: int = 0) -> None:
    """Print a value as one line of JSON, or indented."""
    # JSON leaves control characters above U+007F as they are; in escapes they steer nothing.
    sys.stdout.write(escaped(as_json(value, indent).decode()))


def _print_csv(questions: Sequence[str | None], answers: Sequence[list[Hit]]) -> None:
    several = len(answers) > 1
    sys.stdout.write(csv.line([*(["question"] if several else []), "rank", "score", *csv.COLUMNS]))
    for question, hits in zip(questions, answers, strict=True):
        question_cells = [csv.defuse(plain(question or ""))] if several else []
        for hit in hits:
            sys.stdout.write(csv.line([*question_cells, hit.rank, round(hit.score, 6), *csv.row(hit.article)]))


def print_facets(facets: Facets) -> None:
    """Print counts as bars, a block for each kind."""
    from rich.table import Table

    screen = console()
    screen.print(f"of the first {facets.articles:,} results")
    for name, counts in (
        ("year", {str(year): count for year, count in facets.years.items()}),
        ("journal", facets.journals),
        ("MeSH heading", facets.mesh),
        ("publication type", facets.publication_types),
        ("language", facets.languages),
        ("study design", facets.designs),
        ("times cited", facets.cited_by),
    ):
        table = Table(box=None, pad_edge=False)
        table.add_column(name, max_width=50)
        table.add_column("articles", justify="right")
        table.add_column("")
        most = max(counts.values(), default=1)
        for value, count in list(counts.items())[: None if name == "year" else _FACETS_SHOWN]:
            table.add_row(plain(value), f"{count:,}", "\u2588" * max(1, round(30 * count / most)))
        if counts:
            screen.print()
            screen.print(table)


_FACETS_SHOWN = 12


#: The authors that are printed of an article, unless all are.
_AUTHORS = 20


def print_article(article: Article, *, all_authors: bool = False) -> None:
    """Print one article to be read: citation, the first authors or all, notices, abstract, MeSH, links."""
    from rich.text import Text

    screen = console()
    print_wrapped(screen, Text(plain(article.title) or "(no title)", style="bold"))
    for notice in notices_of(article):
        print_wrapped(screen, Text(f"[{badge(notice)}]", style=badge_style(notice)))
    for line in _citation(article, len(article.authors) if all_authors else _AUTHORS):
        print_wrapped(screen, Text(plain(line)))
    if article.abstract:
        screen.print()
        for paragraph in plain(article.labelled_abstract).splitlines():
            print_wrapped(screen, Text(paragraph))
    screen.print()
    for name, values in (
        ("MeSH", [heading.descriptor + ("*" if heading.is_major else "") for heading in article.mesh_headings]),
        ("Keywords", [keyword.text for keyword in article.keywords]),
        ("Types", [kind.name for kind in article.publication_types]),
        ("Trials", list(article.trial_numbers)),
    ):
        if values:
            print_wrapped(screen, Text(plain(f"{name}: {'; '.join(values)}")))
    screen.print(Text(article.url, style=f"link {article.url}"), soft_wrap=True)


def _citation(article: Article, most: int) -> list[str]:
    identifiers = [f"PMID {article.pmid}"]
    identifiers += [f"doi:{article.doi}"] if article.doi else []
    identifiers += [article.pmcid] if article.pmcid else []
    vernacular = [article.vernacular_title] if article.vernacular_title else []
    return [
        line
        for line in (
            *vernacular,
            author_names(article, most),
            source(article),
            ", ".join(identifiers),
        )
        if line
    ]
