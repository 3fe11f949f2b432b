"""An article as the rows that are stored for it: made without a database, so that other processes can make them."""

from __future__ import annotations

import zlib
from datetime import date

import msgspec

from search.article import Article, Journal, embedding_text, from_json, text_hash, to_json

__all__ = ["ArticleRow", "Outside", "Term", "pack", "prepare", "unpack"]

# Level 1 is within 5 % of level 6 on records of this size and takes a third of the time.
_COMPRESSION_LEVEL = 1


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A name that articles are filtered by: `kind` is `mesh`, `type` or `language`."""

    kind: str
    name: str
    ui: str = ""


class ArticleRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An article prepared for the store; see `schema.py` for the meaning of the fields."""

    pmid: int
    version: int
    revised: int
    date: int
    journal: tuple[str, str, str, str, str] | None
    has_abstract: bool
    free_full_text: bool
    retracted: bool
    text: str
    text_hash: bytes
    record_hash: bytes
    document: bytes
    terms: tuple[tuple[Term, bool], ...]


class Outside(msgspec.Struct, frozen=True, gc=False):
    """An article that does not belong to the part of PubMed that is kept: it is not added, and goes if it was."""

    row: ArticleRow


def prepare(article: Article) -> ArticleRow:
    """Return the rows of an article; everything that costs time and needs no database is done here."""
    text = embedding_text(article)
    document = to_json(article)
    published = article.publication_date if article.publication_date.year else article.electronic_date
    return ArticleRow(
        pmid=article.pmid,
        version=article.version,
        revised=_ordinal(article.revised),
        date=published.ordinal if published else 0,
        journal=_journal_key(article.journal),
        has_abstract=bool(article.abstract_text),
        free_full_text=article.pmcid is not None,
        retracted=article.is_retracted,
        text=text,
        text_hash=text_hash(text),
        record_hash=text_hash(document.decode()),
        document=pack(document),
        terms=terms_of(article),
    )


def terms_of(article: Article) -> tuple[tuple[Term, bool], ...]:
    """Return the terms an article is filtered by, each once, with whether it is a main point of the article."""
    found: dict[Term, bool] = {}
    for heading in article.mesh_headings:
        term = Term("mesh", heading.descriptor, heading.ui or "")
        found[term] = found.get(term, False) or heading.is_major
    for kind in article.publication_types:
        found[Term("type", kind.name, kind.ui or "")] = False
    for language in article.languages:
        found[Term("language", language)] = False
    return tuple(found.items())


def pack(document: bytes) -> bytes:
    """Compress an article's JSON."""
    return zlib.compress(document, _COMPRESSION_LEVEL)


def unpack(document: bytes) -> Article:
    """Return the article of a stored document."""
    return from_json(zlib.decompress(document))


def _ordinal(day: date | None) -> int:
    return day.year * 10_000 + day.month * 100 + day.day if day else 0


def _journal_key(journal: Journal) -> tuple[str, str, str, str, str] | None:
    key = (
        journal.title or "",
        journal.iso_abbreviation or "",
        journal.medline_abbreviation or "",
        journal.issn or "",
        journal.issn_linking or "",
    )
    return key if any(key) else None
