"""BM25 of all questions with all documents of a fixed set at once, as sparse products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self._idf = [idf(len(counts), number) for number in holding]

    def score_all(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Return the scores of every question (rows) with every document of the set (columns)."""
        queries = self._matrix(
            [Counter(words(text)) for text in questions], lambda _, column, times: times * self._idf[column]
        )
        scores: NDArray[np.float32] = (queries @ self._documents.T).toarray()
        return scores

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
