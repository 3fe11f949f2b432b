"""How much of the exact result the index that a folder of so many articles would have finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import EvaluationError
from search.storage.folder import faiss_index as ann

__all__ = ["IndexRecall", "index_recall", "neighbour_recall"]


@dataclass(frozen=True)
class IndexRecall:
    """The mean part of the exact nearest `k` that an index of the Faiss kind `kind` found."""

    kind: str
    k: int
    recall: float


def index_recall(queries: NDArray[np.float32], documents: NDArray[np.float32], k: int = 10) -> IndexRecall:
    """Build the Faiss index that an index folder of these documents has, and compare it with exact search.

    Rows are of unit length. Up to `ann.EXACT_UP_TO` documents every one is compared, so what is lost is the rounding
    of vectors to 16 bits; above that it is also the cells that are not looked into.
    """
    count = len(documents)
    k = min(k, count)
    size = ann.training_size(count, documents.shape[1])
    sample = documents[np.random.default_rng(0).permutation(count)[:size]] if size else None
    rows = np.arange(count, dtype=np.int64)
    index = ann.build([(rows, documents)], count, sample, documents.shape[1])
    candidates, _ = index.search(queries, index.candidates(k))
    neighbours = [_best(query, documents, row[row >= 0], k) for query, row in zip(queries, candidates, strict=True)]
    exact = [np.argsort(-(documents @ query), kind="stable")[:k].tolist() for query in queries]
    return IndexRecall(ann.choose(count, documents.shape[1]), k, neighbour_recall(exact, neighbours, k))


def _best(
    query: NDArray[np.float32], documents: NDArray[np.float32], candidates: NDArray[np.int64], k: int
) -> list[int]:
    """Return the `k` best of the candidates by their exact scores, as a search does."""
    order = np.argsort(-(documents[candidates] @ query), kind="stable")[:k]
    return [int(row) for row in candidates[order]]


def neighbour_recall(exact: Sequence[Sequence[Any]], approximate: Sequence[Sequence[Any]], k: int = 10) -> float:
    """Return the mean part of the exact first k that an approximate index found among its first k.

    Both give the ids of each question's neighbours, the best first. Raises EvaluationError if their numbers differ.
    """
    if len(exact) != len(approximate) or not exact:
        raise EvaluationError(f"{len(exact)} exact and {len(approximate)} approximate rankings cannot be compared")
    parts = [
        len(set(true[:k]) & set(found[:k])) / len(true[:k]) if len(true) else 1.0
        for true, found in zip(exact, approximate, strict=True)
    ]
    return float(np.mean(parts))
