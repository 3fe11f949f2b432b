"""An article as the rows that are stored for it: made without a database, so that other processes can make them."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from search.article import Article, as_recorded, embedding_text, from_json, text_hash, to_json
from search.errors import StoreError
from search.normalize import date_spans, journal_keys, name_key, yyyymmdd
from search.study import design_of, sample_size

__all__ = [
    "ArticleRow",
    "CHECKED_COLUMNS",
    "Copied",
    "Outside",
    "Pmids",
    "StoredRow",
    "Term",
    "TextState",
    "Vectors",
    "is_sound",
    "pack",
    "prepare",
    "unpack",
]

#: PMIDs, (n,) int64; vectors, (n, dimension) float32.
Pmids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


class TextState(NamedTuple):
    """The hash of an article's text, and whether its vector is missing or of another text."""

    text_hash: bytes
    stale: bool


class StoredRow(NamedTuple):
    """All that a store holds of an article: its document and what was made from it, for checking.

    `columns` are the values of `CHECKED_COLUMNS`; `terms` the ids of its terms, each with whether it is a main point.
    """

    pmid: int
    document: bytes | None
    text_hash: bytes
    record_hash: bytes
    journal: str | None
    vector_hash: bytes | None
    stale: bool
    columns: tuple[int, ...]
    terms: set[tuple[int, bool]]


#: Columns of `articles` that are made from the document.
CHECKED_COLUMNS = (
    "version",
    "revised",
    "date_first",
    "date_last",
    "electronic_first",
    "electronic_last",
    "has_abstract",
    "free_full_text",
    "retracted",
    "sample_size",
)

# Level 1 is within 5 % of level 6 on records of this size and takes a third of the time.
_COMPRESSION_LEVEL = 1


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The keys by which articles are filtered: `mesh`, `qualifier` (of a parent), `type`, `language`, `design`."""

    kind: str
    name: str
    ui: str = ""
    parent_name: str = ""
    parent_ui: str = ""


class ArticleRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An article prepared for the store; `search.storage.schema` explains the fields."""

    pmid: int
    version: int
    revised: int
    date_first: int
    date_last: int
    electronic_first: int
    electronic_last: int
    journal: str | None
    has_abstract: bool
    free_full_text: bool
    retracted: bool
    sample_size: int
    text: str
    text_hash: bytes
    record_hash: bytes
    document: bytes
    terms: tuple[tuple[Term, bool], ...]
    references: tuple[int | str, ...] = ()
    doi: str = ""


class Copied(msgspec.Struct, frozen=True, gc=False):
    """An article as another index holds it: all that is known of it there but its vector.

    `added` and `added_change` are the day and the change of its first time; `vector_hash` is that of the text its
    vector was made from, None where it has none.
    """

    row: ArticleRow
    sequence: int
    added: int
    added_change: int
    stale: bool
    vector_hash: bytes | None
    of_part: bool


class Outside(msgspec.Struct, frozen=True, gc=False):
    """An article that does not belong to the part of PubMed that is kept: it is not added, and goes if it was."""

    row: ArticleRow


def prepare(article: Article, packed: bytes | None = None) -> ArticleRow:
    """Return the rows of an article; everything that costs time and needs no database is done here.

    `packed` is its document, where it was compressed before.
    """
    article = as_recorded(article)
    text = embedding_text(article)
    document = to_json(article)
    (date_first, date_last), (electronic_first, electronic_last) = date_spans(article)
    return ArticleRow(
        pmid=article.pmid,
        version=article.version,
        revised=yyyymmdd(article.revised),
        date_first=date_first,
        date_last=date_last,
        electronic_first=electronic_first,
        electronic_last=electronic_last,
        journal="\n".join(sorted(journal_keys(article))) or None,
        has_abstract=bool(article.abstract_text.strip()),
        free_full_text=bool(article.pmcid),
        retracted=article.is_retracted,
        sample_size=sample_size(article) or 0,
        text=text,
        text_hash=text_hash(text),
        record_hash=text_hash(document.decode()),
        document=packed or pack(document),
        terms=terms_of(article),
        references=article.references,
        doi=(article.doi or "").lower(),
    )


def terms_of(article: Article) -> tuple[tuple[Term, bool], ...]:
    """Return the terms an article is filtered by, each once, with whether it is a main point of the article."""
    terms: dict[Term, bool] = {}

    def add(term: Term, major: bool) -> None:
        terms[term] = terms.get(term, False) or major

    for heading in article.mesh_headings:
        name, ui = name_key(heading.descriptor), name_key(heading.ui or "")
        add(Term("mesh", name, ui), heading.is_major)
        for qualifier in heading.qualifiers:
            part = Term("qualifier", name_key(qualifier.name), name_key(qualifier.ui or ""), name, ui)
            add(part, qualifier.major or heading.major)
    for kind in article.publication_types:
        add(Term("type", name_key(kind.name), name_key(kind.ui or "")), False)
    for language in article.languages:
        add(Term("language", name_key(language)), False)
    design = design_of(article)
    if design is not None:
        add(Term("design", design), False)
    return tuple(terms.items())


def pack(document: bytes) -> bytes:
    """Compress an article's JSON."""
    return zlib.compress(document, _COMPRESSION_LEVEL)


def is_sound(document: bytes | None, record_hash: bytes) -> bool:
    """Whether a stored document is the one whose hash was stored with it."""
    try:
        return document is not None and text_hash(zlib.decompress(document).decode()) == record_hash
    except (zlib.error, ValueError):
        return False


def unpack(document: bytes) -> Article:
    """Return the article of a stored document. Raises StoreError if it is damaged."""
    try:
        return from_json(zlib.decompress(document))
    except (zlib.error, TypeError, ValueError) as error:
        raise StoreError(f"a stored record is damaged ({error}); `search verify` says which") from error
