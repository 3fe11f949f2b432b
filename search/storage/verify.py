"""Check what a store holds, whichever database it is in: every row against its document, every vector's length."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from search.article import text_hash
from search.storage.rows import CHECKED_COLUMNS, ArticleRow, StoredRow, Term, prepare, unpack
from search.storage.store import Store

__all__ = ["UNIT", "check_articles", "check_vectors"]

#: A stored unit vector may be so far from unit length: the rounding of float16.
UNIT = 2e-3

_BATCH = 1000


def check_articles(store: Store) -> Iterator[str]:
    """Yield what is wrong with articles, a sentence each that says what to do.

    When a record was written and by which file, and the ledgers, are compared with nothing: there is nothing to
    compare them with.
    """
    batch: list[StoredRow] = []
    for row in store.stored_rows():
        batch.append(row)
        if len(batch) == _BATCH:
            yield from _check_batch(store, batch)
            batch = []
    yield from _check_batch(store, batch)
    for table, what in (
        ("documents", "records belong to no article"),
        ("vectors", "vectors belong to no article"),
    ):
        count = store.one(
            f"SELECT count(*) FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM articles AS a WHERE a.pmid = t.pmid)"
        )
        if count:
            yield f"{count:,} {what}; restore the database from a copy"
    count = store.one("SELECT count(*) FROM tombstones AS t JOIN articles AS a ON a.pmid = t.pmid")
    if count:
        yield f"{count:,} articles are there and deleted; restore the database from a copy"


def check_vectors(store: Store) -> Iterator[str]:
    """Yield which vectors are not of unit length."""
    for pmids, vectors in store.vector_batches():
        lengths = np.linalg.norm(vectors, axis=1)
        for row in np.flatnonzero(~(np.abs(lengths - 1) < UNIT)):
            yield f"PMID {pmids[row]}: its vector has length {lengths[row]:.3f}, not 1; delete and add it again"


def _check_batch(store: Store, batch: list[StoredRow]) -> Iterator[str]:
    names = store.terms({number for row in batch for number, _ in row.terms})
    for row in batch:
        if row.document is None:
            yield f"PMID {row.pmid}: its record is missing; add it again"
            continue
        try:
            made = prepare(unpack(row.document))
        except Exception as error:
            yield f"PMID {row.pmid}: its record cannot be read ({error}); add it again"
            continue
        yield from _check_row(row, made, names)


def _check_row(row: StoredRow, made: ArticleRow, names: dict[int, Term]) -> Iterator[str]:
    if made.pmid != row.pmid:
        yield f"PMID {row.pmid}: its record says PMID {made.pmid}; add both again"
        return
    record_hash = text_hash(zlib.decompress(row.document or b"").decode())
    if made.text_hash != row.text_hash or record_hash != row.record_hash:
        yield f"PMID {row.pmid}: its text is not the one that was stored; add it again"
    if not row.stale and row.vector_hash != made.text_hash:
        yield f"PMID {row.pmid}: its vector was made from another text; add it again"
    if row.journal != made.journal or row.columns != tuple(getattr(made, name) for name in CHECKED_COLUMNS):
        yield f"PMID {row.pmid}: its date, journal or kind is not that of its record; add it again"
    if {(names.get(number), major) for number, major in row.terms} != set(made.terms):
        yield f"PMID {row.pmid}: it is not found by its MeSH headings, types or languages; add it again"
