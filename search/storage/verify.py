"""Check what a store holds, whichever database it is in, and mend what can be made again from the rest.

The records are what nothing else holds. Everything beside them is made from them: columns, terms and vectors.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from search.article import text_hash
from search.errors import IndexCorruptError, StoreError
from search.storage.citation_graph import Kind, Tally, record_edges, remake_edges, tally
from search.storage.rows import CHECKED_COLUMNS, ArticleRow, StoredRow, Term, prepare, unpack
from search.storage.store import UNIT, Store, WritableStore

__all__ = ["Problem", "check_articles", "check_vectors", "mend", "record_problem", "row_problem", "vector_problem"]

_BATCH = 1000

#: Another processor may add in another order, and round a number to its neighbour.
_ROUNDING = 1.5

_SAMPLE_SIZE = CHECKED_COLUMNS.index("sample_size")


class Problem(NamedTuple):
    """What is wrong, in a sentence that says what to do; of which articles, and what of them must be made again."""

    text: str
    pmids: tuple[int, ...] = ()
    part: Literal["", "record", "row", "vector", "citations", "static"] = ""


def record_problem(pmid: int, what: str) -> Problem:
    """Return the problem of a record that is damaged."""
    advice = "replace it with `search add FILE --restore`, FILE being one that has this article"
    return Problem(f"PMID {pmid}: its record {what}; {advice}", (pmid,), "record")


def row_problem(pmid: int, what: str) -> Problem:
    """Return the problem of what was made from a record that is sound."""
    return Problem(f"PMID {pmid}: {what}; `search repair` makes it again from the record", (pmid,), "row")


def vector_problem(pmid: int, what: str) -> Problem:
    """Return the problem of a vector."""
    advice = "`search repair` removes it, then `search encode` makes it again"
    return Problem(f"PMID {pmid}: its vector {what}; {advice}", (pmid,), "vector")


def check_articles(store: Store) -> Iterator[Problem]:
    """Yield the problems of articles.

    When a record was written and by which file, and the ledgers, are compared with nothing: there is nothing to
    compare them with.
    """
    batch: list[StoredRow] = []
    cited = Tally()
    unread: set[int] = set()
    designed: list[int] = []
    for row in store.stored_rows():
        batch.append(row)
        if len(batch) == _BATCH:
            yield from _check_batch(store, batch, cited, unread, designed)
            batch = []
    yield from _check_batch(store, batch, cited, unread, designed)
    if designed:
        what = "have another study design or sample size than this version of the program finds in their records"
        yield Problem(f"{len(designed):,} articles {what}; `search repair` updates them", tuple(designed), "row")
    yield from _check_citations(store, cited, unread)
    yield from _check_static(store)
    for table in ("documents", "vectors", "static_vectors"):
        count = store.one(
            f"SELECT count(*) FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM articles AS a WHERE a.pmid = t.pmid)"
        )
        if count:
            name = table.replace("_", " ")
            yield Problem(f"{count:,} {name} belong to no article; `search repair` removes them")
    count = store.one("SELECT count(*) FROM tombstones AS t JOIN articles AS a ON a.pmid = t.pmid")
    if count:
        yield Problem(f"{count:,} articles are there and deleted; `search repair` keeps the articles")


def check_vectors(store: Store) -> Iterator[Problem]:
    """Yield which vectors are not of unit length."""
    for pmids, vectors in store.vector_batches():
        lengths = np.linalg.norm(vectors, axis=1)
        for row in np.flatnonzero(~(np.abs(lengths - 1) < UNIT)):
            yield vector_problem(int(pmids[row]), f"has length {lengths[row]:.3f}, not 1")


def mend(store: WritableStore, problems: Iterator[Problem]) -> list[str]:
    """Make again what can be made of the rest, and return what cannot: damaged records, and the like."""
    damaged: dict[str, set[int]] = {"row": set(), "vector": set(), "record": set()}
    left: list[str] = []
    are_citations_damaged = is_static_damaged = False
    for problem in problems:
        if problem.part == "citations":
            are_citations_damaged = True
        elif problem.part == "static":
            is_static_damaged = True
        elif problem.part:
            damaged[problem.part].update(problem.pmids)
        if problem.part == "record" or not (problem.part or "`search repair`" in problem.text):
            left.append(problem.text)
    if is_static_damaged:
        store.put_static(None)
    records = damaged["record"]
    store.remake_rows(sorted(damaged["row"] - records))
    # Of a record that is damaged nobody knows what its vector should be of.
    store.drop_vectors(sorted(damaged["vector"] - records))
    store.remove_strays()
    if are_citations_damaged:
        remake_edges(store)
    return left


def _check_citations(store: Store, cited: Tally, unread: set[int]) -> Iterator[Problem]:
    """Compare who is cited by whom with the references of the records, and the collection's citations both ways.

    `unread` are records that are damaged: nobody knows what they cite.
    """
    try:
        is_right = tally(store, Kind.RECORDS, unread) == cited
    except StoreError:
        is_right = False
    if not is_right:
        what = "what articles are cited by does not fit their records; `search repair` makes it again"
        yield Problem(f"the citations are damaged: {what}", part="citations")
    try:
        is_right = tally(store, Kind.COLLECTION_CITED) == tally(store, Kind.COLLECTION_CITING)
    except StoreError:
        is_right = False
    if not is_right:
        what = "remove them with `search citations remove`, then add their file again"
        yield Problem(f"the citations of the open citation collection are damaged: {what}")


def _check_static(store: Store) -> Iterator[Problem]:
    """Yield which articles have no static vector of the right length, where the index has static vectors."""
    try:
        if store.static() is None:
            return
    except IndexCorruptError as error:
        yield Problem(str(error), part="static")
        return
    for pmid in store.without_static():
        yield row_problem(pmid, "its static vector is missing or damaged")


def _check_batch(
    store: Store, batch: list[StoredRow], cited: Tally, unread: set[int], designed: list[int]
) -> Iterator[Problem]:
    """Check records; what they cite is counted in `cited`.

    Those that cannot be read are added to `unread`, those of which only the study design is another to `designed`.
    """
    names = store.terms({number for row in batch for number, _ in row.terms})
    texts: dict[int, str] = {}
    for row in batch:
        if row.document is None:
            unread.add(row.pmid)
            yield record_problem(row.pmid, "is missing")
            continue
        try:
            made = prepare(unpack(row.document), row.document)
        except Exception as error:
            unread.add(row.pmid)
            yield record_problem(row.pmid, f"cannot be read ({error})")
            continue
        if made.pmid != row.pmid:
            unread.add(row.pmid)
            yield record_problem(row.pmid, f"is that of PMID {made.pmid}")
            continue
        texts[row.pmid] = made.text
        cited.add(record_edges([(row.pmid, made.references)]))
        problems = list(_check_row(row, made, names))
        if not problems and not _same_study(row, made, names):
            designed.append(row.pmid)
        yield from problems
    for pmid in _other_static(store, texts):
        yield row_problem(pmid, "its static vector is not that of its text")


def _other_static(store: Store, texts: dict[int, str]) -> list[int]:
    """Return the articles whose static vector is not that of their text, but for the rounding of another processor."""
    try:
        static = store.static()
    except IndexCorruptError:
        static = None  # `_check_static` says so.
    if static is None or not texts:
        return []
    pmids, stored = store.static_vectors(texts)
    codes = static.documents([texts[pmid] for pmid in pmids.tolist()]).astype(np.float32)
    lengths = np.linalg.norm(codes, axis=1, keepdims=True)
    differs = (np.abs(stored * lengths - codes) > _ROUNDING).any(axis=1)
    return sorted(int(pmid) for pmid in pmids[differs])


def _same_study(row: StoredRow, made: ArticleRow, names: dict[int, Term]) -> bool:
    """Whether the study design and the sample size are those that this version of the program finds."""
    stored = {names[number].name for number, _ in row.terms if names[number].kind == "design"}
    return stored == {term.name for term, _ in made.terms if term.kind == "design"} and (
        row.columns[_SAMPLE_SIZE] == made.sample_size
    )


def _check_row(row: StoredRow, made: ArticleRow, names: dict[int, Term]) -> Iterator[Problem]:
    """Yield the problems of what was made from a record, but for what the rules of study designs made of it."""
    record_hash = text_hash(zlib.decompress(row.document or b"").decode())
    if made.text_hash != row.text_hash or record_hash != row.record_hash:
        yield row_problem(row.pmid, "its text is not the one that was stored")
    if not row.stale and row.vector_hash != made.text_hash:
        yield vector_problem(row.pmid, "was made from another text")
    columns = tuple(getattr(made, name) for name in CHECKED_COLUMNS)
    if row.journal != made.journal or row.columns[:_SAMPLE_SIZE] != columns[:_SAMPLE_SIZE]:
        yield row_problem(row.pmid, "its date, journal or kind is not that of its record")
    stored = {(names.get(number), major) for number, major in row.terms}
    if _without_design(stored) != _without_design(set(made.terms)):
        yield row_problem(row.pmid, "it is not found by its MeSH headings, types or languages")


def _without_design(terms: set[tuple[Term | None, bool]]) -> set[tuple[Term | None, bool]]:
    return {(term, major) for term, major in terms if term is None or term.kind != "design"}
