"""An index folder: what is committed is found, whatever is merged yet, and damage is told in words."""

import multiprocessing
import os

import msgspec
import numpy as np
import pytest
from helpers import article, put

from search.errors import IndexCorruptError, IndexFolderError, IndexLockedError
from search.files import sealed
from search.storage.bm25 import question_terms
from search.storage.conditions import Condition
from search.storage.folder import faiss_index as ann_module
from search.storage.folder.folder_manifest import read_manifest, write_manifest
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.folder.sqlite_reader import StoreReader


def words(number):
    return " ".join(f"w{(number * prime) % 97}" for prime in (3, 5, 7, 11, 13)) + f" only{number}"


def listed(view, pmids):
    return view.select(lambda conditions: conditions.pmids(pmids.tolist()))


def nearest(folder, encoder, question, limit=5, allowed=None):
    reader = IndexReader(folder)
    with reader.view() as view:
        pmids, scores = view.nearest(
            encoder.encode([question]), limit, allowed=None if allowed is None else listed(view, allowed)
        )[0]
    reader.close()
    return pmids.tolist(), scores


def brute_force(folder, encoder, question, limit=5, allowed=None):
    store = StoreReader(folder / "articles.db")
    pmids, vectors = store.vectors(store.pmids().tolist())
    store.close()
    if allowed is not None:
        keep = np.isin(pmids, allowed)
        pmids, vectors = pmids[keep], vectors[keep]
    scores = vectors @ encoder.encode([question])[0]
    best = np.lexsort((-pmids, -scores))[:limit]
    return pmids[best].tolist(), scores[best]


@pytest.mark.parametrize("merged", [False, True], ids=["unmerged", "merged"])
@pytest.mark.parametrize("exact_up_to", [10_000, 0], ids=["exact", "ivf"])
def test_what_is_found_equals_brute_force(folder, encoder, monkeypatch, merged, exact_up_to):
    monkeypatch.setattr(ann_module, "EXACT_UP_TO", exact_up_to)
    articles = [article(number * 7, words(number)) for number in range(1, 400)]
    put(folder, encoder, *articles, merge=merged)
    for question in ("w3 w5 w7", "w50", words(77)):
        pmids, scores = nearest(folder, encoder, question)
        expected, exact = brute_force(folder, encoder, question)
        assert np.allclose(scores, exact, atol=1e-6)
        assert pmids == expected


def test_changes_after_a_merge_are_found_at_once(folder, encoder):
    put(folder, encoder, *[article(number, words(number)) for number in range(1, 60)], merge=True)
    put(folder, encoder, article(1000, "zebra crossing"), article(7, "zebra again", revised="2020-01-01"))
    assert nearest(folder, encoder, "zebra", 2)[0] == [1000, 7] or nearest(folder, encoder, "zebra", 2)[0] == [7, 1000]
    assert 7 not in nearest(folder, encoder, words(7), 3)[0]
    writer = IndexWriter(folder)
    writer.store.delete([1000, 3])
    writer.close()
    assert nearest(folder, encoder, "zebra", 1)[0] == [7]
    for question in ("zebra", words(3), words(9)):
        assert nearest(folder, encoder, question)[0] == brute_force(folder, encoder, question)[0]


def test_filters_are_applied_before_the_cut(folder, encoder):
    put(folder, encoder, *[article(number, words(number)) for number in range(1, 60)], merge=True)
    put(folder, encoder, *[article(number, words(number)) for number in range(60, 90)])
    allowed = np.array([5, 30, 61, 88, 4000])
    pmids, _ = nearest(folder, encoder, "w3", 10, allowed)
    assert sorted(pmids) == [5, 30, 61, 88]
    assert pmids == brute_force(folder, encoder, "w3", 10, allowed)[0]


def test_a_reader_goes_on_while_a_writer_merges(folder, encoder):
    put(folder, encoder, *[article(number, words(number)) for number in range(1, 60)], merge=True)
    reader = IndexReader(folder)
    with reader.view() as view:
        before = view.nearest(encoder.encode(["w3"]), 5)[0][0].tolist()
        put(folder, encoder, article(900, "w3"), merge=True)
        assert view.nearest(encoder.encode(["w3"]), 5)[0][0].tolist() == before
    with reader.view() as view:
        assert view.nearest(encoder.encode(["w3"]), 5)[0][0][0] == 900
        assert view.manifest.generation == 2
    reader.close()
    assert [path.name for path in folder.glob("vectors-*")] == ["vectors-2.faiss"]


