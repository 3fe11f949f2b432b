"""Find the articles that answer a question: by meaning, by words, or by both."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from search.article import Article
from search.errors import IndexCorruptError, QueryError
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.fusion import fuse
from search.storage.backend import Selection, View
from search.storage.rows import Vectors

__all__ = ["MODES", "Duplicate", "Found", "Hit", "Mode", "check_limit", "check_question", "find", "hits_of", "nearest"]

Mode = Literal["semantic", "lexical", "hybrid"]
MODES: tuple[Mode, ...] = ("semantic", "lexical", "hybrid")

#: From each list so many candidates are fused at the least.
_FUSION_DEPTH = 200


class Duplicate(msgspec.Struct, frozen=True):
    """An article that was folded into a hit, and why: `same DOI` or `same title and year`."""

    pmid: int
    reason: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An article that was found, its rank from 1 and its score.

    The score is the cosine in [-1, 1] (semantic), the BM25 (lexical) or the fused score (hybrid). `cosine`, `bm25` and
    the ranks in each list say where it came from; None where the article was not in that list. `evidence` holds the
    sentences nearest to the question where they were asked for, `duplicates` what was folded into this hit.
    """

    rank: int
    score: float
    article: Article
    cosine: float | None = None
    bm25: float | None = None
    semantic_rank: int | None = None
    lexical_rank: int | None = None
    evidence: tuple[EvidenceSentence, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def pmid(self) -> int:
        """The article's PMID."""
        return self.article.pmid


class Found(msgspec.Struct, frozen=True):
    """PMIDs in order of rank with their scores, before the articles are read."""

    pmids: list[int]
    scores: list[float]
    cosines: dict[int, float] = {}
    bm25: dict[int, float] = {}
    semantic_ranks: dict[int, int] = {}
    lexical_ranks: dict[int, int] = {}


def check_question(question: str) -> str:
    """Return the question without white space around it. Raises QueryError if nothing is left."""
    text = question.strip()
    if not text:
        raise QueryError("the question is empty: say in a few words or a sentence what you are looking for")
    return text


def check_limit(limit: int) -> int:
    """Return the number of results. Raises QueryError if it is below 1."""
    if limit < 1:
        raise QueryError(f"the number of results must be at least 1, not {limit}")
    return limit


def find(
    view: View,
    questions: list[str],
    vectors: Vectors | None,
    limit: int,
    *,
    mode: Mode = "semantic",
    allowed: Selection | None = None,
) -> list[Found]:
    """Return what is found for each question.

    `vectors` are those of the questions, (n, dimension) float32 with unit rows; the lexical mode needs none. `allowed`
    restricts the search to a selection; whatever it is, the true best `limit` of them are returned.
    """
    check_limit(limit)
    if mode == "lexical":
        return [_lexical(view, question, limit, allowed) for question in questions]
    if vectors is None:
        raise QueryError(f"the mode {mode} needs the vectors of the questions")
    if mode == "semantic":
        return nearest(view, vectors, limit, allowed=allowed)
    depth = max(limit, _FUSION_DEPTH)
    by_meaning = nearest(view, vectors, depth, allowed=allowed)
    return [
        _hybrid(view, question, vector, limit, meaning, _lexical(view, question, depth, allowed))
        for question, vector, meaning in zip(questions, vectors, by_meaning, strict=True)
    ]


def nearest(view: View, vectors: Vectors, limit: int, *, allowed: Selection | None = None) -> list[Found]:
    """Return the articles nearest to each vector, by cosine."""
    answers = []
    for pmids, scores in view.nearest(vectors, check_limit(limit), allowed=allowed):
        order, values = pmids.tolist(), scores.tolist()
        cosines = dict(zip(order, values, strict=True))
        answers.append(Found(order, values, cosines=cosines, semantic_ranks=_ranks(order)))
    return answers


def _lexical(view: View, question: str, limit: int, allowed: Selection | None) -> Found:
    pmids, scores = view.words_nearest(question, limit, allowed=allowed)
    order, values = pmids.tolist(), scores.tolist()
    return Found(order, values, bm25=dict(zip(order, values, strict=True)), lexical_ranks=_ranks(order))


def _hybrid(view: View, question: str, vector: Vectors, limit: int, meaning: Found, words: Found) -> Found:
    """Fuse two lists; each article of either gets its exact cosine and its BM25."""
    cosines, bm25 = dict(meaning.cosines), dict(words.bm25)
    found, rows = view.store.vectors(bm25.keys() - cosines.keys())
    cosines.update(zip(found.tolist(), (rows @ vector).tolist(), strict=True))
    # One that has no vector yet is found by its words alone.
    cosines.update({pmid: 0.0 for pmid in bm25 if pmid not in cosines})
    bm25.update(view.words_scores(question, np.array(sorted(cosines.keys() - bm25.keys()), np.int64)))
    # Equal scores come in the order of the cosines: the newest PMID first.
    fused = fuse({pmid: cosines[pmid] for pmid in sorted(cosines, reverse=True)}, bm25)[:limit]
    pmids, scores = [pmid for pmid, _ in fused], [score for _, score in fused]
    return Found(pmids, scores, cosines, bm25, meaning.semantic_ranks, words.lexical_ranks)


def _ranks(pmids: list[int]) -> dict[int, int]:
    return {pmid: rank for rank, pmid in enumerate(pmids, start=1)}


def hits_of(view: View, found: list[Found]) -> list[list[Hit]]:
    """Read the articles of what was found."""
    wanted = {pmid for answer in found for pmid in answer.pmids}
    articles = view.store.get_many(wanted)
    if strange := wanted - articles.keys():
        raise IndexCorruptError(
            f"the search structures hold PMID {min(strange)}, which is not in the index; `search repair` rebuilds them"
        )
    return [
        [
            Hit(
                rank=rank,
                score=score,
                article=articles[pmid],
                cosine=answer.cosines.get(pmid),
                bm25=answer.bm25.get(pmid),
                semantic_rank=answer.semantic_ranks.get(pmid),
                lexical_rank=answer.lexical_ranks.get(pmid),
            )
            for rank, (pmid, score) in enumerate(zip(answer.pmids, answer.scores, strict=True), start=1)
        ]
        for answer in found
    ]
