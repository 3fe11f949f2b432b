"""Damage is found, the advice followed literally mends it, and the rest of the index works without it."""

import shutil
import sqlite3

import numpy as np
import pytest
from helpers import article, put

from search.api import Index
from search.article import Journal, MeshHeading
from search.errors import IndexCorruptError, IndexFolderError
from search.storage import backend
from search.storage.folder.folder_manifest import read_manifest
from search.storage.rows import prepare

ARTICLES = [
    article(
        pmid, f"word{pmid} text", "of some length", mesh_headings=(MeshHeading("Aspirin"),), journal=Journal("Lancet")
    )
    for pmid in range(1, 30)
]


@pytest.fixture
def index(folder, encoder):
    put(folder, encoder, *ARTICLES, merge=True)
    assert list(backend.verify(folder)) == []
    return folder


def execute(folder, *statements):
    connection = sqlite3.connect(folder / "articles.db")
    for statement in statements:
        connection.execute(*([statement] if isinstance(statement, str) else statement))
    connection.commit()
    connection.close()


def flip(folder, table, column, pmid=7, bit=0x10):
    connection = sqlite3.connect(folder / "articles.db")
    (data,) = connection.execute(f"SELECT {column} FROM {table} WHERE pmid = ?", [pmid]).fetchone()
    middle = len(data) // 2
    connection.close()
    damaged = data[:middle] + bytes([data[middle] ^ bit]) + data[middle + 1 :]
    execute(folder, (f"UPDATE {table} SET {column} = ? WHERE pmid = ?", [damaged, pmid]))


def restore(folder, encoder, *articles):
    """Do what `search add FILE --restore` does."""
    from search.ingest.pipeline import add_articles

    writer = backend.open_writer(folder)
    report = add_articles(writer, encoder, articles, restore=True)
    writer.close()
    return report


def test_a_damaged_record_is_left_out_and_replaced_as_verify_says(index, encoder):
    flip(index, "documents", "document")
    (problem,) = backend.verify(index)
    assert problem.startswith("PMID 7: its record cannot be read")
    assert "`search add FILE --restore`" in problem
    with Index.open(index) as opened:
        assert [item.pmid for item in opened.articles()] == [pmid for pmid in range(1, 30) if pmid != 7]
        opened._encoder = encoder
        hits = opened.search("word7 text of some length", 5, mode="lexical")
        assert 7 not in [hit.pmid for hit in hits] and len(hits) >= 4
        assert opened.damaged == [7]
    assert backend.repair(index) == [problem]
    assert list(backend.verify(index)) == [problem]
    assert restore(index, encoder, ARTICLES[6]).counts == {"replaced": 1}
    assert list(backend.verify(index)) == []
    with Index.open(index) as opened:
        assert opened.get(7) == ARTICLES[6]
        opened._encoder = encoder
        assert opened.search("word7", 1, mode="lexical")[0].pmid == 7
        assert opened.damaged == []


def test_what_was_mended_is_no_longer_called_damaged_by_an_index_that_stays_open(index, encoder):
    with Index.open(index) as opened:
        opened._encoder = encoder
        for pmid in (7, 8):
            flip(index, "documents", "document", pmid)
        flip(index, "vectors", "vector", 9)
        opened.search("word text of some length", 29)
        assert opened.damaged == [7, 8, 9]
        restore(index, encoder, ARTICLES[6])
        assert opened.damaged == [8, 9]
        backend.repair(index)
        assert opened.damaged == [8]
        writer = backend.open_writer(index)
        writer.store.delete([8])
        writer.close()
        assert opened.damaged == []
        assert {hit.pmid for hit in opened.search("word text of some length", 29)} >= {7}


def test_a_damaged_record_is_replaced_by_any_revision_and_can_be_deleted(index, encoder):
    flip(index, "documents", "document", 7)
    flip(index, "documents", "document", 8)
    revised = article(7, "word7 revised", revised="2030-01-01")
    put(index, encoder, revised)
    writer = backend.open_writer(index)
    assert writer.store.delete([8]) == 1
    writer.close()
    assert list(backend.verify(index)) == []
    with Index.open(index) as opened:
        assert (opened.get(7), opened.get(8)) == (revised, None)


