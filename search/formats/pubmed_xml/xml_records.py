"""Records of NLM XML in their raw form, read into Articles and Deletions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html.entities import html5
from typing import Any, NamedTuple

import numpy as np
from lxml import etree
from msgspec import structs

from search.article import Article, ArticleId, Book, Deletion, Journal
from search.errors import InvalidRecordError, SourceError
from search.formats.base import Record, Rejection
from search.formats.identifiers import check_readable, normalise_pmcid, parse_pmid
from search.formats.pubmed_xml.book import read_books
from search.formats.pubmed_xml.element_table import ElementTable, NotPlainError, with_characters
from search.formats.pubmed_xml.journal_article import read_articles
from search.formats.pubmed_xml.markup import framed, new_parser
from search.formats.pubmed_xml.parts import Fields, Level, below, marks, names
from search.formats.pubmed_xml.splitter import RawRecord, until_problem
from search.normalize import normalise_doi

__all__ = ["read_records"]

_ARTICLES = frozenset({b"PubmedArticle", b"MedlineCitation"})
_BOOKS = frozenset({b"PubmedBookArticle", b"BookDocument"})
_DELETIONS = frozenset({b"DeleteCitation", b"DeleteDocument"})
_FRAMES = {
    b"MedlineCitation": b"<PubmedArticle>%b</PubmedArticle>",
    b"BookDocument": b"<PubmedBookArticle>%b</PubmedBookArticle>",
}

_REFERENCES_END = b"</ReferenceList>"
_REFERENCE = re.compile(rb"<Reference\b[^>]*>")
_REFERENCE_ID = re.compile(rb"""<ArticleId\b[^>]*?\bIdType\s*=\s*["'](\w+)["'][^>]*>\s*([^<]*?)\s*</ArticleId""")
#: The PMID of a reference as NLM writes nearly all of them.
_PLAIN_PMID = re.compile(rb'<ArticleId IdType="pubmed">([1-9][0-9]{0,8})</ArticleId>')
#: After an article's references come so many bytes at the most.
_LAST_PART = 200
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")
_DOUBTFUL_REFERENCE = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
_PREDEFINED = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})


def read_records(records: Sequence[RawRecord], name: str) -> Iterator[Record]:
    """Yield what the records say, in their order.

    Raises SourceError at the first that is not well-formed XML, after everything before it has been yielded.
    """
    forms, problem = until_problem(_forms(records, name))
    entries = _read_forms(forms)
    if isinstance(entries, NotPlainError):
        yield from _read_doubtful(records, name, entries)
        return
    for form, entry in zip(forms, entries, strict=True):
        if form.cited and isinstance(entry, dict):
            entry["references"] = (*entry.get("references", ()), *form.cited)
        yield from _finished(form.record, entry, name)
    if problem:
        raise problem


def _read_doubtful(records: Sequence[RawRecord], name: str, error: NotPlainError) -> Iterator[Record]:
    """Read records of which one at least is not plain though it seemed so: find it, and have it made plain."""
    checked = [record._replace(plain=record.plain and not _is_doubtful(record.data)) for record in records]
    if any(was.plain != now.plain for was, now in zip(records, checked, strict=True)):
        yield from read_records(checked, name)
    elif len(records) > 1:
        middle = len(records) // 2
        yield from read_records(records[:middle], name)
        yield from read_records(records[middle:], name)
    elif records[0].plain:
        yield from read_records([records[0]._replace(plain=False)], name)
    else:
        yield Rejection(f"{name} line {records[0].line}", f"cannot be read: {error}", records[0].pmid)


def _is_doubtful(data: bytes) -> bool:
    return data.count(b"<") != data.count(b">") or bool(_DOUBTFUL_REFERENCE.search(data))


# The plain form


class _Form(NamedTuple):
    """A record, its XML in plain form (or why there is none), and the works that its lists of references name."""

    record: RawRecord
    data: bytes | Rejection
    cited: tuple[int | str, ...] = ()


def _forms(records: Sequence[RawRecord], name: str) -> Iterator[_Form]:
    """Yield each record with its XML in plain form; raise SourceError at the first that is not well-formed."""
    for record in records:
        data = record.data if record.plain else _plain_form(record, record.data, name)
        if isinstance(data, Rejection):
            yield _Form(record, data)
            continue
        data, cited = _without_references(data)
        yield _Form(record, _FRAMES[record.kind] % data if record.kind in _FRAMES else data, cited)


