"""Printing hits and articles: as a table, JSON, JSON lines or CSV. Data goes to standard output."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from search.article import Article
from search.query.records import hit_record
from search.query.search import Hit

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["SAMPLE_NOTE", "marks", "plain", "print_article", "print_json", "print_searches"]

SAMPLE_NOTE = "not a real study: a record written for the demonstration"

# C0 and C1 control characters but tab and newline could steer a terminal; bidirectional overrides could reorder it.
_CONTROL = {
    code: None
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\t\n"
}


def plain(text: str) -> str:
    """Return the text without anything that a terminal would obey."""
    return text.encode("utf-8", "replace").decode().translate(_CONTROL)


def marks(article: Article) -> list[str]:
    """Return what must be said beside an article's title: retracted, corrected, not a real study."""
    found = []
    if article.is_retracted:
        found.append("RETRACTED")
    for notice in article.notices:
        label = _NOTICES.get(notice.kind)
        if label:
            found.append(f"{label}: PMID {notice.pmid}" if notice.pmid else label)
    if article.is_sample:
        found.append("not a real study")
    return found


_NOTICES = {
    "RetractionIn": "retraction notice",
    "RetractedandRepublishedIn": "retracted and republished",
    "ExpressionOfConcernIn": "expression of concern",
    "CorrectedandRepublishedIn": "corrected and republished",
    "ErratumIn": "erratum",
    "UpdateIn": "updated",
}


def print_searches(questions: Sequence[str | None], answers: Sequence[list[Hit]], style: str) -> None:
    """Print the hits of one or several searches; a question of None is not printed."""
    if style == "table":
        for question, hits in zip(questions, answers, strict=True):
            _print_table(question if len(answers) > 1 else None, hits)
    elif style == "csv":
        _print_csv(questions, answers)
    elif style == "jsonl":
        for question, hits in zip(questions, answers, strict=True):
            for hit in hits:
                prefix = {"question": question} if len(answers) > 1 else {}
                print_json({**prefix, **hit_record(hit)})
    elif len(answers) == 1:
        print_json([hit_record(hit) for hit in answers[0]], indent=2)
    else:
        print_json(
            [
                {"question": question, "hits": [hit_record(hit) for hit in hits]}
                for question, hits in zip(questions, answers, strict=True)
            ],
            indent=2,
        )


def print_json(value: Any, indent: int = 0) -> None:
    """Print a value as one line of JSON, or indented."""
    data = msgspec.json.encode(value)
    sys.stdout.write((msgspec.json.format(data, indent=indent) if indent else data).decode() + "\n")


def _print_table(question: str | None, hits: list[Hit]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = _console()
    if question is not None:
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
        journal = hit.article.journal.iso_abbreviation or hit.article.journal.title or ""
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            str(hit.article.year or ""),
            Text(plain(journal)),
            _title(hit.article),
            Text(str(hit.pmid), style=f"link {hit.article.url}"),
        )
    console.print(table)


def _title(article: Article) -> Text:
    from rich.text import Text

    text = Text()
    for mark in marks(article):
        text.append(f"[{mark}] ", style="bold red" if mark == "RETRACTED" else "yellow")
    text.append(plain(article.title) or "(no title)")
    text.append(f"\n{article.url}", style=f"dim link {article.url}")
    return text


def _print_csv(questions: Sequence[str | None], answers: Sequence[list[Hit]]) -> None:
    several = len(answers) > 1
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    columns = ["rank", "score", "pmid", "year", "journal", "title", "url", "doi", "retracted", "sample"]
    writer.writerow((["question"] if several else []) + columns)
    for question, hits in zip(questions, answers, strict=True):
        for hit in hits:
            record = hit_record(hit)
            cells = [_cell(record[column]) for column in columns]
            writer.writerow(([_cell(question)] if several else []) + cells)
    sys.stdout.write(stream.getvalue())


def _cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def print_article(article: Article) -> None:
    """Print one article to be read: citation, marks, abstract, MeSH, links."""
    from rich.text import Text

    console = _console()
    title = Text(plain(article.title) or "(no title)", style="bold")
    console.print(title)
    for mark in marks(article):
        console.print(Text(f"[{mark}]", style="bold red" if mark == "RETRACTED" else "yellow"))
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
    authors = ", ".join(str(author) for author in article.authors)
    place = article.journal.iso_abbreviation or article.journal.title or (article.book.title if article.book else "")
    volume = f"{article.volume or ''}{f'({article.issue})' if article.issue else ''}"
    numbers = ":".join(part for part in (volume, article.pages or "") if part)
    where = ". ".join(part for part in (place, f"{article.publication_date}", numbers) if part)
    identifiers = [f"PMID {article.pmid}"]
    identifiers += [f"doi:{article.doi}"] if article.doi else []
    identifiers += [article.pmcid] if article.pmcid else []
    vernacular = [article.vernacular_title] if article.vernacular_title else []
    return [line for line in (*vernacular, authors, where, ", ".join(identifiers)) if line]


def _console() -> Any:
    from rich.console import Console

    # A pipe has no width of its own; what is cut there is lost.
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