@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_damaged_vector_is_left_out_and_made_again_as_verify_says(index, encoder, bit):
    flip(index, "vectors", "vector", bit=bit)
    (problem,) = backend.verify(index)
    assert "PMID 7: its vector is not the one that was stored" in problem or "has length" in problem
    assert "`search repair`" in problem and "`search encode`" in problem
    question = encoder.encode([f"{ARTICLES[6].title} of some length"])
    reader = backend.open_reader(index)
    with reader.view() as view:
        assert 7 not in view.nearest(question, 5)[0][0]
    assert reader.damaged == {7}
    reader.close()
    assert backend.repair(index) == []
    assert list(backend.verify(index)) == []
    from search.ingest.pipeline import encode_stale

    writer = backend.open_writer(index)
    assert encode_stale(writer, encoder).encoded == 1
    writer.close()
    assert list(backend.verify(index)) == []
    reader = backend.open_reader(index)
    with reader.view() as view:
        assert view.nearest(question, 1)[0][0].tolist() == [7]
    reader.close()


def test_a_damaged_vector_is_made_again_by_adding_with_restore(index, encoder):
    flip(index, "vectors", "vector", bit=0x01)
    report = restore(index, encoder, *ARTICLES)
    assert (report.encoded, report.counts) == (1, {"unchanged": 28, "replaced": 1})
    assert list(backend.verify(index)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE articles SET date_first = 20010101, retracted = 1 WHERE pmid = 2",
        "UPDATE articles SET journal = 0 WHERE pmid = 2",
        "UPDATE articles SET record_hash = x'00' WHERE pmid = 2",
        "UPDATE articles SET terms = '[4, 9]' WHERE pmid = 2",
        "UPDATE terms SET name = 'asperin' WHERE name = 'aspirin'",
        "UPDATE article_terms SET major = 1 - major WHERE pmid = 2",
        "DELETE FROM article_terms WHERE pmid = 2",
        "INSERT INTO article_terms SELECT term, 77, 0 FROM article_terms WHERE pmid = 1",
        "UPDATE journal_keys SET key = 'lancit' WHERE key = 'lancet'",
        "INSERT INTO tombstones VALUES (2, 1, 0)",
        "INSERT INTO vectors SELECT 77, change, text_hash, vector, checksum FROM vectors WHERE pmid = 1",
        "INSERT INTO documents SELECT 77, document FROM documents WHERE pmid = 1",
    ],
)
def test_what_is_made_from_records_is_made_again(index, encoder, damage):
    execute(index, damage)
    problems = list(backend.verify(index))
    assert problems and all("`search repair`" in problem for problem in problems)
    assert backend.repair(index) == []
    assert list(backend.verify(index)) == []
    reader = backend.open_reader(index)
    with reader.view() as view:
        assert view.store.get_many(range(1, 30)) == {item.pmid: item for item in ARTICLES}
        for condition in (lambda sql: sql.terms("mesh", ["aspirin"]), lambda sql: sql.journals(["lancet"])):
            assert view.count(view.select(condition)) == 29
        assert view.nearest(encoder.encode(["word2 text of some length"]), 1)[0][0].tolist() == [2]
    reader.close()


def test_repair_without_the_database_refuses_and_touches_nothing(index):
    (index / "articles.db").rename(index.parent / "elsewhere.db")
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "writer.lock"}
    with pytest.raises(IndexCorruptError, match=r"articles\.db is missing: restore it from a copy"):
        backend.repair(index)
    after = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "writer.lock"}
    assert after == before


@pytest.mark.parametrize("damage", ["lost", "flipped", "empty"])
def test_a_manifest_is_made_again_from_the_database(index, encoder, damage):
    path = index / "manifest.json"
    whole = read_manifest(index)
    if damage == "lost":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data.replace(b"float16", b"float17") if damage == "flipped" else b"")
    with pytest.raises(IndexFolderError, match=r"`search repair` makes it again"):
        backend.open_reader(index)
    assert backend.repair(index) == []
    assert list(backend.verify(index)) == []
    made = read_manifest(index)
    names = ("model", "fingerprint", "dimension", "text_rule", "vectors", "created", "copy_of")
    assert [getattr(made, name) for name in names] == [getattr(whole, name) for name in names]
    assert made.generation > whole.generation
    reader = backend.open_reader(index)
    with reader.view() as view:
        assert view.nearest(encoder.encode(["word9 text of some length"]), 1)[0][0].tolist() == [9]
        assert view.unmerged() == 0
    reader.close()


