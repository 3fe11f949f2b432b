"""Segments: a small update writes little beside a large index, and whatever is merged when, the same is found."""

import numpy as np
import pytest
from helpers import article, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.article import TEXT_RULE
from search.errors import IndexCorruptError, IndexFolderError
from search.storage.folder import compaction as compaction_module
from search.storage.folder import faiss_index as ann_module
from search.storage.folder import folder_writer as writer_module
from search.storage.folder import segments as segments_module
from search.storage.folder.folder_manifest import FolderManifest, VectorSegment, read_manifest
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_verify import verify
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.folder.segments import replaceable

WORDS = [f"w{number}" for number in range(12)]


@pytest.fixture
def tiny(monkeypatch):
    """Tiers and thresholds so small that a few articles are many."""
    monkeypatch.setattr(segments_module, "_SMALL", 4)
    monkeypatch.setattr(writer_module, "_MERGE_AT", 6)
    monkeypatch.setattr(ann_module, "EXACT_UP_TO", 30)


def new_index(folder, encoder):
    create_folder(
        folder,
        FolderManifest(
            model="words", fingerprint="w", dimension=encoder.dimension, text_rule=TEXT_RULE, vectors="float16"
        ),
    )
    return folder


def found(reader, encoder, question, limit=8, allowed=None):
    with reader.view() as view:
        selection = None if allowed is None else view.select(lambda sql: sql.pmids(allowed.tolist()))
        pmids, scores = view.nearest(encoder.encode([question]), limit, allowed=selection)[0]
        wanted, vectors = view.store.vectors(view.store.pmids().tolist())
    if allowed is not None:
        keep = np.isin(wanted, allowed)
        wanted, vectors = wanted[keep], vectors[keep]
    exact = vectors @ encoder.encode([question])[0]
    best = np.lexsort((-wanted, -exact))[:limit]
    assert pmids.tolist() == wanted[best].tolist()
    assert scores == pytest.approx(exact[best], abs=1e-6)
    return pmids.tolist()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(1, 90), min_size=1, max_size=25)),
        st.tuples(st.just("delete"), st.lists(st.integers(1, 90), min_size=1, max_size=12)),
        st.tuples(
            st.sampled_from(["due", "merge", "rebuild", "store", "restore"]), st.lists(st.integers(1, 90), max_size=4)
        ),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps, allowed=st.lists(st.integers(1, 90), min_size=1, max_size=30, unique=True))
def test_the_same_is_found_whatever_is_merged_when(tmp_path_factory, encoder, tiny, steps, allowed):
    from search.storage.rows import prepare

    folder = new_index(tmp_path_factory.mktemp("index") / "index", encoder)
    reader = IndexReader(folder)
    for number, (step, pmids) in enumerate(steps):
        writer = IndexWriter(folder)
        if step in ("put", "store", "restore"):
            rows = [
                prepare(article(pmid, f"{WORDS[(pmid * 7 + number) % 12]} {WORDS[pmid % 12]} only{pmid}-{number}"))
                for pmid in pmids
            ]
            plan = writer.store.plan(rows, restore=step == "restore")
            vectors = None if step == "store" else encoder.encode([row.text for row in plan.to_encode])
            writer.store.apply(plan, vectors)
            writer.merge_if_due()
        elif step == "delete":
            writer.store.delete(pmids)
        elif step == "due":
            writer.merge_if_due()
        else:
            writer.merge(rebuild=step == "rebuild")
        writer.close()
        found(reader, encoder, f"{WORDS[number % 12]} {WORDS[5]}")
        found(reader, encoder, WORDS[3], allowed=np.array(sorted(allowed)))
    assert list(verify(folder)) == []
    again = IndexReader(folder)
    assert found(again, encoder, WORDS[1]) == found(reader, encoder, WORDS[1])
    reader.close()
    again.close()


def part(live, outdated=0):
    return VectorSegment("", "", 0, 0, live + outdated, 0, "", "", None)


@pytest.mark.parametrize(
    ("sizes", "newer", "first"),
    [
        ([], 5_000, 0),
        ([10_000_000], 5_000, 1),
        ([10_000_000, 5_000], 5_000, 1),
        ([10_000_000, 40_000, 5_000], 5_000, 1),
        ([10_000_000, 50_000, 5_000], 5_000, 2),
        ([10_000_000, 2_000_000, 500_000], 5_000, 3),
        ([10_000_000, 2_000_000, 500_000], 125_000, 0),
        ([100, 100], 0, 0),
    ],
)
def test_segments_are_merged_once_what_is_newer_is_a_quarter_of_them(sizes, newer, first):
    assert replaceable(tuple(part(size) for size in sizes), newer) == first


