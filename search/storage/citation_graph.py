"""Who cites whom: the works that cite a work, and those that it cites, kept in sorted and compressed blocks.

A node is the PMID of an article or, where a record names a cited work otherwise, a negative number that is made of its
DOI or PMCID (`node`). An edge is a pair of nodes. The references of a record lie in the record itself; the other
direction is made of them and lies here, as both directions of other collections' edges do (`Edges`).

Edges come in runs. What one transaction writes is a run: blocks of edges in order of the first node and then of the
second. Runs of like size become one, so that there are some twenty of them whatever their number of edges. An edge of
a record holds as long as the record was not written or deleted after its run: old edges need not be looked for when a
record is replaced, and go when their run is merged.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.article import MAX_PMID, Article
from search.errors import StoreError

if TYPE_CHECKING:
    from search.storage.store import Store, WritableStore

__all__ = [
    "Edges",
    "Kind",
    "Tally",
    "cited_by",
    "cited_counts",
    "edge_count",
    "edges_of",
    "node",
    "nodes_of",
    "pack",
    "put_edges",
    "record_edges",
    "references_of",
    "remake_edges",
    "tally",
    "unpack",
]

#: Nodes, (n,) int64.
Nodes = npt.NDArray[np.int64]

#: Edges of one block: so many are read to find those of one node.
_IN_A_BLOCK = 1024

#: Runs do not grow beyond so many edges, so that merging them never takes minutes.
_MOST_IN_A_RUN = 1 << 25

#: Nor beyond this share of all edges, but for few: a database keeps the room of what was merged.
_LARGEST_SHARE, _FEW = 1 / 16, 1 << 20

#: Blocks that are read at once where runs are merged, of each run.
_READ_AHEAD = 256

#: Nodes that are looked for in one statement.
_ASKED_AT_ONCE = 400


class Kind(IntEnum):
    """Which edges, and by which of their nodes they are found."""

    #: (cited, citing), of the references of records.
    RECORDS = 0
    #: (cited, citing) and (citing, cited), of the open citation collection.
    COLLECTION_CITED = 1
    COLLECTION_CITING = 2


class Edges(NamedTuple):
    """Edges by the node that they are found by, ascending: (n,) int64 each."""

    first: Nodes
    second: Nodes


def node(work: int | str) -> int:
    """Return the node of a PMID, or of a DOI or PMCID: a negative number of 48 bits.

    >>> node(20137807), node("10.1/ABC") == node("10.1/abc") < 0
    (20137807, True)
    """
    if isinstance(work, int):
        return work
    digest = hashlib.blake2b(work.casefold().encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return -1 - int.from_bytes(digest, "big")


def nodes_of(article: Article) -> list[int]:
    """Return the nodes by which others may cite an article: its PMID, its DOI and its PMCID."""
    return [article.pmid, *(node(other) for other in (article.doi, article.pmcid) if other)]


# Blocks ---------------------------------------------------------------------------------------------------------------


def pack(edges: Edges) -> bytes:
    """Return edges in order as bytes: differences, whose bytes of like weight lie side by side, compressed."""
    first, second = edges
    steps = np.diff(first, prepend=0)
    same = np.concatenate([[False], steps[1:] == 0]) if len(first) else np.empty(0, bool)
    # Within one first node the second ones ascend; else they are as they are.
    others = np.where(same, np.diff(second, prepend=0), second)
    # The sign goes to the lowest bit, so that small negative numbers have few bytes.
    columns = np.stack([steps, others])
    folded = ((columns << 1) ^ (columns >> 63)).astype("<u8")
    planes = folded.view(np.uint8).reshape(2, len(first), 8).transpose(0, 2, 1)
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), 6)


def unpack(packed: bytes) -> Edges:
    """Return the edges of a block. Raises StoreError if it is damaged."""
    try:
        planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, 8, -1)
    except (zlib.error, ValueError) as error:
        raise StoreError(f"a part of the citations is damaged ({error}); run `search verify`") from error
    folded = np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<u8")[:, :, 0]
    columns = (folded >> 1).astype(np.int64) ^ -(folded & 1).astype(np.int64)
    steps, others = columns
    if not len(steps):
        return Edges(steps, others)
    starts = np.flatnonzero(np.concatenate([[True], steps[1:] != 0]))
    sums = np.cumsum(others)
    before = np.where(starts > 0, sums[starts - 1], 0)
    return Edges(np.cumsum(steps), sums - np.repeat(before, np.diff(starts, append=len(steps))))


# Writing --------------------------------------------------------------------------------------------------------------


def put_edges(store: WritableStore, kind: Kind, change: int, edges: Edges) -> None:
    """Add the run of a change, in any order, and merge runs that are due; within a transaction."""
    if not len(edges.first):
        return
    _insert(store, kind, change, [_ordered(edges)])
    newest, *older = store.rows("SELECT run, edges FROM citation_runs WHERE kind = ? ORDER BY run DESC", [int(kind)])
    share = int(_LARGEST_SHARE * (newest[1] + sum(count for _, count in older)))
    most = min(_MOST_IN_A_RUN, max(_FEW, share))
    due, total = [newest[0]], newest[1]
    for run, count in older:
        if count > total or total + count > most:
            break
        due.append(run)
        total += count
    if len(due) > 1:
        _merge(store, kind, due)


def _insert(store: WritableStore, kind: Kind, run: int, pieces: Iterable[Edges]) -> None:
    """Write a run that comes in pieces, one after the other in order."""
    count = 0
    for first, second in pieces:
        count += len(first)
        blocks = [
            Edges(first[start : start + _IN_A_BLOCK], second[start : start + _IN_A_BLOCK])
            for start in range(0, len(first), _IN_A_BLOCK)
        ]
        store.executemany(
            "INSERT INTO citation_blocks (kind, run, first, edges) VALUES (?, ?, ?, ?)",
            [(int(kind), run, int(block.first[0]), pack(block)) for block in blocks],
        )
    if count:
        store.executemany("INSERT INTO citation_runs VALUES (?, ?, ?)", [(int(kind), run, count)])


def _merge(store: WritableStore, kind: Kind, runs: Sequence[int]) -> None:
    """Make one run of several, the newest first, without the edges that hold no more."""
    old = {run: _block_ids(store, kind, run) for run in runs}
    store.executemany("DELETE FROM citation_runs WHERE kind = ? AND run = ?", [(int(kind), run) for run in runs])
    _insert(store, kind, runs[0], _merged([_pieces(store, kind, run, ids) for run, ids in old.items()]))
    gone = [(id,) for ids in old.values() for id in ids]
    store.executemany("DELETE FROM citation_blocks WHERE id = ?", gone)
    store.note_replaced("citation_blocks", len(gone))


def _pieces(store: Store, kind: Kind, run: int, ids: list[int]) -> Iterator[Edges]:
    """Yield the edges of a run that hold, in order."""
    for start in range(0, len(ids), _READ_AHEAD):
        blocks = dict(_among(store, ids[start : start + _READ_AHEAD], "SELECT id, edges FROM citation_blocks WHERE id"))
        some = [unpack(blocks[id]) for id in ids[start : start + _READ_AHEAD]]
        edges = Edges(np.concatenate([part.first for part in some]), np.concatenate([part.second for part in some]))
        yield _holding(store, run, edges) if kind is Kind.RECORDS else edges


def _merged(runs: Sequence[Iterator[Edges]]) -> Iterator[Edges]:
    """Yield the edges of several runs in order, each once, holding some blocks of each run at a time."""
    waiting: dict[int, Edges] = {}
    while True:
        for number, run in enumerate(runs):
            while number not in waiting or not len(waiting[number].first):
                piece = next(run, None)
                if piece is None:
                    waiting.pop(number, None)
                    break
                waiting[number] = piece
        if not waiting:
            return
        # Whatever comes later in a run comes after its last edge here.
        bound = min((int(first[-1]), int(second[-1])) for first, second in waiting.values())
        taken = []
        for number, (first, second) in waiting.items():
            start, end = (int(np.searchsorted(first, bound[0], side)) for side in ("left", "right"))
            cut = start + int(np.searchsorted(second[start:end], bound[1], "right"))
            taken.append(Edges(first[:cut], second[:cut]))
            waiting[number] = Edges(first[cut:], second[cut:])
        yield _ordered(_joined(taken))


def _block_ids(store: Store, kind: Kind, run: int) -> list[int]:
    rows = store.rows("SELECT id FROM citation_blocks WHERE kind = ? AND run = ? ORDER BY id", [int(kind), run])
    return [id for (id,) in rows]


def _among(store: Store, numbers: Iterable[int], sql: str) -> Iterable[Any]:
    """Return the rows of a query that ends with the column whose value must be one of the numbers."""
    return store.rows(f"{sql} {store.AMONG}", [store.listed(numbers)])


def _joined(parts: Sequence[Edges]) -> Edges:
    return Edges(
        np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.second for part in parts)]),
    )


def _ordered(edges: Edges) -> Edges:
    """Return edges in order, each once."""
    order = np.lexsort((edges.second, edges.first))
    first, second = edges.first[order], edges.second[order]
    new = np.ones(len(first), bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Edges(first[new], second[new])


def _holding(store: Store, run: int, edges: Edges) -> Edges:
    """Return the edges of a run whose records are as they were when it was written."""
    citing = np.unique(edges.second)
    changes = dict(_among(store, citing.tolist(), "SELECT pmid, change FROM articles WHERE pmid"))
    holds = np.fromiter((changes.get(pmid, run + 1) <= run for pmid in citing.tolist()), bool, len(citing))
    kept = holds[np.searchsorted(citing, edges.second)]
    return Edges(edges.first[kept], edges.second[kept])


# Reading --------------------------------------------------------------------------------------------------------------


def edges_of(store: Store, kind: Kind, nodes: Iterable[int]) -> Edges:
    """Return the edges that are found by some nodes, in order, each once."""
    distinct = sorted(set(nodes))
    wanted = np.array(distinct, np.int64)
    if not len(wanted) or not store.one("SELECT count(*) FROM citation_runs WHERE kind = ?", [int(kind)]):
        return _joined([])
    runs: dict[int, int] = {}
    for start in range(0, len(distinct), _ASKED_AT_ONCE):
        some = distinct[start : start + _ASKED_AT_ONCE]
        # The blocks that begin with a node, and the one before them, whose end may be of it too.
        sql = (
            f"WITH asked (node) AS (VALUES {', '.join('(?)' for _ in some)}) SELECT b.id, b.run FROM asked "
            "CROSS JOIN citation_runs AS r JOIN citation_blocks AS b ON b.kind = r.kind AND b.run = r.run "
            "AND b.first <= asked.node AND b.first >= coalesce((SELECT max(c.first) FROM citation_blocks AS c "
            "WHERE c.kind = r.kind AND c.run = r.run AND c.first < asked.node), asked.node) WHERE r.kind = ?"
        )
        runs.update(store.rows(sql, [*some, int(kind)]))
    found = []
    for id, packed in _among(store, sorted(runs), "SELECT id, edges FROM citation_blocks WHERE id"):
        first, second = unpack(packed)
        rows = np.isin(first, wanted)
        part = Edges(first[rows], second[rows])
        found.append(_holding(store, runs[id], part) if kind is Kind.RECORDS else part)
    return _ordered(_joined(found))


def cited_by(store: Store, articles: Sequence[Article]) -> dict[int, list[int]]:
    """Return the PMIDs of the works that cite each article, ascending; those that were deleted are left out."""
    owners: dict[int, list[int]] = {}
    for article in articles:
        for own in nodes_of(article):
            owners.setdefault(own, []).append(article.pmid)
    found = _joined([edges_of(store, kind, owners) for kind in (Kind.RECORDS, Kind.COLLECTION_CITED)])
    deleted = _deleted(store, found.second)
    citing: dict[int, set[int]] = {article.pmid: set() for article in articles}
    for first, second in zip(found.first.tolist(), found.second.tolist(), strict=True):
        if second not in deleted:
            for pmid in owners[first]:
                citing[pmid].add(second)
    return {pmid: sorted(some - {pmid}) for pmid, some in citing.items()}


def cited_counts(store: Store, articles: Sequence[Article]) -> dict[int, int] | None:
    """Return how often each article is cited, as far as the index knows; None if it knows no citations at all."""
    if not edge_count(store):
        return None
    return {pmid: len(citing) for pmid, citing in cited_by(store, articles).items()}


def references_of(store: Store, articles: Sequence[Article]) -> dict[int, list[int | str]]:
    """Return the works that each article cites: PMIDs, and the DOIs and PMCIDs that are of no article of the index.

    Those of its record come first, in their order there, then those of the open citation collection.
    """
    edges = edges_of(store, Kind.COLLECTION_CITING, [article.pmid for article in articles])
    others: dict[int, list[int]] = {}
    for first, second in zip(edges.first.tolist(), edges.second.tolist(), strict=True):
        others.setdefault(first, []).append(second)
    return {
        article.pmid: list(dict.fromkeys([*article.references, *others.get(article.pmid, ())])) for article in articles
    }


def edge_count(store: Store) -> int:
    """Return how many citations there are: those of records, old ones maybe too, and those of other collections."""
    kinds = [int(Kind.RECORDS), int(Kind.COLLECTION_CITED)]
    return store.one("SELECT sum(edges) FROM citation_runs WHERE kind = ? OR kind = ?", kinds)


def _deleted(store: Store, pmids: Nodes) -> set[int]:
    rows = _among(store, np.unique(pmids).tolist(), "SELECT pmid FROM tombstones WHERE sequence >= 0 AND pmid")
    return {pmid for (pmid,) in rows}


# Checking and mending -------------------------------------------------------------------------------------------------


class Tally:
    """The number of edges, and a sum that tells whether two lists of edges in any order are the same."""

    def __init__(self) -> None:
        self.edges = 0
        self.sum = 0

    def add(self, edges: Edges) -> None:
        """Count edges, each of which comes once."""
        with np.errstate(over="ignore"):
            mixed = edges.first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(29))) + edges.second.astype(np.uint64)
            mixed = mixed * np.uint64(0xC2B2AE3D27D4EB4F)
            mixed ^= mixed >> np.uint64(32)
            self.sum = (self.sum + int(mixed.sum(dtype=np.uint64))) & (2**64 - 1)
        self.edges += len(edges.first)

    def __eq__(self, other: object) -> bool:
        """Whether both have counted the same edges."""
        return isinstance(other, Tally) and (self.edges, self.sum) == (other.edges, other.sum)


def tally(store: Store, kind: Kind, without: set[int] | None = None) -> Tally:
    """Count the edges of a kind that hold, as (cited, citing), but those of some citing records.

    Raises StoreError if a block is damaged.
    """
    counted = Tally()
    runs = [run for (run,) in store.rows("SELECT run FROM citation_runs WHERE kind = ? ORDER BY run", [int(kind)])]
    for first, second in _merged([_pieces(store, kind, run, _block_ids(store, kind, run)) for run in runs]):
        if without:
            kept = ~np.isin(second, list(without))
            first, second = first[kept], second[kept]
        counted.add(Edges(second, first) if kind is Kind.COLLECTION_CITING else Edges(first, second))
    return counted


def remake_edges(store: WritableStore, at_once: int = 20_000) -> None:
    """Make the edges of records again from these, some records a transaction."""

    def drop(_: int) -> None:
        for table in ("citation_runs", "citation_blocks"):
            store.executemany(f"DELETE FROM {table} WHERE kind = ?", [(int(Kind.RECORDS),)])

    store.transact(drop)
    pmids = store.pmids()
    for start in range(0, len(pmids), at_once):
        articles = store.get_many(pmids[start : start + at_once].tolist()).values()
        edges = record_edges((article.pmid, article.references) for article in articles)

        def put(change: int, edges: Edges = edges) -> None:
            put_edges(store, Kind.RECORDS, change, edges)

        store.transact(put)


def record_edges(references: Iterable[tuple[int, Sequence[int | str]]]) -> Edges:
    """Return the edges (cited, citing) of records in order, given the references of each PMID."""
    pairs = [
        (node(cited), pmid)
        for pmid, works in references
        for cited in works
        if isinstance(cited, str) or 0 < cited <= MAX_PMID
    ]
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return _ordered(Edges(columns[:, 0], columns[:, 1]))
