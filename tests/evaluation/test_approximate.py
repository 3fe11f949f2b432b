"""What an index folder's Faiss index finds of the exact ranking."""

import numpy as np
import pytest

from search.errors import EvaluationError
from search.evaluation.approximate import index_recall, neighbour_recall
from search.storage.folder import faiss_index as ann


def unit(rng, count, dimension=16):
    rows = rng.standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_neighbour_recall():
    assert neighbour_recall([[1, 2, 3], [4, 5]], [[3, 1, 9], [5, 4]], 3) == pytest.approx((2 / 3 + 1) / 2)
    with pytest.raises(EvaluationError, match="cannot be compared"):
        neighbour_recall([[1]], [])


def test_a_small_index_loses_rounding_only():
    rng = np.random.default_rng(0)
    found = index_recall(unit(rng, 20), unit(rng, 2000))
    assert (found.kind, found.k) == ("IDMap,SQfp16", 10)
    assert 0.97 < found.recall <= 1


def test_fewer_documents_than_neighbours():
    rng = np.random.default_rng(0)
    assert index_recall(unit(rng, 3), unit(rng, 4)).k == 4


def test_an_index_of_cells_misses_what_lies_in_others(monkeypatch):
    monkeypatch.setattr(ann, "EXACT_UP_TO", 100)
    monkeypatch.setattr(ann.VectorIndex, "_probes", lambda self, limit, allowed: 2)
    rng = np.random.default_rng(0)
    found = index_recall(unit(rng, 50), unit(rng, 3000))
    assert found.kind == "IVF256,SQ8"
    # Vectors without any structure, two cells of 256: most neighbours are elsewhere.
    assert 0.01 < found.recall < 0.6
