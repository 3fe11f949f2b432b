"""What is damaged is found, and what is derived is repaired without encoding."""

import sqlite3

import pytest
from helpers import article, put

from search.storage.bm25 import question_terms
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_verify import verify
from search.storage.folder.folder_writer import IndexWriter


@pytest.fixture
def whole(folder, encoder):
    put(folder, encoder, *[article(pmid, f"word{pmid} text") for pmid in range(1, 80)], merge=True)
    put(folder, encoder, article(5, "revised text", revised="2024-01-01"), article(900, "new"))
    writer = IndexWriter(folder)
    writer.store.delete([7])
    writer.close()
    return folder


def test_a_whole_index_has_no_problems(whole):
    assert list(verify(whole)) == []


def test_any_flipped_byte_of_a_derived_file_is_found_and_repaired(whole, encoder):
    for path in [*whole.glob("vectors-*"), *whole.glob("lexical-*/*")]:
        data = path.read_bytes()
        if not data or path.suffix == ".lock":
            continue
        for place in {0, len(data) // 3, len(data) - 1}:
            path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            assert any("`search repair` rebuilds it" in problem for problem in verify(whole)), (path.name, place)
        path.write_bytes(data)
    next(whole.glob("vectors-*")).unlink()
    for path in whole.glob("lexical-*/*"):
        path.unlink()
    writer = IndexWriter(whole)
    writer.merge(rebuild=True)
    writer.close()
    assert list(verify(whole)) == []
    reader = IndexReader(whole)
    with reader.view() as view:
        assert view.nearest(encoder.encode(["word33 text"]), 1)[0][0].tolist() == [33]
        assert view.bm25(question_terms("word33"), 1)[0].tolist() == [33]
    reader.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE documents SET document = (SELECT document FROM documents WHERE pmid = 2) WHERE pmid = 3", "PMID 3"),
        ("UPDATE documents SET document = x'00' WHERE pmid = 4", "PMID 4: its record cannot be read"),
        ("UPDATE vectors SET text_hash = x'00' WHERE pmid = 6", "PMID 6: its vector was made from another text"),
        ("UPDATE vectors SET vector = zeroblob(64) WHERE pmid = 8", "PMID 8: its vector has length 0.000"),
        ("DELETE FROM documents WHERE pmid = 9", "PMID 9: its record is missing"),
        ("DELETE FROM vectors WHERE pmid = 10", "vectors-1.faiss does not hold the vectors"),
    ],
)
def test_damage_in_the_database_is_found(whole, damage, message):
    connection = sqlite3.connect(whole / "articles.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    assert any(message in problem for problem in verify(whole))
