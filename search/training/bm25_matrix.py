"""BM25 of all questions with all documents of a fixed set at once, as sparse products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.retrieval import feedback
from search.storage.bm25 import K1, idf, length_norm, words

__all__ = ["BM25"]


class BM25:
    """The BM25 of a search by words (`search.storage.bm25`) over some documents."""

    def __init__(self, documents: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in documents]
        self._vocabulary = {word: column for column, word in enumerate(dict.fromkeys(w for row in counts for w in row))}
        mean = float(np.mean([row.total() for row in counts]))
        norms = [length_norm(row.total(), mean) for row in counts]
        self._documents = self._matrix(counts, lambda row, _, times: times * (K1 + 1) / (times + norms[row]))
        holding = np.bincount(self._documents.indices, minlength=len(self._vocabulary)).tolist()
        self._idf = np.array([idf(len(counts), number) for number in holding], np.float32)
        self._shares = self._matrix(counts, lambda row, _, times: times / max(counts[row].total(), 1))

    def terms(self, questions: Sequence[str]) -> Any:
        """Return how often each known word (columns) stands in each question (rows), as a sparse matrix."""
        return self._matrix([Counter(words(text)) for text in questions], lambda _row, _column, times: times)

    def score_all(self, terms: Any) -> NDArray[np.float32]:
        """Return the scores of every question's terms (rows) with every document of the set (columns)."""
        scores: NDArray[np.float32] = (terms.multiply(self._idf) @ self._documents.T).toarray()
        return scores

    def with_telling_words(self, terms: Any, weights: NDArray[np.float32]) -> Any:
        """Return the terms with the most telling words of its first documents added, as feedback does.

        `weights` is how much each document (columns) teaches each question (rows).
        """
        from scipy.sparse import csr_matrix

        shares = (csr_matrix(weights) @ self._shares).toarray()
        added = np.zeros_like(shares)
        for row, frequent in enumerate(shares):
            compared = np.argsort(-frequent, kind="stable")[: feedback.COMPARED]
            value = frequent[compared] * self._idf[compared]
            telling = np.argsort(-value, kind="stable")[: feedback.WORDS]
            own_words = terms[[row]].nnz
            added[row, compared[telling]] = (
                value[telling] / max(value[telling].sum(), 1e-9) * feedback.SHARE * own_words
            )
        return csr_matrix(terms + csr_matrix(added))

    def _matrix(self, counts: Sequence[Counter[str]], value: Callable[[int, int, int], float]) -> Any:
        """Return a sparse matrix of texts (rows) and known words (columns); `value` is of row, column and times."""
        from scipy.sparse import csr_matrix

        known = [
            (row, self._vocabulary[word], times)
            for row, counted in enumerate(counts)
            for word, times in counted.items()
            if word in self._vocabulary
        ]
        values = np.array([value(*entry) for entry in known], np.float32)
        rows, columns = [row for row, _, _ in known], [column for _, column, _ in known]
        return csr_matrix((values, (rows, columns)), shape=(len(counts), len(self._vocabulary)))
