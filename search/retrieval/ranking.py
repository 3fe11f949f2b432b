"""Rank articles for questions: candidates of a first stage, exact scores of the best, and one round of feedback.

Whatever found a candidate, its place and its score are those of its exact cosine (with BM25 in hybrid mode).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from search.retrieval.feedback import ANSWERS, learn
from search.retrieval.first_stage import FirstStage
from search.retrieval.fusion import fuse
from search.retrieval.on_demand import OnDemand
from search.retrieval.query import Query, query_of
from search.retrieval.request import Mode, check_limit, check_question
from search.storage.backend import Selection, View
from search.storage.bm25 import Terms, question_terms
from search.storage.rows import Vectors

__all__ = ["FUSION_DEPTH", "Ranker", "Ranking", "nearest"]

#: So many candidates of each list are fused at the least.
FUSION_DEPTH = 200

#: So many of each list are enough to find the first answers, from which a question learns.
_DEPTH_OF_ANSWERS = 50


class Ranking(msgspec.Struct, frozen=True):
    """The PMIDs of an answer, best first, with their scores; the articles are not read yet.

    `asked_cosines` are those with the question as it was asked, where feedback has moved it, and `added_words` what
    feedback has added to its words. `estimated` are articles that are not encoded, so that their cosines are estimates.
    """

    pmids: list[int]
    scores: list[float]
    cosines: dict[int, float] = {}
    bm25: dict[int, float] = {}
    semantic_ranks: dict[int, int] = {}
    lexical_ranks: dict[int, int] = {}
    asked_cosines: dict[int, float] = {}
    added_words: tuple[str, ...] = ()
    estimated: frozenset[int] = frozenset()


class Ranker:
    """Ranks the articles of a view for questions, in one mode; `allowed` restricts it to a selection.

    Whatever the selection is, the true best `limit` articles of it are returned. `feedback` lets a question learn from
    its first answers, except in lexical mode. Where not all articles are encoded, `on_demand` encodes the best of those
    that are not; without it they are found in hybrid mode only, by their words.
    """

    def __init__(
        self,
        view: View,
        limit: int,
        *,
        mode: Mode = "semantic",
        allowed: Selection | None = None,
        feedback: bool = True,
        on_demand: OnDemand | None = None,
    ) -> None:
        self._view = view
        self._limit = check_limit(limit)
        self._mode = mode
        self._allowed = allowed
        self._feedback = feedback and mode != "lexical"
        self._on_demand = on_demand

    def rank(
        self,
        questions: Sequence[str],
        vectors: Mapping[str, Vectors],
        also: Terms = {},  # noqa: B006 - it is only read
    ) -> list[Ranking]:
        """Return the ranking of each question; for one without a word, the newest articles that are allowed.

        `vectors` holds the vector of each question, (dimension,) float32 of unit length; lexical mode needs none.
        `also` are terms that BM25 looks for beside the words of the questions.
        """
        texts = list(dict.fromkeys(text for text in questions if text))
        if self._mode == "lexical":
            by_text = {text: self._lexical({**also, **question_terms(text)}) for text in texts}
        else:
            queries = [query_of(text, vectors[text], also) for text in texts]
            by_text = dict(zip(texts, self.ranked(queries), strict=True))
        return [by_text[text] if text else self._newest() for text in questions]

    def _lexical(self, terms: Terms) -> Ranking:
        pmids, scores = self._view.bm25(terms, self._limit, allowed=self._allowed)
        order, values = pmids.tolist(), scores.tolist()
        return Ranking(order, values, bm25=dict(zip(order, values, strict=True)), lexical_ranks=_ranks(order))

    def _newest(self) -> Ranking:
        if self._allowed is None:
            check_question("")
        pmids = self._view.newest(self._allowed, self._limit)
        return Ranking(pmids, [0.0] * len(pmids))

    def _taught(self, queries: list[Query]) -> list[Query]:
        """Return the questions after feedback from their hybrid rankings, in every mode."""
        taught = []
        for query, ranking in zip(
            queries, self._hybrid(queries, min(_DEPTH_OF_ANSWERS, FUSION_DEPTH), ANSWERS), strict=True
        ):
            best = list(zip(ranking.pmids, ranking.scores, strict=True))
            pmids, rows = self._view.store.vectors(ranking.pmids)
            taught.append(learn(self._view, query, best, dict(zip(pmids.tolist(), rows, strict=True))))
        return taught

    def ranked(self, queries: list[Query]) -> list[Ranking]:
        """Return the ranking of each question."""
        if not queries:
            return []
        if self._on_demand is not None and self._view.store.has_stale():
            return [self._with_asked(*self._two_stages(query, self._on_demand)) for query in queries]
        if self._feedback:
            queries = self._taught(queries)
        if self._mode == "hybrid":
            rankings = self._hybrid(queries, max(self._limit, FUSION_DEPTH), self._limit)
        else:
            vectors = np.stack([query.vector for query in queries])
            rankings = nearest(self._view, vectors, self._limit, allowed=self._allowed)
        return [self._with_asked(query, ranking) for query, ranking in zip(queries, rankings, strict=True)]

    def _two_stages(self, query: Query, on_demand: OnDemand) -> tuple[Query, Ranking]:
        """Rank where not all is encoded: encode the best half, let the question learn, encode the other half."""
        stage = FirstStage(self._view, on_demand, max(self._limit, FUSION_DEPTH), self._allowed)
        candidates = stage.candidates(query)
        if self._feedback:
            stage.encode_best(query, candidates, 0.5)
            best = candidates.ordered(query.weight)[:FUSION_DEPTH]
            query = learn(self._view, query, best, stage.teachers(pmid for pmid, _ in best[: 2 * ANSWERS]))
            candidates = stage.candidates(query, candidates.bm25.keys() | candidates.cosines.keys())
        stage.encode_best(query, candidates, 1)
        order = candidates.ordered(query.weight if self._mode == "hybrid" else 0.0)[: self._limit]
        ranking = Ranking(
            [pmid for pmid, _ in order],
            [score for _, score in order],
            candidates.cosines,
            candidates.bm25 if self._mode == "hybrid" else {},
            candidates.semantic_ranks,
            candidates.lexical_ranks if self._mode == "hybrid" else {},
            estimated=frozenset(candidates.estimates),
        )
        return query, ranking

    def _with_asked(self, query: Query, ranking: Ranking) -> Ranking:
        """Record what feedback did: the cosines with the original question, and the words it added."""
        if query.asked is None:
            return ranking
        pmids, rows = self._view.store.vectors(ranking.pmids)
        cosines = dict(zip(pmids.tolist(), (rows @ query.asked).tolist(), strict=True))
        if self._on_demand is not None:
            made = self._on_demand.known(self._view, set(ranking.pmids) - cosines.keys())
            cosines.update({pmid: float(vector @ query.asked) for pmid, vector in made.items()})
        return msgspec.structs.replace(ranking, asked_cosines=cosines, added_words=query.added_words)

    def _hybrid(self, queries: list[Query], depth: int, limit: int) -> list[Ranking]:
        """Fuse, for each question, `depth` articles by meaning and as many by words, each with both of its scores."""
        if not queries:
            return []
        semantic = nearest(self._view, np.stack([query.vector for query in queries]), depth, allowed=self._allowed)
        return [self._fused(query, found, depth, limit) for query, found in zip(queries, semantic, strict=True)]

    def _fused(self, query: Query, semantic: Ranking, depth: int, limit: int) -> Ranking:
        order, scores = self._view.bm25(query.terms, depth, allowed=self._allowed)
        cosines, bm25 = dict(semantic.cosines), dict(zip(order.tolist(), scores.tolist(), strict=True))
        pmids, rows = self._view.store.vectors(bm25.keys() - cosines.keys())
        cosines.update(zip(pmids.tolist(), (rows @ query.vector).tolist(), strict=True))
        # An article that has no vector yet is ranked by its words alone.
        cosines.update({pmid: 0.0 for pmid in bm25 if pmid not in cosines})
        bm25.update(self._view.bm25_scores(query.terms, np.array(sorted(cosines.keys() - bm25.keys()), np.int64)))
        # Equal scores come in the order of the cosines: the newest PMID first.
        in_order = {pmid: cosines[pmid] for pmid in sorted(cosines, reverse=True)}
        fused = fuse(in_order, bm25, weight=query.weight)[:limit]
        return Ranking(
            [pmid for pmid, _ in fused],
            [score for _, score in fused],
            cosines,
            bm25,
            semantic.semantic_ranks,
            _ranks(order.tolist()),
        )


def nearest(view: View, vectors: Vectors, limit: int, *, allowed: Selection | None = None) -> list[Ranking]:
    """Return the articles nearest to each vector, by cosine. `vectors` is (n, dimension) float32 with unit rows."""
    rankings = []
    for pmids, scores in view.nearest(vectors, check_limit(limit), allowed=allowed):
        order, values = pmids.tolist(), scores.tolist()
        cosines = dict(zip(order, values, strict=True))
        rankings.append(Ranking(order, values, cosines=cosines, semantic_ranks=_ranks(order)))
    return rankings


def _ranks(pmids: list[int]) -> dict[int, int]:
    return {pmid: rank for rank, pmid in enumerate(pmids, start=1)}
