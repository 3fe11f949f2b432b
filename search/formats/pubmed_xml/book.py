"""PubmedBookArticle elements, the chapters and whole books of NLM's Bookshelf, read into the fields of Articles."""

from __future__ import annotations

import numpy as np

from search.formats.pubmed_xml import parts
from search.formats.pubmed_xml.element_table import ElementTable, Rows
from search.formats.pubmed_xml.parts import Fields, Level, below, columns, marks, names, texts

__all__ = ["read_books"]


def read_books(table: ElementTable, records: Level, fields: Fields) -> None:
    """Read PubmedBookArticle elements."""
    documents = below(table, records, "BookDocument")
    books = below(table, documents, "Book")
    parts.put_pmids(table, documents, fields)
    parts.put_children(table, documents, fields, _DOCUMENT)
    parts.put_children(table, books, fields, _BOOK)
    parts.put_abstracts(table, documents, fields)
    parts.extend_children(table, documents, fields, _DOCUMENT_LISTS)
    parts.extend_children(table, books, fields, _BOOK_LISTS)
    # Authors of the chapter come before those of the book it is in.
    for level in (documents, books):
        _read_people(table, level, fields)
    publishers = below(table, books, "Publisher")
    fields.put("publisher", publishers, columns(table, publishers.rows, "PublisherName", "PublisherLocation"))
    parts.put_article_ids(table, documents, fields)
    parts.put_data(table, below(table, records, "PubmedBookData"), fields)


def _read_people(table: ElementTable, level: Level, fields: Fields) -> None:
    lists = below(table, level, "AuthorList")
    editors = np.array([mark == "editors" for mark in marks(table, lists.rows, "Type")], dtype=bool)
    for field, chosen in (("authors", ~editors), ("editors", editors)):
        rows = lists.rows[chosen]
        fields.put(field, Level(rows, lists.records[chosen]), parts.people(table, rows))


def _isbns(table: ElementTable, rows: Rows) -> list[tuple[str, ...]]:
    return [(number,) if number else () for number in names(table, rows)]


_DOCUMENT: list[tuple[str, str, parts.Reader]] = [
    ("title", "ArticleTitle", texts),
    ("vernacular_title", "VernacularTitle", texts),
    ("pages", "Pagination", parts.pages),
    ("electronic_date", "ContributionDate", parts.dates),
    ("revised", "DateRevised", parts.days),
]

_DOCUMENT_LISTS: list[tuple[str, str, parts.Reader]] = [
    ("languages", "Language", parts.languages),
    ("investigators", "InvestigatorList", parts.people),
    ("publication_types", "PublicationType", parts.publication_types),
    ("keywords", "KeywordList", parts.keywords),
    ("grants", "GrantList", parts.grants),
]

#: A whole book has no title but the book's.
_BOOK: list[tuple[str, str, parts.Reader]] = [
    ("book_title", "BookTitle", texts),
    ("title", "BookTitle", texts),
    ("publication_date", "PubDate", parts.dates),
    ("volume", "Volume", names),
    ("edition", "Edition", names),
    ("collection", "CollectionTitle", names),
    ("medium", "Medium", names),
]

_BOOK_LISTS: list[tuple[str, str, parts.Reader]] = [
    ("isbns", "Isbn", _isbns),
    ("locations", "ELocationID", parts.identifiers("EIdType", "")),
]
