"""A hit: an article of an answer, with its rank, its scores and what is shown beside it."""

from __future__ import annotations

import msgspec

from search.article import Article
from search.retrieval.evidence import EvidenceSentence

__all__ = ["Duplicate", "Hit"]


class Duplicate(msgspec.Struct, frozen=True):
    """An article that was folded into a hit, and why: `same DOI` or `same title and year`."""

    pmid: int
    reason: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An article that answers a question, its rank from 1 and its score.

    The score is the cosine in [-1, 1] (semantic), the BM25 (lexical), the fused score (hybrid), or the score of the
    cross-encoder where the configuration has `rerank`. `cosine`, `bm25` and the ranks in each list say where it came
    from; None where the article was not in that list. `evidence` holds the sentences nearest to the question if they
    were requested, `duplicates` the articles that were folded into this hit. `estimated`: the article is not
    encoded, and its score is made of an estimate of its cosine.

    Where feedback has moved the question, `cosine` is with the moved one, `asked_cosine` with the question as it was
    asked, and `added_words` are what its first answers added to its words, as they are indexed.
    """

    rank: int
    score: float
    article: Article
    cosine: float | None = None
    bm25: float | None = None
    semantic_rank: int | None = None
    lexical_rank: int | None = None
    asked_cosine: float | None = None
    added_words: tuple[str, ...] = ()
    estimated: bool = False
    evidence: tuple[EvidenceSentence, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def pmid(self) -> int:
        """The article's PMID."""
        return self.article.pmid
