"""t-SNE (van der Maaten and Hinton, 2008), computed exactly, for some hundreds of points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["embed", "squared_distances"]

#: In the early steps similar points are pulled together more strongly than is right, so that groups find their places.
_EARLY, _LATE, _EXAGGERATION = 250, 250, 12.0
_SEARCH_STEPS = 40

_Array = npt.NDArray[np.float32]


def embed(vectors: npt.NDArray[np.floating], start: _Array, perplexity: float) -> _Array:
    """Return a place in the plane, (n, 2), for each of the vectors (n, dimension), moved there from `start` (n, 2).

    `perplexity` is how many neighbours of a vector count as near it.
    """
    similarities = _similarities(squared_distances(vectors.astype(np.float32)), perplexity)
    rate = max(len(start) / _EXAGGERATION / 4, 50.0)
    places = _descend(start.copy(), similarities * _EXAGGERATION, _EARLY, 0.5, rate)
    return _descend(places, similarities, _LATE, 0.8, rate)


def _descend(places: _Array, similarities: _Array, steps: int, momentum: float, rate: float) -> _Array:
    speed, gains = np.zeros_like(places), np.ones_like(places)
    for _ in range(steps):
        gradient = _gradient(similarities, places)
        gains = np.maximum(np.where(speed * gradient < 0, gains + 0.2, gains * 0.8), 0.01).astype(np.float32)
        speed = momentum * speed - rate * gains * gradient
        places += speed
    return places


def squared_distances(points: _Array) -> _Array:
    """Return the squared distance of each point (n, dimension) to each, (n, n)."""
    squares = (points**2).sum(axis=1)
    distances: _Array = np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0)
    return distances


def _similarities(distances: _Array, perplexity: float) -> _Array:
    """Return the joint probabilities of neighbours: of each point a Gaussian as wide as the perplexity asks for."""
    own = np.eye(len(distances), dtype=bool)
    distances = distances - np.where(own, np.inf, distances).min(axis=1, keepdims=True)
    low, high = np.zeros((len(distances), 1)), np.full((len(distances), 1), np.inf)
    precision = np.ones((len(distances), 1))
    for _ in range(_SEARCH_STEPS):
        weights = np.where(own, 0.0, np.exp(-np.maximum(distances, 0) * precision))
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + precision * (np.maximum(distances, 0) * weights).sum(axis=1, keepdims=True) / total
        is_wide = entropy > np.log(perplexity)
        low, high = np.where(is_wide, precision, low), np.where(is_wide, high, precision)
        precision = np.where(np.isinf(high), precision * 2, (low + high) / 2)
    joint = weights / total
    joint = (joint + joint.T) / (2 * len(joint))
    similarities: _Array = np.maximum(joint, 1e-12).astype(np.float32)
    return similarities


def _gradient(similarities: _Array, places: _Array) -> _Array:
    closeness = 1 / (1 + squared_distances(places))
    np.fill_diagonal(closeness, 0)
    forces = (similarities - closeness / closeness.sum()) * closeness
    gradient: _Array = 4 * (forces.sum(axis=1)[:, None] * places - forces @ places)
    return gradient
