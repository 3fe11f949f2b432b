"""Finding the vectors nearest to a question in an index folder: in segments and among unmerged changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from search.storage.folder.faiss_index import TIES, VectorIndex
from search.storage.folder.folder_manifest import Kind
from search.storage.folder.segments import Segment
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.members import distinct
from search.storage.rows import Pmids, Vectors

__all__ = ["UnmergedVectors", "VectorSearch"]

_NO_PMIDS: Pmids = np.empty(0, np.int64)

#: PMIDs and scores of each query, both (queries, candidates); PMID -1 fills short rows.
_Answer: TypeAlias = tuple[Pmids, Vectors]

#: Up to so many PMIDs that a filter leaves are all compared, which is exact and costs no more than an index does.
_FEW = 500

#: Up to so many unmerged vectors are kept in memory.
_UNMERGED_KEPT = 20_000

#: So many are looked at whether they pass a filter, before all that pass it are listed.
_PROBED = 1_000
_LOOKED_AT_FIRST = 128


class UnmergedVectors:
    """The vectors of one kind that were committed after the changes that segments cover, up to one change.

    They are read when they are first needed, from any store that is in the state of that change, and then kept.
    """

    def __init__(self, kind: Kind, since: int, upto: int) -> None:
        self._kind: Kind = kind
        self._since = since
        self._upto = upto
        self._lock = threading.Lock()
        self._vectors: list[tuple[Pmids, Vectors]] | None = None
        self._changed: Pmids | None = None
        self._outdated_in: dict[str, Pmids] = {}

    def vectors(self, store: StoreReader) -> Iterable[tuple[Pmids, Vectors]]:
        """Return, in batches, PMIDs and vectors that no segment has.

        As many as there are between merges stay in memory; more, as after an import that was cut off, are read again.
        """
        with self._lock:
            if self._vectors is None:
                if store.count_vectors_since(self._since, kind=self._kind) > _UNMERGED_KEPT:
                    return store.vector_batches(kind=self._kind, since=self._since, upto=self._upto)
                self._vectors = [store.vectors_since(self._since, self._kind)]
            return self._vectors

    def changed(self, store: StoreReader) -> Pmids:
        """Return the PMIDs, ascending, whose vectors in Faiss are no longer true."""
        if self._changed is None:
            self._changed = store.vectors_changed_since(self._since, self._kind)
        return self._changed

    def outdated_in(self, segment: Segment, store: StoreReader) -> Pmids:
        """Return the PMIDs, ascending, whose vectors in a segment are no longer true."""
        if segment.part.file not in self._outdated_in:
            self._outdated_in[segment.part.file] = distinct(segment.outdated, self.changed(store))
        return self._outdated_in[segment.part.file]


@dataclass(frozen=True)
class VectorSearch:
    """The vectors of one kind, in one state of an index."""

    segments: tuple[Segment, ...]
    unmerged: UnmergedVectors

    def candidates(self, queries: Vectors, limit: int, store: StoreReader, allowed: Selection | None) -> list[Pmids]:
        """Return candidates for each query: from each segment those still valid, and from unmerged changes."""
        lists = None if allowed is None or allowed.is_listed else self._probed(queries, limit, store, allowed)
        if lists is None:
            listed = None if allowed is None else allowed.pmids(store)
            if listed is not None and len(listed) <= _FEW:
                return [listed] * len(queries)
            lists = _joined(
                (segment.index, self._search(segment, queries, segment.index.candidates(limit), store, listed))
                for segment in self.segments
            )
        lists = lists or [[] for _ in queries]
        for unmerged, vectors in self.unmerged.vectors(store):
            keep = np.arange(len(unmerged))
            if allowed is not None:
                keep = np.flatnonzero(np.isin(unmerged, allowed.passing(unmerged, store)))
            scores = queries @ vectors[keep].T
            for row, line in zip(lists, scores, strict=True):
                row.append(unmerged[keep[np.argsort(-line, kind="stable")[: limit + TIES]]])
        return [np.concatenate([*row, _NO_PMIDS]) for row in lists]

    def _search(
        self, segment: Segment, queries: Vectors, count: int, store: StoreReader, allowed: Pmids | None = None
    ) -> _Answer:
        outdated = self.unmerged.outdated_in(segment, store)
        return segment.index.search(queries, min(count, segment.index.count), allowed=allowed, excluded=outdated)

    def _probed(self, queries: Vectors, limit: int, store: StoreReader, allowed: Selection) -> list[list[Pmids]] | None:
        """Return of the very nearest in each segment what passes a filter; None if that is not enough."""
        answers = []
        for segment in self.segments:
            count = segment.index.candidates(limit)
            if count > _PROBED // 2:
                return None
            pmids, scores = self._search(segment, queries, _PROBED, store)
            needed = count if segment.index.exact else max(2 * limit, limit + TIES)
            few = segment.index.count <= _PROBED
            passing = _only(pmids, allowed, store) if few else _enough(pmids, needed, allowed, store)
            if passing is None:
                return None
            answers.append((segment.index, (passing, scores)))
        return _joined(answers)


def _only(pmids: Pmids, allowed: Selection, store: StoreReader) -> Pmids:
    """Return the PMIDs with -1 in place of those that do not pass a filter."""
    passing = allowed.passing(distinct(pmids[pmids >= 0]), store)
    only: Pmids = np.where(np.isin(pmids, passing), pmids, -1)
    return only


def _enough(pmids: Pmids, needed: int, allowed: Selection, store: StoreReader) -> Pmids | None:
    """Return what passes a filter in each row, as far as it was looked at; None if it is fewer than needed.

    The first of each row tell whether it is worth looking at the rest.
    """
    passing = np.full_like(pmids, -1)
    for start, stop in ((0, _LOOKED_AT_FIRST), (_LOOKED_AT_FIRST, pmids.shape[1])):
        passing[:, start:stop] = _only(pmids[:, start:stop], allowed, store)
        fewest = int((passing >= 0).sum(axis=1).min(initial=needed))
        if fewest >= needed:
            return passing
        if 2 * fewest * pmids.shape[1] < needed * stop:
            break
    return None


def _joined(answers: Iterable[tuple[VectorIndex, _Answer]]) -> list[list[Pmids]]:
    """Return, for each query, what exact indexes found, and of all that approximate ones found the best."""
    lists: list[list[Pmids]] = []
    rough: list[_Answer] = []
    for index, (pmids, scores) in answers:
        if index.exact:
            lists.append([row[row >= 0] for row in pmids])
        else:
            rough.append((pmids, scores))
    if rough:
        most = max(pmids.shape[1] for pmids, _ in rough)
        pmids = np.concatenate([some for some, _ in rough], axis=1)
        scores = np.concatenate([some for _, some in rough], axis=1)
        best = np.argsort(-np.where(pmids >= 0, scores, -np.inf), axis=1)[:, :most]
        lists.append([row[row >= 0] for row in np.take_along_axis(pmids, best, axis=1)])
    return [list(rows) for rows in zip(*lists, strict=True)]