def _without_references(data: bytes) -> tuple[bytes, tuple[int | str, ...]]:
    """Return a record without the works it cites, which are half of it, and what identifies these."""
    start = data.find(b"<ReferenceList")
    end = data.rfind(_REFERENCES_END) + len(_REFERENCES_END) if start >= 0 else 0
    if start < 0 or end <= start:
        return data, ()
    cited = tuple(_cited(data[start:end]))
    # What follows the lists of a book's chapter stays; those of an article are the last part of it.
    return (data[:start] + data[end:] if len(data) - end < _LAST_PART else data), cited


def _cited(lists: bytes) -> Iterator[int | str]:
    """Yield the PMID of each work in lists of references that has one, or else its DOI or PMCID."""
    for reference in _REFERENCE.split(lists)[1:]:
        plain = _PLAIN_PMID.search(reference)
        if plain is not None:
            yield int(plain[1])
            continue
        ids = {kind.lower(): value for kind, value in _REFERENCE_ID.findall(reference)}
        cited = _identified(ids) if ids else None
        if cited is not None:
            yield cited


def _identified(ids: dict[bytes, bytes]) -> int | str | None:
    try:
        texts = {kind: with_characters(value.decode()) for kind, value in ids.items()}
    except (UnicodeDecodeError, NotPlainError):
        return None
    with suppress(InvalidRecordError):
        return parse_pmid(texts.get(b"pubmed"))
    doi = normalise_doi(texts.get(b"doi"))
    if doi and doi.startswith("10."):
        return doi
    return normalise_pmcid(texts.get(b"pmc") or texts.get(b"pmcid") or "")


def _plain_form(record: RawRecord, data: bytes, name: str) -> bytes | Rejection:
    """Return the XML of a record without comments, CDATA and the like, by parsing and serialising it."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return Rejection(f"{name} line {record.line}", f"not valid UTF-8 at byte {error.start:,} of it", record.pmid)
    try:
        element = etree.fromstring(framed(data), new_parser())
    except etree.XMLSyntaxError as error:
        with_characters = _ENTITY.sub(_entity_character, data)
        if with_characters != data:
            return _plain_form(record, with_characters, name)
        line = record.line + max(error.lineno or 1, 1) - 1
        what = str(error.msg).partition(", line ")[0]
        raise SourceError(f"{name}: line {line:,}: broken XML in the record of {record.describe()}: {what}") from error
    plain: bytes = etree.tostring(element[0], encoding="utf-8", with_tail=False)
    return plain


def _entity_character(match: re.Match[bytes]) -> bytes:
    """Return the character of an entity of MathML, which NLM's DTD takes over, and whose names HTML has too."""
    if match[1] in _PREDEFINED:
        return match[0]
    return html5.get(f"{match[1].decode()};", match[0].decode()).encode()


# From the table to the record


def _read_forms(forms: Sequence[_Form]) -> list[dict[str, Any] | Rejection] | NotPlainError:
    """Return the fields of each record that could be made plain; the error if one is not plain after all."""
    plain = [(form.record.kind, form.data) for form in forms if isinstance(form.data, bytes)]
    try:
        entries = iter(_read_table([kind for kind, _ in plain], [data for _, data in plain]) if plain else ())
    except UnicodeDecodeError:
        return NotPlainError("not UTF-8")
    except NotPlainError as error:
        return error
    return [form.data if isinstance(form.data, Rejection) else next(entries) for form in forms]


def _read_table(kinds: Sequence[bytes], parts: Sequence[bytes]) -> list[dict[str, Any]]:
    table = ElementTable(parts)
    rows = table.outermost()
    if len(rows) != len(kinds):
        raise NotPlainError("a record is not closed")
    fields = Fields(len(rows))
    for chosen, read in ((_ARTICLES, read_articles), (_BOOKS, read_books), (_DELETIONS, _read_deletions)):
        places = np.flatnonzero([kind in chosen for kind in kinds])
        if len(places):
            read(table, Level(rows[places], places), fields)
    return fields.of_records()


