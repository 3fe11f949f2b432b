"""What seldom happens to an index and must not hurt: replaced beneath a reader, forked, closed, with odd names."""

import gc
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import WordEncoder, article, put, words_manifest

from search.api import Index
from search.article import Author, MeshHeading
from search.config import Config
from search.errors import ConfigError, IndexFolderError, IndexLockedError, SearchError, TimeLimitError
from search.ingest.pipeline import add_files
from search.storage import backend
from search.storage import copy as copying
from search.storage.article_tokens import tokens_of
from search.storage.bm25 import question_terms
from search.storage.postgres.address import parse_address
from search.storage.token_query import AnyOf, holds
from search.time_limit import time_limit


def made(folder, encoder, word, count):
    backend.create(folder, words_manifest(encoder))
    put(folder, encoder, *[article(pmid, f"{word}{pmid} text") for pmid in range(1, count + 1)], merge=True)
    return folder


def seen(view, encoder, word):
    """The number of articles, and the titles of what is found by meaning and by words."""
    by_meaning = view.nearest(encoder.encode([f"{word}3 text"]), 1)[0][0].tolist()
    by_words = view.bm25(question_terms(f"{word}3"), 1)[0].tolist()
    articles = view.store.get_many([*by_meaning, *by_words])
    return view.store.counts()["articles"], {found.title for found in articles.values()}


@pytest.mark.parametrize("way", ["symbolic link", "rename"])
def test_an_index_that_is_replaced_beneath_a_reader_is_read_as_one(tmp_path, encoder, way):
    first, second = made(tmp_path / "first", encoder, "apple", 60), made(tmp_path / "second", encoder, "pear", 30)
    place = tmp_path / "place"
    if way == "rename":
        first.rename(place)
    else:
        place.symlink_to(first)
    reader = backend.open_reader(place)
    with reader.view() as held, reader.view():
        assert seen(held, encoder, "apple") == (60, {"apple3 text"})
        if way == "rename":
            place.rename(tmp_path / "away")
            second.rename(place)
        else:
            (tmp_path / "link").symlink_to(second)
            (tmp_path / "link").replace(place)
        # What is held stays the old one, what is taken now is the new one.
        with reader.view() as new:
            assert seen(new, encoder, "pear") == (30, {"pear3 text"})
        assert seen(held, encoder, "apple") == (60, {"apple3 text"})
    for _ in range(3):
        with reader.view() as view:
            assert (view.manifest.created, view.unmerged()) == (reader.manifest.created, 0)
            assert seen(view, encoder, "pear") == (30, {"pear3 text"})
    reader.close()


def test_articles_half_read_block_nobody_and_keep_their_state(folder, encoder):
    put(folder, encoder, *[article(pmid) for pmid in range(1, 6)])
    with Index.open(folder) as index:
        half = index.articles()
        assert next(half).pmid == 1
        got = []
        reading = threading.Thread(target=lambda: got.append(index.get(2).pmid))
        reading.start()
        reading.join(20)
        assert got == [2]
        index.delete([3])
        assert index.get(3) is None
        closing = threading.Thread(target=half.close)
        assert [item.pmid for item in half] == [2, 3, 4, 5]
        closing.start()
        closing.join(20)
        assert [item.pmid for item in index.articles()] == [1, 2, 4, 5]


def test_articles_half_read_outlive_the_index_and_leave_nothing_open(folder, encoder):
    put(folder, encoder, *[article(pmid) for pmid in range(1, 6)])
    index = Index.open(folder)
    half = index.articles()
    next(half)
    index.close()
    assert [item.pmid for item in half] == [2, 3, 4, 5]
    del half
    gc.collect()
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(folder) in os.path.realpath(link)]