def test_a_small_update_leaves_the_large_files_alone(folder, encoder, tiny):
    put(folder, encoder, *[article(pmid, f"{WORDS[pmid % 12]} only{pmid}") for pmid in range(1, 200)], merge=True)
    large = folder / read_manifest(folder).vector_segments[0].file
    before = {path: path.stat().st_ino for path in [large, *folder.glob("lexical-*/*")] if path.suffix != ".json"}
    put(folder, encoder, *[article(pmid, f"zebra only{pmid}", revised="2024-01-01") for pmid in range(190, 206)])
    writer = IndexWriter(folder)
    writer.store.delete([3])
    assert writer.merge_if_due()
    writer.close()
    manifest = read_manifest(folder)
    assert [segment.count for segment in manifest.vector_segments] == [199, 16]
    assert manifest.vector_segments[0].outdated.count == 11
    # A link has the number of the file it is a link to: nothing of the old generation was copied.
    files = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    kept = {status.st_ino for status in files.values()}
    assert {number for path, number in before.items() if path.suffix not in (".lock", ".del")} <= kept
    new = [
        status.st_size
        for path, status in files.items()
        if status.st_ino not in before.values() and not path.name.startswith("articles.db")
    ]
    assert sum(new) < large.stat().st_size
    reader = IndexReader(folder)
    assert set(found(reader, encoder, "zebra", 16)) == set(range(190, 206))
    assert 3 not in found(reader, encoder, f"{WORDS[3]} only3")
    reader.close()
    assert list(verify(folder)) == []


def test_large_segments_are_merged_aside_while_the_writer_goes_on(folder, encoder, tiny, monkeypatch):
    import threading

    gate, begun = threading.Event(), threading.Event()
    real = compaction_module.write_segment

    def waiting(*arguments, **options):
        begun.set()
        assert gate.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(compaction_module, "write_segment", waiting)
    texts = [article(pmid, f"{WORDS[pmid % 12]} only{pmid}") for pmid in range(1, 80)]
    put(folder, encoder, *texts[:40], merge=True)
    put(folder, encoder, *texts[40:52])
    reader = IndexReader(folder)
    writer = IndexWriter(folder)
    assert writer.merge_if_due() and begun.wait(20)
    assert [segment.count for segment in writer.manifest.vector_segments] == [40, 12]
    # What is changed while it runs is in no segment that it reads, or is listed as outdated when it becomes active.
    writer.store.delete([1, 50])
    found(reader, encoder, "w1 w2")
    put_more = [article(pmid, f"zebra {pmid}", revised="2024-01-01") for pmid in range(30, 45)]
    from search.storage.rows import prepare

    plan = writer.store.plan([prepare(item) for item in put_more])
    writer.store.apply(plan, encoder.encode([row.text for row in plan.to_encode]))
    assert writer.merge_if_due()
    assert [segment.count for segment in writer.manifest.vector_segments] == [40, 12, 15]
    found(reader, encoder, "zebra w1", 20)
    gate.set()
    writer.close()
    manifest = read_manifest(folder)
    assert [segment.live for segment in manifest.vector_segments] == [35, 15]
    assert set(found(reader, encoder, "zebra", 15)) == set(range(30, 45))
    reader.close()
    assert list(verify(folder)) == []


def test_what_goes_wrong_aside_is_told_and_nothing_is_lost(folder, encoder, tiny, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    put(folder, encoder, *[article(pmid, f"{WORDS[pmid % 12]} only{pmid}") for pmid in range(1, 40)], merge=True)
    put(folder, encoder, *[article(pmid, f"{WORDS[pmid % 12]} only{pmid}") for pmid in range(40, 80)])
    monkeypatch.setattr(compaction_module, "write_segment", full)
    writer = IndexWriter(folder)
    writer.merge_if_due()
    with pytest.raises(IndexFolderError, match="No space left"):
        writer.close()
    monkeypatch.undo()
    assert list(verify(folder)) == []
    IndexWriter(folder).close()


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_damaged_list_of_outdated_vectors_is_refused(folder, encoder, tiny, damage):
    put(folder, encoder, *[article(pmid, f"{WORDS[pmid % 12]} only{pmid}") for pmid in range(1, 200)], merge=True)
    put(folder, encoder, *[article(pmid, f"zebra {pmid}", revised="2024-01-01") for pmid in range(1, 10)], merge=True)
    (path,) = folder.glob("vectors-*-outdated-*.pmids")
    if damage == "missing":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(IndexCorruptError, match=r"outdated.*repair"):
        IndexReader(folder)
    assert any("outdated" in problem for problem in verify(folder))
    writer = IndexWriter(folder)
    writer.merge(rebuild=True)
    writer.close()
    assert list(verify(folder)) == []


def test_a_database_older_than_what_was_made_from_it_is_refused(folder, encoder, tmp_path):
    put(folder, encoder, article(1, "one"))
    old = (folder / "articles.db").read_bytes()
    put(folder, encoder, article(2, "two"), merge=True)
    for name in ("articles.db-wal", "articles.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "articles.db").write_bytes(old)
    with pytest.raises(IndexCorruptError, match=r"articles\.db is older .* repair"):
        IndexReader(folder)
    writer = IndexWriter(folder)
    writer.merge(rebuild=True)
    writer.close()
    reader = IndexReader(folder)
    assert found(reader, encoder, "one") == [1]
    reader.close()