def _read_deletions(table: ElementTable, records: Level, fields: Fields) -> None:
    level = below(table, records, "PMID")
    versions = marks(table, level.rows, "Version")
    fields.extend("deleted", level, [(entry,) for entry in zip(names(table, level.rows), versions, strict=True)])


def _finished(record: RawRecord, entry: dict[str, Any] | Rejection, name: str) -> Sequence[Record]:
    """Return what a record's fields make: an Article, the Deletions of a DeleteCitation, or Rejections."""
    if isinstance(entry, Rejection):
        return (entry,)
    if record.kind in _DELETIONS:
        return [_deletion(record, text, version, name) for text, version in entry.get("deleted", ())]
    pmid = None
    try:
        pmid = parse_pmid(entry.pop("pmid", None))
        return (check_readable(_article(pmid, entry)),)
    except InvalidRecordError as error:
        return (Rejection(f"{name} line {record.line}", str(error), pmid),)


def _deletion(record: RawRecord, text: str, version: str | None, name: str) -> Record:
    try:
        return Deletion(parse_pmid(text), _version(version))
    except InvalidRecordError as error:
        return Rejection(f"{name} line {record.line}", f"in a list of deleted records: {error}")


def _article(pmid: int, fields: dict[str, Any]) -> Article:
    """Return the Article that the fields make, after putting together what stands in several places of a record."""
    fields["version"] = _version(fields.pop("version", None)) or 1
    if "created" not in fields:
        # Since 2018 the day on which a record was created stands in its history only.
        fields["created"] = next((entry.day for entry in fields.get("history", ()) if entry.status == "entrez"), None)
    if fields.pop("authors_incomplete", False):
        fields["authors_complete"] = False
    affiliation = fields.pop("first_affiliation", None)
    authors = fields.get("authors")
    if affiliation and authors and not authors[0].affiliations:
        # Until 2014 one affiliation stood beside the authors: the first author's.
        fields["authors"] = (structs.replace(authors[0], affiliations=(affiliation,)), *authors[1:])
    title, iso_abbreviation, issn = fields.pop("journal", _NO_JOURNAL)
    abbreviation, issn_linking, nlm_id, country = fields.pop("journal_info", _NO_JOURNAL_INFO)
    if "vernacular_title" in fields:
        # Where NLM has no title in English there is at least the one the article has.
        fields.setdefault("title", fields["vernacular_title"])
    issn_type = fields.pop("issn_type", None)
    fields["journal"] = Journal(title, iso_abbreviation, abbreviation, issn, issn_linking, nlm_id, country, issn_type)
    book_title = fields.pop("book_title", "")
    publisher = fields.pop("publisher", (None, None))
    if book_title:
        fields["book"] = Book(book_title, *publisher, **{name: fields.pop(name) for name in _BOOK if name in fields})
    locations = fields.pop("locations", ())
    for kind, value in locations:
        if kind == "pii":
            fields.setdefault("article_number", value)
    _sort_ids((*locations, *fields.pop("ids", ())), fields)
    if "references" in fields:
        own = (pmid, fields.get("doi"), fields.get("pmcid"))
        fields["references"] = tuple(cited for cited in dict.fromkeys(fields["references"]) if cited not in own)
    return Article(pmid=pmid, **fields)


def _version(text: str | None) -> int | None:
    return int(text[:9]) if text and text.isascii() and text.isdigit() else None


_NO_JOURNAL = (None,) * 3
_NO_JOURNAL_INFO = (None,) * 4
_BOOK = ("edition", "isbns", "editors", "collection", "medium")


def _sort_ids(ids: tuple[tuple[str, str], ...], fields: dict[str, Any]) -> None:
    """Put each identifier where it belongs: the first DOI, the PMCID, and the rest once each."""
    others: dict[ArticleId, None] = {}
    for kind, value in ids:
        field, own = None, None
        if kind == "doi":
            field, own = "doi", normalise_doi(value)
        elif kind in ("pmc", "pmcid") or value.startswith("PMC"):
            field, own = "pmcid", normalise_pmcid(value)
        if field and own:
            if fields.setdefault(field, own).lower() != own.lower():
                others[ArticleId(kind, own)] = None
        elif kind not in ("pubmed", "medline"):
            others[ArticleId(kind, value)] = None
    if others:
        fields["other_ids"] = tuple(others)
