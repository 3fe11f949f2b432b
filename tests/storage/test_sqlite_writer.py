"""The newest version wins, what was deleted stays deleted, and a transaction is whole or not at all."""

import itertools
import sqlite3

import numpy as np
import pytest
from helpers import article, state, wipe, words_manifest

from search.article import Deletion, MeshHeading, MeshQualifier, PublicationType
from search.errors import StoreError
from search.storage import backend
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.sqlite_writer import StoreWriter
from search.storage.rows import prepare


@pytest.fixture
def store(stored):
    """The store of an index, in a folder and then again in PostgreSQL."""
    return stored


@pytest.fixture
def sqlite_store(tmp_path, encoder):
    writer = StoreWriter(tmp_path / "articles.db", create=True)
    writer.create(words_manifest(encoder))
    yield writer
    writer.close()


def put(store, *articles, sequence=None, encoder=None, restore=False):
    records = [item if isinstance(item, Deletion) else prepare(item) for item in articles]
    plan = store.plan(records, sequence=sequence, restore=restore)
    vectors = encoder.encode([row.text for row in plan.to_encode]) if encoder else None
    store.apply(plan, vectors)
    return dict(plan.counts)


def test_between_nlms_files_the_number_decides_and_within_one_the_place(store):
    assert put(store, article(1, "first", revised="2026-02-10"), sequence=2601400) == {"added": 1}
    assert put(store, article(1, "second", revised="2026-02-09"), sequence=2601401) == {"replaced": 1}
    assert put(store, article(1, "older", revised="2026-03-01"), sequence=2601400) == {"older than what is held": 1}
    assert put(store, article(1, "third"), article(1, "fourth"), sequence=2601402) == {"replaced": 2}
    assert store.get(1).title == "fourth"


def test_a_deletion_of_a_version_leaves_a_newer_one_alone(store):
    put(store, article(1, "second", version=2), article(2, "only"), sequence=2601400)
    deletions = [Deletion(1, 1), Deletion(2, 1), Deletion(3, 1)]
    assert put(store, *deletions, sequence=2601401) == {
        "deletions of an older version": 1,
        "deleted": 1,
        "deleted before they came": 1,
    }
    assert store.get(1).title == "second" and store.get(2) is None
    assert put(store, Deletion(1, 2), sequence=2601402) == {"deleted": 1}


def test_an_article_comes_back_as_it_was(store):
    full = article(7, "Aspirin", "It helped.", revised="2020-02-03", doi="10.1/x", languages=("eng", "fre"))
    assert put(store, full) == {"added": 1}
    assert store.get(7) == full
    assert store.get(8) is None


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (dict(version=2), dict(version=1), "first"),
        (dict(version=1), dict(version=2), "second"),
        (dict(version=2, revised="2019-01-01"), dict(version=1, revised="2020-01-01"), "first"),
        (dict(revised="2020-01-02"), dict(revised="2020-01-01"), "first"),
        (dict(revised="2020-01-01"), dict(revised="2020-01-02"), "second"),
        (dict(revised="2020-01-01"), dict(), "first"),
        (dict(), dict(), "second"),
    ],
)
def test_the_newest_version_wins(store, first, second, winner):
    put(store, article(1, "first", **first))
    counts = put(store, article(1, "second", **second))
    assert store.get(1).title == winner
    assert counts == {"replaced": 1} if winner == "second" else {"older than what is held": 1}


def test_of_two_records_of_one_file_of_nlm_the_later_wins(store):
    assert put(store, article(1, "first"), sequence=2600003) == {"added": 1}
    assert put(store, article(1, "second"), sequence=2600003) == {"replaced": 1}
    assert store.get(1).title == "second"
    assert put(store, article(1, "third"), article(1, "fourth"), sequence=2600003) == {"replaced": 2}
    assert store.get(1).title == "fourth"


def test_an_unchanged_article_is_not_written_again(store):
    put(store, article(1, "same"))
    before = state(store)
    assert put(store, article(1, "same")) == {"unchanged": 1}
    assert state(store) == before


def test_a_revision_replaces_all_parts(store, encoder):
    terms = dict(
        mesh_headings=(MeshHeading("Aspirin", "D001241", qualifiers=(MeshQualifier("adverse effects", major=True),)),),
        publication_types=(PublicationType("Review"),),
        languages=("eng",),
    )
    put(store, article(1, "old", revised="2020-01-01", **terms), encoder=encoder)
    assert state(store)["terms"] == [
        ("design", "review", "", 1, 0),
        ("language", "eng", "", 1, 0),
        ("mesh", "aspirin", "d001241", 1, 1),
        ("qualifier", "adverse effects", "", 1, 1),
        ("type", "review", "", 1, 0),
    ]
    put(store, article(1, "new", revised="2021-01-01", languages=("ger",)), encoder=encoder)
    assert state(store)["terms"] == [("language", "ger", "", 1, 0)]
    assert np.allclose(store.vectors([1])[1], encoder.encode(["new"]), atol=1e-3)


def test_a_revision_that_does_not_touch_the_text_is_not_encoded_again(store, encoder):
    put(store, article(1, "text", revised="2020-01-01"), encoder=encoder)
    plan = store.plan([prepare(article(1, "text", revised="2021-01-01", doi="10.1/new"))])
    assert [row.pmid for row in plan.rows.values()] == [1]
    assert plan.to_encode == []
    store.apply(plan, np.empty((0, encoder.dimension), np.float32))
    assert store.get(1).doi == "10.1/new"
    assert store.counts()["stale"] == 0


