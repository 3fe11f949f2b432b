"""Defects that the fault harness found; each test fails without its mend."""

import os
import sqlite3

import pytest
from faults.scenarios import take_back
from helpers import article, put

from search.api import Index
from search.errors import IndexFolderError, StoreError
from search.index import IndexReader, IndexWriter, create_folder, lock, verify, writer
from search.index.lexical import LexicalWriter
from search.index.manifest import read_manifest


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


@pytest.mark.parametrize("schema", [4, 5])
def test_tables_of_an_older_version_are_told_and_brought_up_to_date(folder, encoder, schema):
    put(folder, encoder, article(1, "one"), merge=True)
    take_back(folder / "articles.db", schema)
    with Index.open(folder) as index:
        with pytest.raises(StoreError, match="an older version of this program .*`search merge` brings it up to date"):
            index.status()
        index.merge()
        assert index.status().articles == 1


def test_tables_of_a_newer_version_are_not_touched(folder):
    connection = sqlite3.connect(folder / "articles.db")
    connection.execute("INSERT INTO _sqlite_migrations VALUES (99, 'articles', '0099_future', '')")
    connection.commit()
    connection.close()
    reader = IndexReader(folder)
    with pytest.raises(StoreError, match="a newer version .*update the program"), reader.view():
        pass
    reader.close()
    with pytest.raises(StoreError, match="a newer version .*update the program"):
        IndexWriter(folder)
