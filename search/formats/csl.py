"""CSL JSON, which Zotero, Pandoc and citeproc read."""

from __future__ import annotations

from typing import Any

import msgspec

from search.article import Article, Author, PartialDate
from search.errors import ExportError
from search.formats.citation_fields import (
    abstract_line,
    bare_title,
    expand_pages,
    given_name,
    keyword_term,
    mesh_term,
)
from search.normalize import clean, escaped
from search.presentation.notices import notices_of

__all__ = ["csl_item", "render"]

_SEASONS = {"spring": 1, "summer": 2, "fall": 3, "autumn": 3, "winter": 4}


def render(article: Article) -> str:
    """Return the article as one item of the array that a file of CSL JSON is."""
    try:
        text = msgspec.json.format(msgspec.json.encode(csl_item(article)), indent=2).decode()
    except UnicodeEncodeError as error:
        raise ExportError(f"PMID {article.pmid} cannot be written as JSON: {error}") from error
    return escaped(text)


def csl_item(article: Article) -> dict[str, Any]:
    """Return the article as a dict of CSL's variables, without those that are empty."""
    book = article.book
    is_chapter = book is not None and clean(article.title) not in ("", clean(book.title))
    item: dict[str, Any] = {
        "id": f"pmid{article.pmid}",
        "type": "article-journal" if book is None else "chapter" if is_chapter else "book",
        "title": bare_title(article.title or (book.title if book is not None else "")),
        "original-title": bare_title(article.vernacular_title),
        "author": _names(article.authors),
        "issued": _date(article.citation_date, article.year),
        "available-date": _date(article.electronic_date, None) if article.electronic_date is not None else None,
        "volume": clean(article.volume),
        "issue": clean(article.issue),
        "page": expand_pages(article.location),
        "DOI": clean(article.doi),
        "PMID": str(article.pmid),
        "PMCID": clean(article.pmcid),
        "URL": article.url,
        "language": ", ".join(map(clean, article.languages)),
        "abstract": abstract_line(article),
        "keyword": ", ".join([*map(mesh_term, article.mesh_headings), *map(keyword_term, article.keywords)]),
        "note": " ".join(map(str, notices_of(article))),
        "source": "PubMed",
    }
    if book is None:
        journal = article.journal
        item |= {
            "container-title": clean(journal.name),
            "container-title-short": clean(journal.abbreviation).replace(".", ""),
            "ISSN": clean(journal.issn or journal.issn_linking),
        }
    else:
        item |= {
            "container-title": bare_title(book.title) if is_chapter else "",
            "editor": _names(book.editors),
            "collection-title": clean(book.collection),
            "publisher": clean(book.publisher),
            "publisher-place": clean(book.place),
            "edition": clean(book.edition),
            "ISBN": " ".join(map(clean, book.isbns)),
        }
    return {name: value for name, value in item.items() if value}


def _names(authors: tuple[Author, ...]) -> list[dict[str, str]]:
    return [name for name in map(_name, authors) if name]


def _name(author: Author) -> dict[str, str]:
    group, family, given = clean(author.collective_name), clean(author.last_name), given_name(author)
    if group or not (family and given):
        whole = group or family or given
        return {"literal": whole} if whole else {}
    name = {"family": family, "given": given, "suffix": clean(author.suffix)}
    return {key: value for key, value in name.items() if value}


def _date(date: PartialDate, year: int | None) -> dict[str, Any] | None:
    """Return a date in CSL's form: numbers as far as they are known, a season, or the free text as it stands."""
    parts: list[int] = []
    for number in (date.year or year, date.month, date.day):
        if not number:
            break
        parts.append(number)
    result: dict[str, Any] = {"date-parts": [parts]} if parts else {}
    if date.season:
        result["season"] = _SEASONS.get(date.season.lower(), clean(date.season))
    if date.medline_date:
        result["literal"] = clean(date.medline_date)
    return result or None
