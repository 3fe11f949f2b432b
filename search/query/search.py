"""Find the articles whose meaning is nearest to a question."""

from __future__ import annotations

import msgspec

from search.article import Article
from search.errors import QueryError
from search.index import View
from search.store import Pmids, Vectors

__all__ = ["Hit", "check_question", "semantic"]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An article that was found: its rank from 1 and its score, the cosine with the question, in [-1, 1]."""

    rank: int
    score: float
    article: Article

    @property
    def pmid(self) -> int:
        """The article's PMID."""
        return self.article.pmid


def check_question(question: str) -> str:
    """Return the question without white space around it. Raises QueryError if nothing is left."""
    text = question.strip()
    if not text:
        raise QueryError("the question is empty: say in a few words or a sentence what you are looking for")
    return text


def semantic(view: View, queries: Vectors, limit: int, *, allowed: Pmids | None = None) -> list[list[Hit]]:
    """Return the `limit` nearest articles of each query, an (n, dimension) float32 array of unit rows."""
    if limit < 1:
        raise QueryError(f"the number of results must be at least 1, not {limit}")
    answers = view.nearest(queries, limit, allowed=allowed)
    articles = view.store.get_many({int(pmid) for pmids, _ in answers for pmid in pmids})
    return [
        [
            Hit(rank=rank, score=float(score), article=articles[int(pmid)])
            for rank, (pmid, score) in enumerate(zip(pmids, scores, strict=True), start=1)
        ]
        for pmids, scores in answers
    ]