def test_a_closed_index_says_so(folder, encoder):
    put(folder, encoder, article(1))
    index = Index.open(folder)
    index.close()
    index.close()
    for use in (lambda: index.get(1), lambda: list(index.articles()), lambda: index.search("x", mode="lexical")):
        with pytest.raises(SearchError, match="is closed; open it again"):
            use()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_reads_with_the_index_of_its_parent(folder, encoder):
    put(folder, encoder, *[article(pmid, f"word{pmid} text") for pmid in range(1, 6)], merge=True)
    reader = backend.open_reader(folder)
    with reader.view() as view:
        view.nearest(encoder.encode(["word3 text"]), 1)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            with reader.view() as view:
                text = str(view.nearest(encoder.encode(["word3 text"]), 1)[0][0].tolist())
            reader.close()
        except BaseException as error:
            text = repr(error)
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert stream.read() == "[3]"
    os.waitpid(child, 0)
    with reader.view() as view:
        assert view.store.get(3).title == "word3 text"
    reader.close()


@pytest.mark.parametrize("count", [1_000, 19_000])
def test_thousands_of_values_in_a_filter_cost_their_number(folder, encoder, count):
    headings = [(MeshHeading(f"Heading {number}"),) for number in range(1, 131)]
    put(folder, encoder, *[article(pmid, mesh_headings=some) for pmid, some in enumerate(headings, 1)])
    reader = backend.open_reader(folder)
    names = [f"heading {number}" for number in range(100, 100 + count)]
    with reader.view() as view:
        steps = []
        view.store.connection.set_progress_handler(lambda: steps.append(1), 1_000)
        conditions = [
            (31, lambda sql: sql.terms("mesh", names)),
            (0, lambda sql: sql.qualifiers([(name, name) for name in names])),
        ]
        for number, condition in conditions:
            selection = view.select(condition)
            assert len(selection.passing(np.arange(1, 131), view.store)) == len(selection.pmids(view.store)) == number
        # Some tens of steps of SQLite's machine for a value, and no more where there are many.
        assert len(steps) * 1_000 < 300 * count + 200_000
    reader.close()


def test_a_writer_whose_lock_was_removed_writes_no_more(folder, encoder):
    writer = backend.open_writer(folder)
    (folder / "writer.lock").unlink()
    other = backend.open_writer(folder)
    for write in (lambda: writer.store.delete([1]), writer.merge):
        with pytest.raises(IndexLockedError, match="was removed while the index was being written"):
            write()
    other.close()
    writer.close()
    assert list(backend.verify(folder)) == []
    with Index.open(folder) as index:
        assert index.status().deleted == 0


def test_a_copy_that_was_complete_is_complete_when_it_is_begun_again(folder, encoder, tmp_path):
    put(folder, encoder, article(1), article(2))
    reader = backend.open_reader(folder)
    target = tmp_path / "copy"
    for _ in range(2):
        assert copying.copy_index(reader, target, Config()) == 2
    put(target, encoder, article(3))
    with pytest.raises(IndexFolderError, match="holds an index already"):
        copying.copy_index(reader, target, Config())
    reader.close()


