"""Is a store whole? Every row is held against the document it was made from, every vector against its checksum."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from search.article import text_hash
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.rows import ArticleRow, Term, prepare, unpack

__all__ = ["UNIT", "audit", "vector_checksum"]

#: A stored unit vector may be so far from unit length: the rounding of float16.
UNIT = 2e-3

_COLUMNS = ("version", "revised", "date_first", "date_last", "has_abstract", "free_full_text", "retracted")
_ARTICLES = (
    f"SELECT a.pmid, d.document, a.text_hash, a.record_hash, j.keys, v.text_hash, a.stale, {', '.join(_COLUMNS)} "
    "FROM articles AS a JOIN documents AS d ON d.pmid = a.pmid LEFT JOIN vectors AS v ON v.pmid = a.pmid "
    "LEFT JOIN journals AS j ON j.id = a.journal ORDER BY a.pmid"
)
_BATCH = 1000

_PART = "json_extract(w.value, '$[{}]')".format
_LINKS = (
    f"SELECT l.pmid, l.major, t.kind, t.name, t.ui, t.parent_name, t.parent_ui FROM json_each(?) AS w "
    f"CROSS JOIN terms AS t ON t.kind = {_PART(1)} AND t.name = {_PART(2)} AND t.ui = {_PART(3)} "
    f"AND t.parent_name = {_PART(4)} AND t.parent_ui = {_PART(5)} "
    f"JOIN article_terms AS l ON l.term = t.id AND l.pmid = {_PART(0)}"
)


def vector_checksum(pmid: int, made_from: bytes, vector: bytes) -> bytes:
    """Return the BLAKE2b-64 of a stored vector with what it belongs to."""
    return hashlib.blake2b(b"%d:%b:%b" % (pmid, made_from, vector), digest_size=8).digest()


def audit(store: StoreReader) -> Iterator[str]:
    """Yield what is wrong, a sentence each that says what to do. Raises StoreError where SQLite can read no further.

    What is not held against anything is when a record was written and by which file, and the ledgers: there is nothing
    to hold them against.
    """
    for problem in store.integrity_problems():
        yield f"{store.path} is damaged ({problem}); restore it from a copy"
    yield from _articles(store)
    yield from _vectors(store)
    yield from _names(store)


def _articles(store: StoreReader) -> Iterator[str]:
    documents = terms = 0
    waiting: list[ArticleRow] = []
    for row in store.rows(_ARTICLES):
        documents += 1
        try:
            made = prepare(unpack(row[1]))
        except Exception as error:
            yield f"PMID {row[0]}: its record cannot be read ({error}); add it again"
            continue
        yield from _article(row, made)
        terms += len(made.terms)
        waiting.append(made)
        if len(waiting) == _BATCH:
            yield from _terms(store, waiting)
            waiting = []
    yield from _terms(store, waiting)
    counted = store.counts()["articles"]
    if documents != counted or documents != store.one("SELECT count(*) FROM documents"):
        yield f"there are {counted:,} articles and {documents:,} records of them; restore articles.db from a copy"
    found = store.one("SELECT count(*) FROM article_terms")
    if found > terms:
        yield f"{found - terms:,} headings, types or languages belong to no article; restore articles.db from a copy"


def _article(row: tuple[Any, ...], made: ArticleRow) -> Iterator[str]:
    pmid, document, made_from, record, journal, vector_from, stale, *columns = row
    if made.pmid != pmid:
        yield f"PMID {pmid}: its record says PMID {made.pmid}; add both again"
        return
    if made.text_hash != made_from or text_hash(zlib.decompress(document).decode()) != record:
        yield f"PMID {pmid}: its text is not the one that was stored; add it again"
    if not stale and vector_from != made_from:
        yield f"PMID {pmid}: its vector was made from another text; add it again"
    if journal != made.journal or columns != [getattr(made, name) for name in _COLUMNS]:
        yield f"PMID {pmid}: its date, journal or kind is not that of its record; add it again"


def _terms(store: StoreReader, rows: list[ArticleRow]) -> Iterator[str]:
    """Look for the terms of articles; a term that is found wrongly is one too many in all."""
    wanted = {(row.pmid, term, major) for row in rows for term, major in row.terms}
    found = {
        (pmid, Term(*term), bool(major))
        for pmid, major, *term in store.rows(
            _LINKS,
            [json.dumps([(pmid, t.kind, t.name, t.ui, t.parent_name, t.parent_ui) for pmid, t, _ in wanted])],
        )
    }
    for pmid in sorted({pmid for pmid, _, _ in wanted - found}):
        yield f"PMID {pmid}: it is not found by its MeSH headings, types or languages; add it again"


def _vectors(store: StoreReader) -> Iterator[str]:
    settings = store.settings()
    dtype, dimension = np.dtype(settings.get("vectors", "float16")), int(settings.get("dimension", 0))
    checked = store.has_column("vectors", "checksum")
    column = "checksum" if checked else "NULL"
    for pmid, made_from, stored, known in store.rows(f"SELECT pmid, text_hash, vector, {column} FROM vectors"):
        if len(stored) != dimension * dtype.itemsize:
            yield f"PMID {pmid}: its vector is not of {dimension} dimensions; delete and add it again"
            continue
        length = float(np.linalg.norm(np.frombuffer(stored, dtype).astype(np.float32)))
        if not abs(length - 1) < UNIT:
            yield f"PMID {pmid}: its vector has length {length:.3f}, not 1; delete and add it again"
        elif known is not None and known != vector_checksum(pmid, made_from, stored):
            yield f"PMID {pmid}: its vector is not the one that was stored; delete and add it again"
    for table, what in (("vectors", "vectors belong to no article"), ("tombstones", "articles are there and deleted")):
        there = "NOT EXISTS" if table == "vectors" else "EXISTS"
        wrong = store.one(
            f"SELECT count(*) FROM {table} AS t WHERE {there} (SELECT 1 FROM articles WHERE pmid = t.pmid)"
        )
        if wrong:
            yield f"{wrong:,} {what}; restore articles.db from a copy"


def _names(store: StoreReader) -> Iterator[str]:
    """Hold the names that journals are found by against the journals."""
    wanted = {(key, number) for number, keys in store.rows("SELECT id, keys FROM journals") for key in keys.split("\n")}
    if wanted != set(store.rows("SELECT key, journal FROM journal_keys")):
        yield f"{store.path}: the names of journals are damaged; restore it from a copy"
