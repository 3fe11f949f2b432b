"""What a search, an update and an opening cost, counted and not timed: rows read, vectors compared, bytes written."""

import builtins
import tracemalloc

import numpy as np
import pytest
from helpers import article, put

from search.storage.folder import faiss_index as ann_module
from search.storage.folder import folder_writer as writer_module
from search.storage.folder import segments as segments_module
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_reader import StoreReader

HELD = 600


@pytest.fixture
def held(folder, encoder, monkeypatch):
    """An index of one large segment, where a few hundred articles are many."""
    monkeypatch.setattr(ann_module, "EXACT_UP_TO", 100)
    monkeypatch.setattr(segments_module, "_SMALL", 10)
    monkeypatch.setattr(writer_module, "_MERGE_AT", 20)
    put(folder, encoder, *[article(pmid, f"w{pmid % 50} only{pmid}") for pmid in range(1, HELD + 1)], merge=True)
    return folder


@pytest.fixture
def rows_read(monkeypatch):
    """The number of vectors that were read from SQLite."""
    read = []
    real = StoreReader._matrix

    def counting(self, rows):
        read.append(len(rows))
        return real(self, rows)

    monkeypatch.setattr(StoreReader, "_matrix", counting)
    return read


def test_a_search_reads_the_candidates_and_what_is_pending_and_no_more(held, encoder, rows_read):
    put(held, encoder, *[article(pmid, f"w1 new{pmid}") for pmid in range(1001, 1011)])
    reader = IndexReader(held)
    assert sum(rows_read) == 0
    question = encoder.encode(["w1 w2"])
    with reader.view() as view:
        view.nearest(question, 10)
    candidates = ann_module._LEAST_CANDIDATES
    assert sum(rows_read) <= 10 + candidates + 10
    rows_read.clear()
    # What is pending was kept; the second search reads its candidates alone.
    with reader.view() as view:
        view.nearest(question, 10)
    assert sum(rows_read) <= candidates + 10
    reader.close()


def test_what_passes_a_long_list_is_looked_up_and_the_list_not_gone_through():
    listed = np.arange(1, 2_000_001, 2)
    some = np.array([4, 5, 1_999_999, 9_000_001, 1])
    tracemalloc.start()
    passing = Selection.listed(listed).passing(some, None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert passing.tolist() == [5, 1_999_999, 1]
    assert most < 100_000, "as much memory was taken as for a copy of the list"
    assert Selection.listed(listed[:0]).passing(some, None).tolist() == []


def test_a_search_compares_the_cells_it_looks_into(held, encoder):
    import faiss

    reader = IndexReader(held)
    index = reader._parts.segments["vectors"][0].index
    statistics = faiss.cvar.indexIVF_stats
    statistics.reset()
    with reader.view() as view:
        view.nearest(encoder.encode(["w1 w2"]), 3)
    assert statistics.nlist <= ann_module._LEAST_PROBED
    assert statistics.ndis < HELD
    assert index._index.nlist > ann_module._LEAST_PROBED
    reader.close()


def test_an_update_reads_and_writes_what_is_new(held, encoder, rows_read, monkeypatch):
    large = (held / "vectors-1.faiss").stat().st_size
    new = [article(pmid, f"w{pmid % 50} new{pmid}") for pmid in range(1001, 1031)]
    writer = IndexWriter(held)
    from search.storage.rows import prepare

    plan = writer.store.plan([prepare(item) for item in new])
    writer.store.apply(plan, encoder.encode([row.text for row in plan.to_encode]))
    rows_read.clear()
    assert writer.merge_if_due()
    writer.close()
    assert sum(rows_read) == len(new)
    written = [path for path in held.iterdir() if path.name.startswith("vectors-") and "-1." not in path.name]
    assert sum(path.stat().st_size for path in written) < large / 4


def test_opening_reads_a_sample_of_a_large_file(held, monkeypatch, tmp_path):
    from search.files import sample_digest

    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(1 << 33)
    read = []
    real = builtins.open

    class Counting:
        def __init__(self, stream):
            self._stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._stream.close()

        def seek(self, place):
            self._stream.seek(place)

        def read(self, size):
            data = self._stream.read(size)
            read.append(len(data))
            return data

    monkeypatch.setattr(type(path), "open", lambda self, mode: Counting(real(self, mode)))
    assert sample_digest(path) == sample_digest(path)
    assert sum(read) <= 2 * 64 * (1 << 16) and np.all(np.array(read) <= 1 << 16)


def test_what_changed_is_found_without_going_through_what_did_not(held, encoder):
    put(held, encoder, article(1, "w1 again", revised="2025-01-01"), article(1001, "w1 new"))
    store = StoreReader(held / "articles.db")
    since = store.change() - 1
    for found in (store.vectors_changed_since, store.changed_since, lambda change: store.vectors_since(change)[0]):
        steps = []
        store.connection.set_progress_handler(lambda steps=steps: steps.append(1), 1)
        assert found(since).tolist() == [1, 1001]
        store.connection.set_progress_handler(None, 1)
        assert len(steps) < HELD
    store.close()
