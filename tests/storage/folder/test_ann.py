"""The approximate index: what it holds is known, filters hold, and the true best are among its candidates."""

import threading

import faiss
import numpy as np
import pytest

from search.errors import IndexCorruptError
from search.storage.folder import faiss_index as ann

DIMENSION, COUNT = 384, 5_000


@pytest.fixture(scope="module")
def rows():
    """Rows around some centres, so that each has neighbours, with the PMIDs out of order."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((25, DIMENSION))
    made = centres[random.integers(0, 25, COUNT)] + 1.5 * random.standard_normal((COUNT, DIMENSION))
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return random.permutation(COUNT * 3)[:COUNT].astype(np.int64) + 1, made


@pytest.fixture(scope="module")
def index(rows, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann, "EXACT_UP_TO", 1_000)
        kind = ann.choose(COUNT, DIMENSION)
        pmids, vectors = rows
        built = ann.build([(pmids[:2000], vectors[:2000]), (pmids[2000:], vectors[2000:])], COUNT, vectors, DIMENSION)
    path = tmp_path_factory.mktemp("ann") / "vectors.faiss"
    built.write(path)
    return ann.VectorIndex.read(path, kind)


def recall(index, rows, queries, limit, keep=None, **restrictions):
    pmids, vectors = rows
    wanted = np.arange(len(pmids)) if keep is None else np.flatnonzero(keep)
    found, _ = index.search(queries, index.candidates(limit), **restrictions)
    parts = []
    order = np.argsort(-(queries @ vectors[wanted].T), axis=1)[:, :limit]
    for best, candidates in zip(order, found, strict=True):
        exact = pmids[wanted[best]]
        assert set(candidates[candidates >= 0]) <= set(pmids[wanted])
        parts.append(len(set(exact) & set(candidates)) / limit)
    return np.mean(parts)


@pytest.mark.parametrize(
    ("count", "dimension", "kind"),
    [
        (50_000, 384, "IDMap,SQfp16"),
        (100_000, 384, "IVF512,RaBitQfs"),
        (1_000_000, 768, "IVF1024,RaBitQfs"),
        (10_000_000, 384, "IVF4096,RaBitQfs"),
        (38_000_000, 384, "IVF8192,RaBitQfs"),
        (100_000, 32, "IVF1024,SQ8"),
    ],
)
def test_the_kind_goes_by_size_and_dimension(count, dimension, kind):
    assert ann.choose(count, dimension) == kind


def test_what_it_holds_is_known(index, rows):
    pmids, _ = rows
    assert index.count == COUNT and index.dimension == DIMENSION and not index.exact
    assert index.pmids().tolist() == np.sort(pmids).tolist()
    some = np.arange(1, 200)
    assert index.holds(some).tolist() == np.intersect1d(some, pmids).tolist()
    assert index.holds(np.empty(0, np.int64)).tolist() == []
    assert index.holds(np.array([COUNT * 9])).tolist() == []


def test_the_true_best_are_among_the_candidates(index, rows):
    queries = rows[1][::100]
    assert recall(index, rows, queries, 10) >= 0.98
    assert recall(index, rows, queries, 100) >= 0.97


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_filters_hold_and_so_does_what_is_found(index, rows, share):
    pmids, vectors = rows
    keep = np.random.default_rng(1).random(len(pmids)) < share
    allowed, outdated = np.sort(pmids[keep]), np.sort(pmids[::3])
    assert recall(index, rows, vectors[::100], 10, keep, allowed=allowed) >= 0.98
    left = keep & ~np.isin(pmids, outdated)
    assert recall(index, rows, vectors[::100], 10, left, allowed=allowed, excluded=outdated) >= 0.98
    # Another filter of the same size is another filter, however often the first was asked with.
    assert recall(index, rows, vectors[::100], 10, ~keep, allowed=np.sort(pmids[~keep])) >= 0.98
    assert recall(index, rows, vectors[::100], 10, ~np.isin(pmids, outdated), excluded=outdated) >= 0.98


@pytest.fixture
def file(index, tmp_path):
    """The index in a file of its own."""
    index.write(tmp_path / "vectors.faiss")
    return tmp_path / "vectors.faiss"


def test_opening_does_not_wait_for_the_file_to_be_read(file, index, rows, monkeypatch):
    may_read = threading.Event()
    real = faiss.read_index

    def read_index(*arguments):
        assert may_read.wait(20)
        return real(*arguments)

    monkeypatch.setattr(faiss, "read_index", read_index)
    opened = ann.VectorIndex.read(file, "IVF128,RaBitQfs", (COUNT, DIMENSION))
    # A writer that has merged removes it.
    file.unlink()
    may_read.set()
    queries = rows[1][:5]
    assert np.array_equal(opened.search(queries, 10)[0], index.search(queries, 10)[0])
    assert opened.count == COUNT


def test_a_file_that_cannot_be_read_is_told_at_the_first_use(file):
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    opened = ann.VectorIndex.read(file, "IVF128,RaBitQfs", (COUNT, DIMENSION))
    for _ in range(2):
        with pytest.raises(IndexCorruptError, match=r"vectors\.faiss: Faiss cannot read it; `search repair`"):
            opened.pmids()


def test_a_file_of_other_vectors_is_told(file):
    opened = ann.VectorIndex.read(file, "IVF128,RaBitQfs", (COUNT + 1, DIMENSION))
    with pytest.raises(IndexCorruptError, match=f"holds {COUNT} vectors of {DIMENSION} .* says {COUNT + 1} of"):
        opened.search(np.zeros((1, DIMENSION), np.float32), 1)
