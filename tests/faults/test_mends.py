"""Defects that the fault harness found; each test fails without its mend."""

import json
import os
import sqlite3
from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers import article, put

from search.api import Index
from search.article import Journal, MeshHeading
from search.errors import IndexCorruptError, IndexFolderError, StoreError
from search.storage.folder import faiss_index as ann
from search.storage.folder import folder_writer as writer
from search.storage.folder import lock
from search.storage.folder.folder_manifest import read_manifest, write_manifest
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_verify import verify
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.folder.saved_files import SavedFolder
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.tantivy_index import LexicalWriter


def refuse(*arguments, **named):
    raise OSError(28, "No space left on device")


def test_the_lock_is_held_and_given_back_though_nothing_can_be_written_in_it(folder, monkeypatch):
    monkeypatch.setattr(lock.os, "ftruncate", refuse)
    monkeypatch.setattr(lock.os, "pwrite", refuse)
    held = IndexWriter(folder)
    with pytest.raises(IndexFolderError, match="being written by"):
        IndexWriter(folder)
    held.close()
    IndexWriter(folder).close()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ValueError("tantivy"), RuntimeError("Faiss")]
)
def test_a_merge_that_fails_is_told_in_words_and_gives_its_space_back(folder, encoder, monkeypatch, error):
    put(folder, encoder, article(1, "one"), merge=True)
    before = sorted(path.name for path in folder.iterdir())

    def fail(self):
        raise error

    monkeypatch.setattr(LexicalWriter, "finish", fail)
    holder = IndexWriter(folder)
    with pytest.raises(IndexFolderError, match=r"could not be written .*free some space or check the disk"):
        holder.merge()
    holder.close()
    assert sorted(path.name for path in folder.iterdir()) == before
    assert list(verify(folder)) == []


def test_a_merge_that_fails_ends_the_threads_that_write_words(folder, encoder, monkeypatch):
    put(folder, encoder, article(1, "one"), merge=True)
    put(folder, encoder, *[article(number, f"words {number}") for number in range(2, 200)])

    def threads():
        names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        return sum(name.startswith(("thrd-tantivy", "merge_thread", "segment_updater")) for name in names)

    seen = []

    def fail(self):
        seen.append(threads())
        raise RuntimeError("tantivy")

    before = threads()
    monkeypatch.setattr(LexicalWriter, "finish", fail)
    holder = IndexWriter(folder)
    with pytest.raises(IndexFolderError) as failure:
        holder.merge()
    assert seen[0] > before
    assert threads() == before, f"still there while the failure is told: {failure.value}"
    holder.close()


def test_what_a_manifest_in_force_names_is_kept_though_it_could_not_be_synced(folder, encoder, monkeypatch):
    put(folder, encoder, article(1, "one"), merge=True)
    real = os.fsync

    def fail_on_folders(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}") and read_manifest(folder).generation == 2:  # noqa: PTH112
            refuse()
        real(descriptor)

    holder = IndexWriter(folder)
    monkeypatch.setattr(os, "fsync", fail_on_folders)
    with pytest.raises(IndexFolderError, match="could not be written"):
        holder.merge()
    holder.close()
    # The new manifest is there, and may be lost again in a power cut: both generations stay.
    assert sorted(path.name for path in folder.glob("vectors-*")) == ["vectors-1.faiss", "vectors-2.faiss"]
    monkeypatch.undo()
    IndexWriter(folder).close()
    assert [path.name for path in folder.glob("vectors-*")] == ["vectors-2.faiss"]
    assert list(verify(folder)) == []


def test_leftovers_that_cannot_be_removed_stop_nobody(folder, monkeypatch):
    (folder / "vectors-9.faiss").write_bytes(b"left by a merge that was cut off")
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    IndexWriter(folder).close()


def test_a_new_folder_is_durable_in_the_folders_above_it(folder, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(writer, "fsync_folder", lambda path: synced.append(path))
    create_folder(tmp_path / "a" / "b" / "index", read_manifest(folder))
    assert {tmp_path / "a" / "b", tmp_path / "a", tmp_path} <= set(synced)


@pytest.mark.parametrize(
    ("version", "message"), [(99, "update the program"), (2, "an earlier development version.*add the records again")]
)
def test_an_index_of_another_format_is_not_touched(folder, version, message):
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), format=version))
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "writer.lock"}
    for opening in (IndexReader, IndexWriter):
        with pytest.raises(IndexFolderError, match=message):
            opening(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "writer.lock"} == before


def test_a_faiss_file_whose_last_bytes_cannot_be_written_is_an_error(folder):
    index = ann.build([(np.arange(1, 4), np.eye(3, 8, dtype=np.float32))], 3, None, 8)
    with pytest.raises(OSError, match="No space left"):
        index.write(Path("/dev/full"))


def test_a_creation_that_was_cut_off_at_any_file_is_gone_on_with(folder, tmp_path):
    half = tmp_path / "half"
    half.mkdir()
    for name in ("articles.db", "articles.db-journal", "writer.lock"):
        (half / name).touch()
    create_folder(half, read_manifest(folder))
    assert list(verify(half)) == []