def test_without_vectors_articles_are_stale_until_they_are_put(store, encoder):
    put(store, article(1, "one"), article(2, "two"))
    assert [found.pmid for found in store.stale(10)] == [1, 2]
    one, two = prepare(article(1, "one")), prepare(article(2, "meanwhile revised"))
    vectors = encoder.encode(["one", "meanwhile revised"])
    assert store.put_vectors([(1, one.text_hash), (2, two.text_hash)], vectors) == 1
    assert [found.pmid for found in store.stale(10)] == [2]
    assert store.vectors([1, 2])[0].tolist() == [1]


def test_a_deleted_article_stays_deleted(store, encoder):
    put(store, article(1, "gone"), article(2, "here"), encoder=encoder)
    assert store.delete([1, 3]) == 1
    assert put(store, article(1, "gone", revised="2030-01-01")) == {"deleted earlier": 1}
    assert store.get(1) is None
    assert store.vectors([1, 2])[0].tolist() == [2]
    assert put(store, article(1, "back"), restore=True) == {"added": 1}
    assert store.get(1).title == "back"


def test_a_deletion_by_a_file_of_nlm_yields_to_a_later_file_only(store):
    put(store, article(1, "a"), sequence=2600001)
    put(store, Deletion(1), sequence=2600005)
    assert put(store, article(1, "older file"), sequence=2600004) == {"deleted earlier": 1}
    assert put(store, article(1, "no file"), sequence=None) == {"deleted earlier": 1}
    assert put(store, article(1, "later file"), sequence=2600006) == {"added": 1}
    assert put(store, Deletion(1), sequence=2600005) == {"deletions older than the article": 1}
    assert store.get(1).title == "later file"


def test_files_of_nlm_give_the_same_store_in_any_order(store, encoder):
    files = {
        2600001: [article(1, "one", revised="2026-01-01"), article(2, "two"), article(3, "three")],
        2600002: [article(1, "one again", revised="2026-01-01"), article(4, "four", version=2), Deletion(2)],
        2600003: [article(4, "four", revised="2026-03-01"), article(5, "five"), Deletion(3), Deletion(6)],
    }
    states = []
    for order in itertools.permutations(files):
        wipe(store)
        for sequence in (*order, *order):
            put(store, *files[sequence], sequence=sequence, encoder=encoder)
        states.append(state(store))
    assert all(other == states[0] for other in states[1:])
    assert [row[0] for row in states[0]["articles"]] == [1, 4, 5]


def test_a_pmid_twice_in_one_batch(store):
    assert put(store, article(1, "first"), article(1, "second")) == {"added": 1, "replaced": 1}
    assert store.get(1).title == "second"
    assert put(store, article(2, "kept"), Deletion(2)) == {"added": 1, "deleted": 1}
    assert store.get(2) is None


def test_a_failed_write_leaves_nothing(store, encoder):
    put(store, article(1, "one"), encoder=encoder)
    before, change = state(store), store.change()
    plan = store.plan([prepare(article(1, "two")), prepare(article(2, "three"))])
    with pytest.raises(ValueError, match="zip"):
        store.apply(plan, encoder.encode(["one vector too few"]))
    assert (state(store), store.change()) == (before, change)


def test_a_full_disk_is_told_and_what_was_committed_stays(sqlite_store, encoder):
    store = sqlite_store
    put(store, article(1, "one"), encoder=encoder)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    large = [article(number, "x" * 500 + str(number) * 90, "y" * 3000) for number in range(10, 400)]
    with pytest.raises(StoreError, match=r"articles\.db.*full.*free some space"):
        put(store, *large, encoder=encoder)
    assert store.get(1).title == "one"
    assert store.counts()["articles"] == 1


def test_a_reader_sees_one_state_within_a_view(address, store, encoder):
    put(store, article(1, "before"), encoder=encoder)
    reader = backend.open_reader(address)
    with reader.view() as view:
        change = view.change
        put(store, article(1, "after"), article(2, "new"), encoder=encoder)
        assert view.store.get(1).title == "before"
        assert view.store.pmids().tolist() == [1]
    with reader.view() as view:
        assert view.store.get(1).title == "after"
        assert view.store.select_pmids(view.store.conditions.pmids([2, 3])).tolist() == [2]
        assert view.change == change + 1
        assert view.count(view.select(lambda sql: sql.added_after(change))) == 1
    reader.close()


def test_what_changed_since_a_change_is_known(sqlite_store, tmp_path, encoder):
    put(sqlite_store, article(1, "before"), encoder=encoder)
    change = sqlite_store.change()
    put(sqlite_store, article(1, "after"), article(2, "new"), encoder=encoder)
    assert sqlite_store.vectors_since(change)[0].tolist() == [1, 2]


def test_a_reader_cannot_write(sqlite_store, tmp_path):
    reader = StoreReader(tmp_path / "articles.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("DELETE FROM articles")
    reader.close()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0.0), ("float16", 5e-4)])
def test_vectors_keep_the_precision_they_were_given(new_index, encoder, dtype, tolerance):
    vectors = encoder.encode(["a b c", "d e"])
    address = new_index()
    backend.create(address, words_manifest(encoder, dtype))
    writer = backend.open_writer(address)
    writer.store.apply(writer.store.plan([prepare(article(1, "a b c")), prepare(article(2, "d e"))]), vectors)
    pmids, stored = writer.store.vectors([2, 1])
    assert np.abs(stored - vectors[pmids - 1]).max() <= tolerance
    assert stored.dtype == np.float32
    writer.close()


def test_the_database_is_one_that_sqlite_utils_knows(tmp_path, encoder):
    import sqlite_utils

    backend.create(tmp_path / "index", words_manifest(encoder))
    database = sqlite_utils.Database(tmp_path / "index" / "articles.db")
    assert [row["name"] for row in database["_sqlite_migrations"].rows] == ["0001_tables"]
    assert database["articles"].pks == ["pmid"]
