"""Feedback: a question learns from its own first answers.

The best articles of a first, hybrid ranking move the question's vector towards their own and lend it their most telling
words (RM3). One round only: a second was measured and loses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from search.models.vectors import normalize
from search.retrieval.query import Query
from search.storage.backend import View
from search.storage.bm25 import lexical_text, question_words, words
from search.storage.rows import Vectors

__all__ = ["ANSWERS", "COMPARED", "MOVE", "SHARE", "TEMPERATURE", "WEIGHT", "WORDS", "learn"]

#: So many of the first answers teach, weighted by softmax of their scores at this temperature.
ANSWERS, TEMPERATURE = 10, 0.05
#: How far the vector moves towards the mean of theirs, both being unit vectors.
MOVE = 0.6
#: So many words are added, with half the weight of the question's own words together.
WORDS, SHARE = 20, 0.5
#: Only so many of their most frequent words are compared by how rare they are.
COMPARED = 300
#: The weight of BM25 beside the cosine after feedback.
WEIGHT = 0.5


def learn(view: View, query: Query, answers: Sequence[tuple[int, float]], vectors: Mapping[int, Vectors]) -> Query:
    """Return a question as it is after feedback from its first answers, (PMID, score) each, the best first.

    `vectors` holds the vectors of those that are encoded; the others do not teach. Without any the question stays.
    """
    teachers = [(pmid, score) for pmid, score in answers if pmid in vectors][:ANSWERS]
    if not teachers:
        return query
    scores = np.array([score for _, score in teachers], np.float64)
    weights = np.exp((scores - scores.max()) / TEMPERATURE)
    weights /= weights.sum()
    mean = normalize(weights[None].astype(np.float32) @ np.stack([vectors[pmid] for pmid, _ in teachers]))
    moved = normalize(query.vector[None] + MOVE * mean)[0]
    added = _telling_words(view, dict(zip((pmid for pmid, _ in teachers), weights.tolist(), strict=True)))
    own_words = question_words(query.text)
    total = sum(added.values()) or 1.0
    terms = dict(query.terms)
    for word, value in added.items():
        terms["text", word] = terms.get(("text", word), 0.0) + value / total * SHARE * len(own_words)
    new = tuple(word for word in added if word not in own_words)
    return Query(query.text, moved, terms, weight=WEIGHT, asked=query.vector, added_words=new)


def _telling_words(view: View, weights: Mapping[int, float]) -> dict[str, float]:
    """Return the words that are frequent in some articles and rare elsewhere, the most telling first."""
    shares: Counter[str] = Counter()
    for pmid, article in view.store.get_many(weights).items():
        counts = Counter(words(lexical_text(article)))
        unit = weights[pmid] / max(counts.total(), 1)
        for word, times in counts.items():
            shares[word] += unit * times  # type: ignore[assignment]
    frequent = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:COMPARED])
    rarity = view.idf(frequent)
    telling = {word: share * rarity[word] for word, share in frequent.items()}
    return dict(sorted(telling.items(), key=lambda item: (-item[1], item[0]))[:WORDS])
