"""Evidence sentences: the sentences of an abstract that are nearest to the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from search.article import Article
from search.retrieval.sentences import abstract_sentences

__all__ = ["EvidenceSentence", "evidence_for_all", "evidence_sentences"]

Vectors = npt.NDArray[np.floating]

#: A sentence of fewer words (`Review.`, `Level IV.`) is shown only where the abstract has no longer one.
_FEWEST_WORDS = 4


class EvidenceSentence(msgspec.Struct, frozen=True):
    """A sentence of an abstract: `Article.abstract_text[start:end]`, and its cosine similarity to the question."""

    text: str
    start: int
    end: int
    score: float


def evidence_sentences(
    article: Article, query_vector: Vectors, encode: Callable[[list[str]], Vectors], n: int = 2
) -> list[EvidenceSentence]:
    """Return the n sentences of the abstract nearest to the question, the nearest first; none without an abstract.

    `query_vector` has shape (dimension,), `encode` gives shape (sentences, dimension), all vectors of unit length.
    """
    return evidence_for_all([article], query_vector, encode, n)[0]


def evidence_for_all(
    articles: Sequence[Article], query_vector: Vectors, encode: Callable[[list[str]], Vectors], n: int = 2
) -> list[list[EvidenceSentence]]:
    """Return the evidence sentences of each article, in the articles' order, encoding all their sentences at once."""
    found = [_candidates(article) for article in articles]
    texts = list(dict.fromkeys(article.abstract_text[start:end] for article, start, end in _flat(articles, found)))
    if not texts or n < 1:
        return [[] for _ in articles]
    scores = dict(zip(texts, (encode(texts) @ query_vector).tolist(), strict=True))
    return [_best(article, spans, scores, n) for article, spans in zip(articles, found, strict=True)]


def _candidates(article: Article) -> list[tuple[int, int]]:
    spans = abstract_sentences(article)
    text = article.abstract_text
    return [span for span in spans if len(text[slice(*span)].split()) >= _FEWEST_WORDS] or spans


def _flat(articles: Sequence[Article], found: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[Article, int, int]]:
    return [(article, *span) for article, spans in zip(articles, found, strict=True) for span in spans]


def _best(article: Article, spans: list[tuple[int, int]], scores: dict[str, float], n: int) -> list[EvidenceSentence]:
    text = article.abstract_text
    sentences = [EvidenceSentence(text[start:end], start, end, scores[text[start:end]]) for start, end in spans]
    return sorted(sentences, key=lambda sentence: (-sentence.score, sentence.start))[:n]
