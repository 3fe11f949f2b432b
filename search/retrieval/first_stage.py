"""The first stage: what an index finds of a question before all of its articles are encoded.

Candidates are the nearest static vectors, the best by words, and the nearest of the articles that are encoded. The most
promising of those that are not encoded are encoded at the question; the others keep an estimate of their cosine.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from search.models.static_vectors import StaticVectors
from search.retrieval.on_demand import OnDemand
from search.retrieval.query import Query
from search.storage.backend import Selection, View
from search.storage.rows import Vectors

__all__ = ["Candidates", "FirstStage"]

#: Estimates are corrected by their mean error on the best encoded candidates: so many at most, and at least.
_COMPARED, _LEAST_COMPARED = 50, 5


class Candidates(msgspec.Struct):
    """Articles that may answer a question: exact cosines, estimates of those not encoded, BM25, ranks in the lists.

    `head` are those whose place is decided by exact scores alone.
    """

    cosines: dict[int, float]
    estimates: dict[int, float]
    bm25: dict[int, float]
    semantic_ranks: dict[int, int]
    lexical_ranks: dict[int, int]
    head: set[int]

    def ordered(self, weight: float) -> list[tuple[int, float]]:
        """Return PMIDs with cosine + `weight` x BM25 / highest BM25, estimated where need be, the best first.

        The head comes before the rest; equal scores are in order of PMID, the newest first.
        """
        largest = max(self.bm25.values(), default=0.0)
        share = weight / largest if largest > 0 else 0.0
        cosines = {**self.estimates, **self.cosines}
        scores = {pmid: cosine + share * self.bm25.get(pmid, 0.0) for pmid, cosine in cosines.items()}
        return sorted(scores.items(), key=lambda item: (item[0] not in self.head, -item[1], -item[0]))


class FirstStage:
    """Finds candidates in a view, among the articles that are allowed, and encodes the best of them."""

    def __init__(self, view: View, on_demand: OnDemand, depth: int, allowed: Selection | None) -> None:
        self._view = view
        self._on_demand = on_demand
        self._depth = depth
        self._allowed = allowed
        self._static: StaticVectors | None = view.store.static()
        self._encoded = 0

    def candidates(self, query: Query, others: Iterable[int] = ()) -> Candidates:
        """Return the candidates of a question, and `others` that were candidates before, with all that is known."""
        ((pmids, scores),) = self._view.nearest(query.vector[None], self._depth, allowed=self._allowed)
        cosines = dict(zip(pmids.tolist(), scores.tolist(), strict=True))
        words, values = self._view.bm25(query.terms, self._depth, allowed=self._allowed)
        bm25 = dict(zip(words.tolist(), values.tolist(), strict=True))
        semantic_ranks, lexical_ranks = _ranks(pmids.tolist()), _ranks(words.tolist())
        pool = {*cosines, *bm25, *others}
        if self._static is not None:
            question = self._static.questions(query.vector[None])
            ((near, _),) = self._view.static_nearest(question, self._depth, allowed=self._allowed)
            pool.update(near.tolist())
        vectors = self.vectors(pool - cosines.keys())
        cosines.update({pmid: float(vector @ query.vector) for pmid, vector in vectors.items()})
        bm25.update(self._view.bm25_scores(query.terms, np.array(sorted(pool - bm25.keys()), np.int64)))
        estimates = self._estimates(query, cosines, pool - cosines.keys())
        return Candidates(cosines, estimates, bm25, semantic_ranks, lexical_ranks, set())

    def vectors(self, pmids: Iterable[int]) -> dict[int, Vectors]:
        """Return the vectors of those of some articles that are encoded, in the index or at a question."""
        unique = set(pmids)
        stored, rows = self._view.store.vectors(unique)
        vectors = dict(zip(stored.tolist(), rows, strict=True))
        return {**self._on_demand.known(self._view, unique - vectors.keys()), **vectors}

    def teachers(self, pmids: Iterable[int]) -> dict[int, Vectors]:
        """Return the vectors that a question may learn from: where nothing may be encoded, estimates too."""
        unique = set(pmids)
        vectors = self.vectors(unique)
        if self._on_demand.budget:
            return vectors
        return {**self.estimated(unique - vectors.keys()), **vectors}

    def estimated(self, pmids: Iterable[int]) -> dict[int, Vectors]:
        """Return what the vectors of articles may be; of none where there are no static vectors."""
        if self._static is None:
            return {}
        stored, rows = self._view.store.static_vectors(pmids)
        return dict(zip(stored.tolist(), self._static.estimated(rows), strict=True))

    def encode_best(self, query: Query, candidates: Candidates, share: float) -> None:
        """Encode what needs it of the best candidates, `share` of the budget of them, and note these as the head."""
        if not self._on_demand.budget:
            return
        most = int(self._on_demand.budget * share)
        left = most - self._encoded
        missing: list[int] = []
        for pmid, _ in candidates.ordered(query.weight)[:most]:
            if pmid in candidates.estimates:
                if len(missing) >= left:
                    break
                missing.append(pmid)
            candidates.head.add(pmid)
        if not missing:
            return
        self._encoded += len(missing)
        # What a time limit left out keeps its estimate, behind all that has its exact score.
        candidates.head.difference_update(missing)
        for pmid, vector in self._on_demand.encode(self._view, missing).items():
            candidates.cosines[pmid] = float(vector @ query.vector)
            candidates.head.add(pmid)
            del candidates.estimates[pmid]

    def _estimates(self, query: Query, cosines: dict[int, float], missing: set[int]) -> dict[int, float]:
        """Return what the cosines of articles that are not encoded may be; 0 where there are no static vectors."""
        if self._static is None or not missing:
            return dict.fromkeys(missing, 0.0)
        best = sorted(cosines, key=lambda pmid: -cosines[pmid])[:_COMPARED]
        pmids, rows = self._view.store.static_vectors([*missing, *best])
        question = self._static.questions(query.vector[None])[0]
        static = dict(zip(pmids.tolist(), (rows @ question).tolist(), strict=True))
        off = [cosines[pmid] - static[pmid] for pmid in best if pmid in static]
        shift = float(np.mean(off)) if len(off) >= _LEAST_COMPARED else 0.0
        return {pmid: static[pmid] + shift if pmid in static else 0.0 for pmid in missing}


def _ranks(pmids: list[int]) -> dict[int, int]:
    return {pmid: rank for rank, pmid in enumerate(pmids, start=1)}
