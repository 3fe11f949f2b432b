"""BM25 of any question with any text, by the statistics of a fixed set of documents.

The engine that searches (tantivy) scores only what it holds. Distillation asks for the score of texts that are in no
index, and for whole matrices of them, which sparse products give at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BM25"]


class BM25:
    """BM25 (k1 1.2, b 0.75) over lower-cased, English-stemmed words, as tantivy computes it."""

    def __init__(self, documents: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        import tantivy

        filters = tantivy.Filter
        builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(filters.lowercase())
        self._analyzer = builder.filter(filters.remove_long(40)).filter(filters.stemmer("english")).build()
        self._k1, self._b = k1, b
        words = [self._analyzer.analyze(text) for text in documents]
        self._vocabulary: dict[str, int] = {}
        for text in words:
            for word in text:
                self._vocabulary.setdefault(word, len(self._vocabulary))
        self._mean_length = float(np.mean([len(text) for text in words]))
        self._documents = self._weights(words)
        counts = np.bincount(self._documents.indices, minlength=len(self._vocabulary))
        self._idf = np.log(1 + (len(words) - counts + 0.5) / (counts + 0.5)).astype(np.float32)

    def score_all(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return the scores of every question (rows) with every document of the set (columns)."""
        scores: NDArray[np.float32] = (self._query(queries) @ self._documents.T).toarray()
        return scores

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the scores of every question with every text, and each question's largest over texts and set.

        The largest is 1 where no word of the question is known, so that dividing by it is safe.
        """
        query = self._query(queries)
        weights = self._weights([self._analyzer.analyze(text) for text in texts])
        scores: NDArray[np.float32] = (query @ weights.T).toarray()
        largest = np.asarray((query @ self._documents.T).max(axis=1).todense()).ravel()
        largest = np.maximum(largest, scores.max(axis=1))
        largest[largest <= 0] = 1
        return scores, largest

    def _weights(self, texts: Sequence[Sequence[str]]) -> Any:
        """Return the sparse matrix of tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length))."""
        rows, columns, values = [], [], []
        for row, words in enumerate(texts):
            norm = self._k1 * (1 - self._b + self._b * len(words) / self._mean_length)
            for word, count in Counter(words).items():
                column = self._vocabulary.get(word)
                if column is not None:
                    rows.append(row)
                    columns.append(column)
                    values.append(count * (self._k1 + 1) / (count + norm))
        return self._matrix(rows, columns, values, len(texts))

    def _query(self, queries: Sequence[str]) -> Any:
        rows, columns, values = [], [], []
        for row, text in enumerate(queries):
            for word in self._analyzer.analyze(text):
                column = self._vocabulary.get(word)
                if column is not None:
                    rows.append(row)
                    columns.append(column)
                    values.append(self._idf[column])
        return self._matrix(rows, columns, values, len(queries))

    def _matrix(self, rows: list[int], columns: list[int], values: list[Any], height: int) -> Any:
        from scipy.sparse import csr_matrix

        entries = (np.asarray(values, dtype=np.float32), (rows, columns))
        return csr_matrix(entries, shape=(height, len(self._vocabulary)))