def test_a_file_name_that_is_not_utf8_is_read_and_noted(folder, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    record = b'{"pmid": %d, "title": "Title", "abstract": "Text"}\n'
    name = os.fsdecode(os.fsencode(files) + b"/a-latin\xe9.jsonl")
    Path(name).write_bytes(record % 1)
    (files / "b.jsonl").write_bytes(record % 2)
    writer = backend.open_writer(folder)
    report = add_files(writer, WordEncoder(), [files])
    assert (report.read, report.errors) == (2, [])
    assert [Path(str(entry["name"])).name for entry in writer.store.files()] == ["a-latin\\udce9.jsonl", "b.jsonl"]
    writer.close()


def test_a_folder_whose_name_is_not_utf8_is_refused_in_a_line(tmp_path, encoder):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9")
    for use in (lambda: backend.create(name, words_manifest(encoder)), lambda: backend.open_reader(name)):
        with pytest.raises(IndexFolderError, match="is not valid UTF-8"):
            use()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", ["documents.document", "vectors.vector", "articles.terms", "journals.keys"])
def test_values_of_another_kind_are_reported_as_damage(folder, encoder, column):
    from search.article import Journal

    put(folder, encoder, article(1, journal=Journal("Lancet"), mesh_headings=(MeshHeading("Aspirin"),)))
    table, name = column.split(".")
    connection = sqlite3.connect(folder / "articles.db")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = ?", [table])
    connection.commit()
    connection.close()
    connection = sqlite3.connect(folder / "articles.db")
    connection.execute(f"UPDATE {table} SET {name} = NULL")
    connection.commit()
    connection.close()
    assert list(backend.verify(folder))


@pytest.mark.parametrize(
    "address", ["u:se/cret@host/db", "u:se?cret@host/db", "u:se#cret@host/db", "u:1/cret@host/db", "u:1?cret@host/db"]
)
def test_a_password_with_odd_characters_is_shown_nowhere(address):
    with pytest.raises(ConfigError, match="write / as %2F") as told:
        parse_address(f"postgresql://{address}")
    assert "cret" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("u:se%2Fcret@host/db", "u@host/db"),
        ("host:5432/db?user=me@home", "host:5432/db?user=me%40home"),
        ("u:a:b@h1:1,h2:2/db?schema=x", "u@h1:1,h2:2/db?schema=x"),
        ("/db?host=/tmp&password=secret", "/db?host=/tmp"),
    ],
)
def test_addresses_that_are_right_are_read(address, name):
    assert parse_address(f"postgresql://{address}").name == f"postgresql://{name}"


def test_a_file_more_costs_the_same_however_many_were_read(folder, tmp_path):
    def steps(first, last):
        """Hundreds of steps of SQLite's machine to add some files of one record."""
        counted = []
        for number in range(first, last):
            (tmp_path / f"{number}.jsonl").write_text(f'{{"pmid": {number + 1}, "title": "title {number}"}}\n')
        writer = backend.open_writer(folder)
        writer.store.connection.set_progress_handler(lambda: counted.append(1), 100)
        report = add_files(writer, None, [tmp_path / f"{number}.jsonl" for number in range(first, last)])
        writer.close()
        assert report.counts == {"added": last - first}
        return len(counted)

    few = steps(0, 40)
    steps(40, 240)
    assert steps(240, 280) < 1.5 * few


def test_any_number_of_beginnings_of_any_length_are_looked_for(address, encoder):
    long = "ж" * 190
    names = [f"{letter}ller" for letter in "abcdefgh"] + [f"{long} {long}", f"{long} {long} {long}", "müller"]
    articles = {
        pmid: article(pmid, authors=(Author(last_name=name, initials="J"),)) for pmid, name in enumerate(names, 1)
    }
    put(address, encoder, *articles.values(), merge=True)
    prefixes = [key.partition("/")[0] for item in articles.values() for key in tokens_of(item).keys if "au:" in key]
    others = tuple(f"au:{number}{'x' * (number % 300)}" for number in range(500))
    queries = [AnyOf((), (*others, prefix, *others[:9]), exact=True) for prefix in prefixes]
    queries.append(AnyOf(("au:aller/j",), (*others, *prefixes[2:]), exact=True))
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        for query in queries:
            expected = [pmid for pmid, item in articles.items() if holds(query, pmid, tokens_of(item))]
            assert view.tokens.pmids(query).tolist() == expected != []


def test_looking_for_many_beginnings_ends_with_the_time_of_its_thread(folder, encoder):
    put(folder, encoder, article(1), merge=True)
    query = AnyOf((), tuple(f"au:{number}" for number in range(500)), exact=True)
    with closing(backend.open_reader(folder)) as reader, reader.view() as view:
        assert view.tokens.count(query) == 0
        with pytest.raises(TimeLimitError), time_limit(0):
            view.tokens.count(query)
