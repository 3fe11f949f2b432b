"""Measures of a ranking, per question, and what can be said of their means.

Definitions are trec_eval's, so that numbers compare with published ones: a judgement above 0 is relevant, the gain of a
graded one is its grade (linear), and a question without a relevant document is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "bootstrap_interval",
    "ndcg_at_k",
    "paired_randomisation_test",
    "pearson",
    "precision_at_k",
    "recall_at_k",
    "reciprocal_rank",
    "spearman",
]

Judgements = Mapping[str, int]


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds within which it lies with a given confidence."""

    mean: float
    low: float
    high: float


def ndcg_at_k(ranking: Sequence[str], judgements: Judgements, k: int = 10) -> float:
    """Return the normalised discounted cumulative gain of the first k: sum of grade / log2(rank + 1) over its best."""
    gains = [max(0, judgements.get(document, 0)) for document in ranking[:k]]
    ideal = sorted((grade for grade in judgements.values() if grade > 0), reverse=True)[:k]
    best = _discounted(ideal)
    return _discounted(gains) / best if best else 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def recall_at_k(ranking: Sequence[str], judgements: Judgements, k: int = 100) -> float:
    """Return the part of the relevant documents that the first k hold."""
    relevant = sum(grade > 0 for grade in judgements.values())
    return _found(ranking[:k], judgements) / relevant if relevant else 0.0


def precision_at_k(ranking: Sequence[str], judgements: Judgements, k: int = 10) -> float:
    """Return the part of the first k that is relevant; a ranking shorter than k is counted as if filled with misses."""
    return _found(ranking[:k], judgements) / k


def reciprocal_rank(ranking: Sequence[str], judgements: Judgements) -> float:
    """Return 1 / the rank of the first relevant document, or 0 if there is none."""
    for rank, document in enumerate(ranking, 1):
        if judgements.get(document, 0) > 0:
            return 1 / rank
    return 0.0


def _found(documents: Sequence[str], judgements: Judgements) -> int:
    return sum(judgements.get(document, 0) > 0 for document in documents)


def bootstrap_interval(
    values: Sequence[float], *, confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Interval:
    """Return the mean of per-question values with its percentile bootstrap interval (questions drawn with return)."""
    array = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    # One resample at a time keeps the memory small for collections of many questions.
    means = [array[rng.integers(0, len(array), len(array))].mean() for _ in range(samples)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(array.mean()), float(low), float(high))


def paired_randomisation_test(
    first: Sequence[float], second: Sequence[float], *, samples: int = 10_000, seed: int = 0
) -> float:
    """Return the two-sided p-value that two runs over the same questions differ in their mean.

    Fisher's randomisation test as Smucker, Allan and Carterette (2007) recommend it for retrieval: under the null
    hypothesis a question's two values may be exchanged, so the sign of each difference is drawn again. The p-value
    counts the observed outcome among the samples and is never 0.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    observed = abs(differences.mean())
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(samples):
        signs = rng.integers(0, 2, len(differences)) * 2 - 1
        # The tolerance keeps a permutation that equals the observed one from being lost to rounding.
        extreme += bool(abs((signs * differences).mean()) >= observed - 1e-12)
    return (extreme + 1) / (samples + 1)


def pearson(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Pearson's correlation in double precision; nan where either has no variance."""
    left = np.asarray(first, dtype=np.float64)
    right = np.asarray(second, dtype=np.float64)
    left, right = left - left.mean(), right - right.mean()
    scale = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / scale if scale else math.nan


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks."""
    return pearson(_ranks(first), _ranks(second))


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank of each value from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
