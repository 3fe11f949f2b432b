"""Printing hits and articles: as a table, JSON, JSON lines or CSV. Data goes to standard output."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from search.article import Article
from search.formats.csv import defuse
from search.normalize import UNSAFE, escaped
from search.presentation.citation import author_names, source
from search.presentation.hit import Explanation, as_json, explanation, hit_record, hit_records, search_records
from search.presentation.notices import Notice, notices_of
from search.retrieval.facets import Facets
from search.retrieval.hit import Hit

if TYPE_CHECKING:
    from rich.text import Text

    from search.retrieval.strategy import StrategyResult

__all__ = ["plain", "print_article", "print_facets", "print_json", "print_searches", "print_strategy"]


def plain(text: str) -> str:
    """Return the text without anything that a terminal would obey."""
    readable = text.encode("utf-8", "replace").decode()
    return UNSAFE.sub(lambda match: match[0] if match[0] in "\t\n" else "", readable)


def _badge(notice: Notice) -> str:
    """Return a notice in a few words: `RETRACTED: PMID 20137807`, `erratum: PMID 5`."""
    label = notice.label.upper() if notice.severity == "danger" else notice.label
    return label if notice.pmid is None else f"{label}: PMID {notice.pmid}"


def _badge_style(notice: Notice) -> str:
    return "bold red" if notice.severity == "danger" else "yellow"


def print_searches(
    questions: Sequence[str | None], answers: Sequence[list[Hit]], style: str, *, explain: bool = False
) -> None:
    """Print the hits of one or several searches; a question of None has no words to explain a hit by."""
    several = len(answers) > 1
    if style == "table":
        for question, hits in zip(questions, answers, strict=True):
            _print_table(question, hits, headed=several, explain=explain)
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
    console = _console()
    console.print(table)
    console.print(Text(f"Search details: {plain(found.translation)}"))


def print_json(value: Any, indent: int = 0) -> None:
    """Print a value as one line of JSON, or indented."""
    # JSON leaves control characters above U+007F as they are; in escapes they steer nothing.
    sys.stdout.write(escaped(as_json(value, indent).decode()))


def _print_table(question: str | None, hits: list[Hit], *, headed: bool, explain: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = _console()
    if headed and question is not None:
        console.print(Text(plain(question), style="bold"))
    if not hits:
        console.print("nothing found")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("#", justify="right")
    table.add_column("score", justify="right")
    table.add_column("year", justify="right")
    table.add_column("journal", max_width=24)
    table.add_column("title", ratio=1)
    table.add_column("PMID", justify="right", no_wrap=True)
    for hit in hits:
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            str(hit.article.year or ""),
            Text(plain(hit.article.journal_abbreviation)),
            _title(hit, explanation(question, hit) if explain and question else None),
            Text(str(hit.pmid), style=f"link {hit.article.url}"),
        )
    console.print(table)


def _title(hit: Hit, explained: Explanation | None) -> Text:
    """Return the title with its notices, evidence, duplicates and link."""
    from rich.text import Text

    text = Text()
    for notice in notices_of(hit.article):
        text.append(f"[{_badge(notice)}] ", style=_badge_style(notice))
    text.append(plain(hit.article.title) or "(no title)")
    for part in hit.evidence:
        text.append(f"\n{part.section}: ", style="dim")
        text.append(f"\u201c{plain(part.text)}\u201d", style="green")
        text.append(f" {part.score:.3f}", style="dim")
    for other in hit.duplicates:
        text.append(f"\nalso PMID {other.pmid}: {other.reason}", style="yellow")
    if explained:
        words = ", ".join(explained.matched_words) or "none"
        values = msgspec.structs.asdict(explained).items()
        shown = ((name.replace("_", " "), value) for name, value in values if type(value) in (int, float))
        numbers = ", ".join(f"{name} {value:g}" for name, value in shown if value)
        text.append(f"\n{numbers}; words in common: {plain(words)}", style="cyan")
        if explained.estimated:
            text.append("; estimated: not encoded yet", style="cyan")
        if explained.added_words:
            text.append(f"; added by feedback: {plain(', '.join(explained.added_words))}", style="cyan")
    text.append(f"\n{hit.article.url}", style=f"dim link {hit.article.url}")
    return text


_COLUMNS = ("rank", "score", "pmid", "year", "journal", "title", "url", "doi", "retracted", "notices", "sample")


def _print_csv(questions: Sequence[str | None], answers: Sequence[list[Hit]]) -> None:
    several = len(answers) > 1
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow((["question"] if several else []) + list(_COLUMNS))
    for question, hits in zip(questions, answers, strict=True):
        for hit in hits:
            record = {
                **msgspec.to_builtins(hit_record(hit)),
                "notices": "; ".join(map(_badge, notices_of(hit.article))),
            }
            cells = [_cell(record[column]) for column in _COLUMNS]
            writer.writerow(([_cell(question)] if several else []) + cells)
    sys.stdout.write(stream.getvalue())


def _cell(value: object) -> object:
    return defuse(plain(value)) if isinstance(value, str) else "" if value is None else value


def print_facets(facets: Facets) -> None:
    """Print counts as bars, a block for each kind."""
    from rich.table import Table

    console = _console()
    console.print(f"of the first {facets.articles:,} results")
    for name, counts in (
        ("year", {str(year): count for year, count in facets.years.items()}),
        ("journal", facets.journals),
        ("MeSH heading", facets.mesh),
        ("publication type", facets.publication_types),
        ("language", facets.languages),
    ):
        table = Table(box=None, pad_edge=False)
        table.add_column(name, max_width=50)
        table.add_column("articles", justify="right")
        table.add_column("")
        most = max(counts.values(), default=1)
        for value, count in list(counts.items())[: None if name == "year" else _FACETS_SHOWN]:
            table.add_row(plain(value), f"{count:,}", "\u2588" * max(1, round(30 * count / most)))
        if counts:
            console.print()
            console.print(table)


_FACETS_SHOWN = 12


def print_article(article: Article) -> None:
    """Print one article to be read: citation, notices, abstract, MeSH, links."""
    from rich.text import Text

    console = _console()
    title = Text(plain(article.title) or "(no title)", style="bold")
    console.print(title)
    for notice in notices_of(article):
        console.print(Text(f"[{_badge(notice)}]", style=_badge_style(notice)))
    for line in _citation(article):
        console.print(Text(plain(line)))
    if article.abstract:
        console.print()
        console.print(Text(plain(article.labelled_abstract)))
    console.print()
    for name, values in (
        ("MeSH", [heading.descriptor + ("*" if heading.is_major else "") for heading in article.mesh_headings]),
        ("Keywords", [keyword.text for keyword in article.keywords]),
        ("Types", [kind.name for kind in article.publication_types]),
        ("Trials", list(article.trial_numbers)),
    ):
        if values:
            console.print(Text(plain(f"{name}: {'; '.join(values)}")))
    console.print(Text(article.url, style=f"link {article.url}"))


def _citation(article: Article) -> list[str]:
    identifiers = [f"PMID {article.pmid}"]
    identifiers += [f"doi:{article.doi}"] if article.doi else []
    identifiers += [article.pmcid] if article.pmcid else []
    vernacular = [article.vernacular_title] if article.vernacular_title else []
    return [
        line
        for line in (
            *vernacular,
            author_names(article, most=len(article.authors)),
            source(article),
            ", ".join(identifiers),
        )
        if line
    ]


def _console() -> Any:
    from rich.console import Console

    # A pipe has no width of its own; what is cut there is lost.
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
