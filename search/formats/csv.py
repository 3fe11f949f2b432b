"""CSV that is safe to open in a spreadsheet: no cell is ever read as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from search.article import Article
from search.formats.citation_fields import abstract_line, bare_title, keyword_term, mesh_term
from search.normalize import clean
from search.presentation.notices import notices_of

__all__ = ["COLUMNS", "defuse", "header", "line", "render", "row", "texts"]

#: The columns, in order.
COLUMNS = (
    "pmid",
    "title",
    "authors",
    "journal",
    "year",
    "date",
    "volume",
    "issue",
    "pages",
    "doi",
    "pmcid",
    "issn",
    "languages",
    "publication_types",
    "mesh",
    "keywords",
    "abstract",
    "retracted",
    "notices",
    "url",
)

#: What fits into a cell of a spreadsheet, beside the apostrophe that may be put before it.
_LONGEST = 32_766
# What makes a spreadsheet take a cell for a formula, also in the full-width forms that some of them fold.
_FORMULA = re.compile("[=+@\uff1d\uff0b\uff20\uff0d-]")
# Where a semicolon parts the cells, a spreadsheet cuts ours there: what follows must not be a formula either.
_INNER_FORMULA = re.compile(f";(?=[\"']*{_FORMULA.pattern})")


def header() -> str:
    """Return the line of column names."""
    return line(COLUMNS)


def render(article: Article) -> str:
    """Return the article as one line; lists are joined by `; `, line breaks are spaces."""
    return line(row(article))


def row(article: Article) -> list[str | int]:
    """Return the cells of an article, one for each of `COLUMNS`: numbers where there are any, and safe texts."""
    numbers: dict[str, str | int] = {"pmid": article.pmid, "year": article.year or ""}
    cells = texts(article)
    return [numbers[column] if column in numbers else defuse(cells[column]) for column in COLUMNS]


def texts(article: Article) -> dict[str, str]:
    """Return what stands in the columns that are texts, in order; a spreadsheet needs `defuse`."""
    return {
        "title": bare_title(article.title or (article.book.title if article.book is not None else "")),
        "authors": _joined(map(str, article.authors)),
        "journal": clean(article.journal_name),
        "date": str(article.citation_date),
        "volume": clean(article.volume),
        "issue": clean(article.issue),
        "pages": clean(article.location),
        "doi": clean(article.doi),
        "pmcid": clean(article.pmcid),
        "issn": clean(article.journal.issn or article.journal.issn_linking),
        "languages": _joined(article.languages),
        "publication_types": _joined(kind.name for kind in article.publication_types),
        "mesh": _joined(map(mesh_term, article.mesh_headings)),
        "keywords": _joined(map(keyword_term, article.keywords)),
        "abstract": abstract_line(article),
        "retracted": "yes" if article.is_retracted else "",
        "notices": _joined(map(str, notices_of(article))),
        "url": article.url,
    }


def defuse(cell: str) -> str:
    """Return the cell, with an apostrophe before anything that a spreadsheet would run as a formula."""
    text = _INNER_FORMULA.sub("; ", clean(cell))
    if len(text) > _LONGEST:
        note = f" ... [cut: {len(text):,} characters]"
        text = text[: _LONGEST - len(note)] + note
    return "'" + text if _FORMULA.match(text) else text


def line(cells: Iterable[str | float | None]) -> str:
    """Return a line of cells: numbers as they are, texts in quotes."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _joined(values: Iterable[str]) -> str:
    return "; ".join(value for value in map(clean, values) if value)
