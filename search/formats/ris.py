"""RIS, which nearly every reference manager and review tool reads.

Tags as EndNote and Zotero understand them: the PMID is the accession number (AN), the PMCID goes to C2, and what has no
tag of its own (numbers in databanks) goes to C1: Zotero makes a note of each item from RN. A value is one line, for RIS
has no way to escape a line break.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from search.article import Article, Author, PartialDate
from search.formats.citation_fields import (
    abstract_line,
    bare_title,
    given_name,
    keyword_term,
    mesh_term,
    page_range,
    season_or_months,
)
from search.normalize import clean
from search.presentation.notices import notices_of

__all__ = ["render"]

#: RIS types of publications that did not appear in a journal.
_TYPES = {
    "Academic Dissertation": "THES",
    "Dataset": "DATA",
    "Technical Report": "RPRT",
    "Video-Audio Media": "VIDEO",
}


def render(article: Article) -> str:
    """Return the article as one RIS record, ended by a blank line."""
    lines = [f"{tag}  - {value}" for tag, value in _fields(article) if value]
    return "\n".join([*lines, "ER  - ", "", ""])


def reference_type(article: Article) -> str:
    """Return the RIS type: JOUR, CHAP or BOOK, or what the publication types say of an article without a journal."""
    if article.book is not None:
        return "CHAP" if clean(article.title) not in ("", clean(article.book.title)) else "BOOK"
    names = [kind.name for kind in article.publication_types]
    if "Newspaper Article" in names:
        return "NEWS"
    if clean(article.journal.name):
        return "JOUR"
    return next((_TYPES[name] for name in names if name in _TYPES), "JOUR")


def _fields(article: Article) -> Iterator[tuple[str, str]]:
    kind = reference_type(article)
    yield "TY", kind
    yield from (("AU", _name(author)) for author in article.authors)
    if kind == "BOOK" and article.book is not None:
        yield "TI", bare_title(article.book.title)
    else:
        yield "TI", bare_title(article.title)
    yield "TT", clean(article.vernacular_title)
    yield from _where(article, kind)
    yield from _when(article)
    yield "AB", abstract_line(article)
    yield from (("KW", mesh_term(heading)) for heading in article.mesh_headings)
    yield from (("KW", keyword_term(keyword)) for keyword in article.keywords)
    yield "LA", _joined(article.languages)
    yield "DO", clean(article.doi)
    yield "AN", str(article.pmid)
    yield "C2", clean(article.pmcid)
    yield "DB", "PubMed"
    yield "UR", article.url
    yield "M3", _joined(kind.name for kind in article.publication_types)
    yield "AD", _joined(dict.fromkeys(place for author in article.authors for place in author.affiliations))
    yield "C1", _joined(f"{entry.databank}: {entry.number}" for entry in article.accession_numbers if entry.number)
    yield from (("N1", str(notice)) for notice in notices_of(article))


def _where(article: Article, kind: str) -> Iterator[tuple[str, str]]:
    journal, book = article.journal, article.book
    if book is None:
        yield "T2", clean(journal.name)
        yield "J2", clean(journal.abbreviation)
        yield "SN", clean(journal.issn or journal.issn_linking)
        if article.electronic_date is not None and article.citation_date is not article.electronic_date:
            # EndNote's field for the date of the electronic version.
            yield "ET", clean(str(article.electronic_date))
    else:
        if kind == "CHAP":
            yield "T2", clean(book.title)
        # EndNote and Zotero expect the editors of a chapter's book in A2 and those of a whole book in A3.
        yield from (("A2" if kind == "CHAP" else "A3", _name(editor)) for editor in book.editors)
        yield "T3", clean(book.collection)
        yield "PB", clean(book.publisher)
        yield "CY", clean(book.place)
        yield "ET", clean(book.edition)
        yield "SN", " ".join(clean(isbn) for isbn in book.isbns)
    yield "VL", clean(article.volume)
    yield "IS", clean(article.issue)
    first, last = page_range(article.location)
    yield "SP", first
    yield "EP", last


def _when(article: Article) -> Iterator[tuple[str, str]]:
    yield "PY", f"{article.year:04d}" if article.year is not None else ""
    yield "DA", _date(article.citation_date)


def _date(date: PartialDate) -> str:
    """Return a date as RIS has it: `2004/03/17/`, `2004///Summer`."""
    if date.year is None:
        return f"///{season_or_months(date)}" if date.medline_date else ""
    month = f"{date.month:02d}" if date.month else ""
    day = f"{date.day:02d}" if date.month and date.day else ""
    return f"{date.year:04d}/{month}/{day}/{season_or_months(date)}"


def _name(author: Author) -> str:
    """Return `van der Berg, Jan, Jr`; a group ends with a comma, which tells EndNote and Zotero that it is one."""
    # RIS parts a name at its commas, so a comma inside a part would make another name of it.
    group = clean((author.collective_name or "").replace(",", " "))
    if group:
        return f"{group},"
    last, given, suffix = (
        clean(part.replace(",", " ")) for part in (author.last_name or "", given_name(author), author.suffix or "")
    )
    if suffix and not given:
        last, suffix = f"{last} {suffix}".strip(), ""
    return ", ".join(part for part in (last, given, suffix) if part)


def _joined(values: Iterable[str]) -> str:
    return "; ".join(value for value in map(clean, values) if value)