def test_a_folder_that_is_no_index_is_not_made_one_by_repair(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(IndexFolderError, match="is not an index"):
        backend.repair(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_damage_in_postgres_is_mended_as_verify_says(postgres_server, encoder):
    from helpers import words_manifest
    from postgres_server import new_address, session

    address = new_address(postgres_server)
    backend.create(address, words_manifest(encoder))
    put(address, encoder, *ARTICLES)
    half = ",".join(["0.5"] * encoder.dimension)
    with session(address) as other:
        other.execute("UPDATE documents SET document = 'x' WHERE pmid = 4")
        other.execute("UPDATE articles SET date_first = 20010101, terms = '{}' WHERE pmid = 5")
        other.execute(f"UPDATE vectors SET vector = vector * '[{half}]' WHERE pmid = 8")
        other.execute("DELETE FROM words WHERE pmid = 10")
    assert len(list(backend.verify(address))) == 5
    (left,) = backend.repair(address)
    assert "PMID 4: its record cannot be read" in left
    writer = backend.open_writer(address)
    assert [item.pmid for item in writer.store.stale(9)] == [8]
    writer.store.put_vectors([(8, prepare(ARTICLES[7]).text_hash)], encoder.encode([prepare(ARTICLES[7]).text]))
    writer.close()
    assert restore(address, encoder, ARTICLES[3]).counts == {"replaced": 1}
    assert list(backend.verify(address)) == []


def test_vectors_that_are_sound_stay_as_they_are(index, encoder):
    flip(index, "vectors", "vector", bit=0x01)
    writer = backend.open_writer(index)
    pmids = [pmid for pmid in range(1, 30) if pmid != 7]
    before = dict(zip(*map(list, writer.store.vectors(pmids)), strict=True))
    writer.repair()
    after = dict(zip(*map(list, writer.store.vectors(pmids)), strict=True))
    writer.close()
    assert before.keys() == after.keys() and all(np.array_equal(before[pmid], after[pmid]) for pmid in pmids)


def test_study_designs_of_another_version_are_one_line_and_updated(index, monkeypatch):
    monkeypatch.setattr("search.storage.rows.design_of", lambda record: "cohort" if record.pmid > 20 else None)
    monkeypatch.setattr("search.storage.rows.sample_size", lambda record: 12 if record.pmid == 3 else None)
    (problem,) = backend.verify(index)
    assert problem.startswith("10 articles have another study design") and "`search repair` updates them" in problem
    assert list(backend.repair(index)) == []
    assert list(backend.verify(index)) == []
    reader = backend.open_reader(index)
    with reader.view() as view:
        stored = {row.pmid: row.columns[-1] for row in view.store.stored_rows()}
    reader.close()
    assert stored[3] == 12 and stored[4] != 12


def test_damage_besides_a_study_design_is_reported_of_its_article(index, monkeypatch):
    monkeypatch.setattr("search.storage.rows.design_of", lambda record: "cohort")
    execute(index, "UPDATE articles SET date_first = 20010101 WHERE pmid = 7")
    problems = sorted(backend.verify(index))
    assert [problem.partition(" have")[0].partition(":")[0] for problem in problems] == ["28 articles", "PMID 7"]


@pytest.mark.parametrize("bit", [0x04, 0x80])
def test_a_damaged_static_vector_is_found_and_made_again(built_demo, tmp_path, bit):
    folder = tmp_path / "demo"
    shutil.copytree(built_demo, folder)
    assert list(backend.verify(folder)) == []
    with Index.open(folder) as opened, opened._reader.view() as view:
        before = view.store.static_vectors([990000025])[1].tolist()
    flip(folder, "static_vectors", "vector", 990000025, bit)
    (problem,) = backend.verify(folder)
    assert problem.startswith("PMID 990000025: its static vector is not that of its text; `search repair`")
    assert backend.repair(folder) == [] and list(backend.verify(folder)) == []
    with Index.open(folder) as opened, opened._reader.view() as view:
        assert view.store.static_vectors([990000025])[1].tolist() == before