def test_a_manifest_with_any_byte_flipped_is_damaged(folder, encoder):
    put(folder, encoder, article(1, "one"), merge=True)
    path = folder / "manifest.json"
    data = path.read_bytes()
    whole = read_manifest(folder)
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x81]) + data[place + 1 :])
        with pytest.raises(IndexCorruptError, match=r"manifest\.json is damaged"):
            read_manifest(folder)
    path.write_bytes(data.replace(b" ", b""))
    assert read_manifest(folder) == whole


@pytest.mark.parametrize("name", ["../vectors-1.faiss", "/etc/passwd", "..", "a/b"])
def test_a_manifest_names_files_of_its_folder_only(folder, encoder, name):
    put(folder, encoder, article(1, "one"), merge=True)
    manifest = read_manifest(folder)
    segment = msgspec.structs.replace(manifest.vector_segments[0], file=name)
    write_manifest(folder, msgspec.structs.replace(manifest, vector_segments=(segment,)))
    with pytest.raises(IndexCorruptError, match="which is not a file of the folder"):
        read_manifest(folder)


def test_a_damaged_page_is_told_in_words_wherever_it_is_read(folder, encoder):
    put(folder, encoder, *[article(pmid, f"word{pmid} " * 200) for pmid in range(1, 60)])
    path = folder / "articles.db"
    data = bytearray(path.read_bytes())
    page = 4096
    # Every page but those of the schema and the settings: whatever is read first, there is something wrong with it.
    root = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master WHERE name = 'documents'").fetchone()[0]
    for place in range(root * page, len(data), page):
        data[place : place + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"articles\.db: database disk image is malformed; the file is damaged"):
        list(StoreReader(path).articles())
    assert any("damaged" in problem for problem in verify(folder))


def test_no_commit_is_left_to_the_log_when_the_writer_closes(folder, encoder):
    with Index.open(folder):
        put(folder, encoder, article(1, "one"))
        assert (folder / "articles.db-wal").stat().st_size == 0
    log = folder / "articles.db-wal"
    log.unlink(missing_ok=True)
    with Index.open(folder) as index:
        assert index.get(1).title == "one"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE articles SET date_first = 20010101 WHERE pmid = 2", "PMID 2: its date, journal or kind"),
        ("UPDATE articles SET retracted = 1 WHERE pmid = 2", "PMID 2: its date, journal or kind"),
        ("UPDATE articles SET journal = 0 WHERE pmid = 2", "PMID 2: its date, journal or kind"),
        ("UPDATE articles SET record_hash = x'00' WHERE pmid = 2", "PMID 2: its text is not the one"),
        ("UPDATE terms SET name = 'asperin' WHERE name = 'aspirin'", "PMID 2: it is not found by its MeSH headings"),
        ("UPDATE article_terms SET major = 1 - major WHERE pmid = 2", "PMID 2: it is not found by its MeSH headings"),
        ("INSERT INTO article_terms SELECT term, 77, 0 FROM article_terms", "belong to no article"),
        ("UPDATE journal_keys SET key = 'lancit' WHERE key = 'lancet'", "the names of journals are damaged"),
        ("INSERT INTO tombstones VALUES (2, 1, 0)", "1 articles are there and deleted"),
        (
            "INSERT INTO vectors SELECT 77, change, text_hash, vector, checksum FROM vectors",
            "1 vectors belong to no article; `search repair` removes them",
        ),
        ("UPDATE vectors SET vector = zeroblob(3)", "PMID 2: its vector is not of 32 dimensions"),
    ],
)
def test_every_row_is_held_against_its_document(folder, encoder, damage, message):
    fields = {"mesh_headings": (MeshHeading("Aspirin"),), "journal": Journal("Lancet")}
    put(folder, encoder, article(2, "two", "of it", **fields), merge=True)
    assert list(verify(folder)) == []
    connection = sqlite3.connect(folder / "articles.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert any(message in problem for problem in verify(folder))


def test_a_flipped_sign_in_a_vector_is_found(folder, encoder):
    put(folder, encoder, article(2, "two"))
    connection = sqlite3.connect(folder / "articles.db")
    (vector,) = connection.execute("SELECT vector FROM vectors").fetchone()
    connection.execute("UPDATE vectors SET vector = ?", [vector[:1] + bytes([vector[1] ^ 0x80]) + vector[2:]])
    connection.commit()
    connection.close()
    (problem,) = verify(folder)
    assert problem.startswith("PMID 2: its vector is not the one that was stored; `search repair` removes it")


def test_a_damaged_saved_search_is_found(folder):
    saved = SavedFolder(folder)
    saved.write("mine", b'{"question": "aspirin"}')
    assert json.loads(saved.read("mine")) == {"question": "aspirin"}
    path = folder / "saved" / "mine.json"
    path.write_bytes(path.read_bytes().replace(b"aspirin", b"asperin"))
    with pytest.raises(ValueError, match="its checksum does not match"):
        saved.read("mine")
    assert list(verify(folder)) == ["the saved search 'mine' is damaged (its checksum does not match); save it again"]