def test_a_merge_that_was_cut_off_is_cleaned_up(folder, encoder):
    put(folder, encoder, article(1, "one"), merge=True)
    (folder / "vectors-2.faiss").write_bytes(b"half a generation")
    (folder / "vectors-3.faiss.new").write_bytes(b"less")
    assert nearest(folder, encoder, "one")[0] == [1]
    put(folder, encoder, article(2, "two"))
    assert [path.name for path in folder.glob("vectors-*")] == ["vectors-1.faiss"]


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(damage_cut, "the manifest says"), (damage_flip, "not the file"), (os.remove, "is missing")],
)
def test_a_damaged_vector_file_is_refused(folder, encoder, damage, message):
    put(folder, encoder, *[article(number, words(number)) for number in range(1, 60)], merge=True)
    damage(folder / "vectors-1.faiss")
    with pytest.raises(IndexCorruptError, match=rf"vectors-1\.faiss.*{message}.*repair"):
        IndexReader(folder)


def test_parts_of_two_indexes_are_refused(folder, encoder, tmp_path):
    manifest = read_manifest(folder)
    write_manifest(folder, msgspec.structs.replace(manifest, dimension=7))
    with pytest.raises(IndexCorruptError, match="32 dimensions .* and the manifest says 7"):
        IndexReader(folder)


def test_folders_that_are_no_index(folder, tmp_path):
    with pytest.raises(IndexFolderError, match="does not exist"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "notes.txt").write_text("mine")
    with pytest.raises(IndexFolderError, match=r"not an index: it has no manifest\.json"):
        read_manifest(tmp_path / "else")
    with pytest.raises(IndexFolderError, match=r"not empty .*notes\.txt"):
        create_folder(tmp_path / "else", read_manifest(folder))
    (folder / "manifest.json").write_text("{")
    with pytest.raises(IndexCorruptError, match=r"manifest\.json is damaged"):
        read_manifest(folder)
    (folder / "manifest.json").write_bytes(sealed({"format": 99}))
    with pytest.raises(IndexFolderError, match="format 99"):
        read_manifest(folder)


def _hold_lock(folder, held, done):
    writer = IndexWriter(folder)
    held.set()
    done.wait(20)
    os._exit(1)  # as if killed: nothing is released
    writer.close()


def test_a_second_writer_is_told_who_holds_the_lock_and_a_dead_one_holds_none(folder, encoder):
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold_lock, args=(folder, held, done))
    process.start()
    assert held.wait(20)
    with pytest.raises(IndexLockedError, match=rf"being written by process {process.pid} "):
        IndexWriter(folder)
    assert nearest(folder, encoder, "anything")[0] == []
    done.set()
    process.join()
    IndexWriter(folder).close()


@pytest.mark.parametrize("every", [2, 7, 400])
def test_a_filter_is_listed_only_where_looking_at_the_nearest_is_not_enough(folder, encoder, every):
    put(folder, encoder, *[article(pmid, words(pmid)) for pmid in range(1, 1500)], merge=True)
    put(folder, encoder, *[article(pmid, words(pmid)) for pmid in range(1500, 1600)])
    passing = np.array([pmid for pmid in range(1, 1600) if pmid % every == 1])
    reader = IndexReader(folder)
    with reader.view() as view:
        selection = view.select(lambda conditions: Condition(f"a.pmid % {every} = 1"))
        found, scores = view.nearest(encoder.encode([words(33)]), 12, allowed=selection)[0]
        assert selection.is_listed == (every == 400)
        selection = view.select(lambda conditions: Condition(f"a.pmid % {every} = 1"))
        by_words, _ = view.bm25(question_terms(words(33)), 3, allowed=selection)
        by_list = view.bm25(question_terms(words(33)), 3, allowed=listed(view, passing))[0]
    reader.close()
    expected, cosines = brute_force(folder, encoder, words(33), 12, passing)
    assert found.tolist() == expected
    assert scores == pytest.approx(cosines, abs=1e-6)
    assert by_words.tolist() == by_list.tolist()
