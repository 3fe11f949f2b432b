"""Servers that are killed, connections that drop, writers in each other's way: nothing is lost, nothing doubled."""

import subprocess
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from helpers import Disturbed, article, put, state, words_manifest
from postgres_server import kill, new_address, running_server, session

from search.article import MeshHeading
from search.config import Config, PostgresConfig
from search.errors import IndexFolderError, StoreError
from search.ingest import pipeline as ingest
from search.storage import backend
from search.storage.postgres import postgres_writer as writer_module
from search.storage.rows import prepare

ARTICLES = [article(number, f"text {number}", "word " * (number % 5)) for number in range(1, 41)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", 4)


@pytest.fixture
def expected(folder, encoder):
    """What an ingestion without any fault leaves."""
    put(folder, encoder, *ARTICLES)
    writer = backend.open_writer(folder)
    found = state(writer.store)
    writer.close()
    return found


def stored_in(address):
    writer = backend.open_writer(address)
    found = state(writer.store)
    writer.close()
    return found


def add(address, encoder, config=None):
    writer = backend.open_writer(address, config)
    try:
        return ingest.add_articles(writer, encoder, ARTICLES)
    finally:
        writer.close()


def drop_connections(address):
    """End every connection of this program's, as a server or a network does."""
    with session(address) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'search'"
        ).fetchall()


@pytest.fixture(scope="module")
def mortal_server():
    """A server that may be killed."""
    with running_server() as server:
        yield server


def start_again(server):
    """Start a killed server. Its lock file names a process that nobody may have taken leave of, so it goes."""
    for attempt in range(100):
        time.sleep(0.1)
        (server.pgdata / "postmaster.pid").unlink(missing_ok=True)
        server._postmaster_info = None
        try:
            server.ensure_postgres_running()
            return
        except subprocess.SubprocessError:
            # The old one's processes have not ended yet.
            if attempt == 99:
                raise


def test_a_server_killed_in_mid_ingest_is_waited_for(mortal_server, encoder, expected):
    address = new_address(mortal_server)
    backend.create(address, words_manifest(encoder))

    def killed():
        kill(mortal_server)
        threading.Timer(0.5, start_again, [mortal_server]).start()

    report = add(address, Disturbed(encoder, 5, killed))
    assert report.counts == {"added": 40}
    assert stored_in(address) == expected


def test_a_server_that_stays_away_is_told_and_the_same_command_resumes(mortal_server, encoder, expected):
    address = new_address(mortal_server)
    backend.create(address, words_manifest(encoder))
    impatient = Config(postgres=PostgresConfig(patience=0.2))
    with pytest.raises(StoreError, match=r"schema=test.*run the same command again, what was committed is kept"):
        add(address, Disturbed(encoder, 6, lambda: kill(mortal_server)), impatient)
    with pytest.raises(StoreError, match="cannot be reached"):
        backend.open_reader(address)
    start_again(mortal_server)
    report = add(address, encoder)
    # Five batches were encoded; the fifth was being written when the server went.
    assert report.counts in ({"unchanged": 16, "added": 24}, {"unchanged": 20, "added": 20})
    assert stored_in(address) == expected


def test_a_connection_that_drops_in_a_transaction_is_made_anew(address, encoder, expected, monkeypatch):
    put_articles = writer_module.PgStoreWriter._put_plan
    drops = iter([False, True, False, True])

    def dropping(self, plan, change, waiting):
        put_articles(self, plan, change, waiting)
        if next(drops, False):
            drop_connections(address)

    monkeypatch.setattr(writer_module.PgStoreWriter, "_put_plan", dropping)
    assert add(address, encoder).counts == {"added": 40}
    assert stored_in(address) == expected


def test_a_commit_whose_answer_is_lost_is_not_done_twice(address, encoder, expected, monkeypatch):
    transaction = psycopg.Connection.transaction
    answers = iter([True, True, False, True, False])

    @contextmanager
    def losing(self, *arguments, **options):
        with transaction(self, *arguments, **options) as inner:
            yield inner
        if not next(answers, True):
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    writer = backend.open_writer(address)
    monkeypatch.setattr(psycopg.Connection, "transaction", losing)
    report = ingest.add_articles(writer, encoder, ARTICLES)
    assert writer.store.delete([40]) == 1
    writer.close()
    monkeypatch.undo()
    assert report.counts == {"added": 40}
    assert next(answers, None) is None
    put(address, encoder)
    writer = backend.open_writer(address)
    writer.store.apply(writer.store.plan([prepare(ARTICLES[-1])], restore=True), encoder.encode(["text 40"]))
    with session(address) as other:
        assert other.execute("SELECT count(*), count(DISTINCT change) FROM changes").fetchone() == (13, 13)
    writer.close()
    assert {**stored_in(address), "vectors": None} == {**expected, "vectors": None}


def test_a_server_that_lacks_what_was_committed_is_told(address, encoder, expected, monkeypatch):
    """A replica that takes the place of its primary may not have the last changes: a run must not end as if it had."""
    put_articles = writer_module.PgStoreWriter._put_plan
    calls = []

    def losing(self, plan, change, waiting):
        put_articles(self, plan, change, waiting)
        calls.append(change)
        if len(calls) == 5:
            with session(address) as other:
                for table in ("articles", "vectors", "words"):
                    other.execute(f"DELETE FROM {table} WHERE change = %s", [change - 1])
                other.execute("DELETE FROM documents WHERE NOT EXISTS (SELECT 1 FROM articles AS a "
                              "WHERE a.pmid = documents.pmid)")  # fmt: skip
                other.execute("DELETE FROM changes WHERE change = %s", [change - 1])
            drop_connections(address)

    monkeypatch.setattr(writer_module.PgStoreWriter, "_put_plan", losing)
    with pytest.raises(StoreError, match=r"lacks what was committed last.*run the same command again"):
        add(address, encoder)
    assert add(address, encoder).counts == {"unchanged": 12, "added": 28}
    assert stored_in(address) == expected


def test_after_a_lost_connection_terms_are_looked_up_anew(address, encoder):
    aspirin = (MeshHeading("Aspirin", "D001241", True),)
    writer = backend.open_writer(address)
    writer.store.apply(writer.store.plan([prepare(article(1, "one", mesh_headings=aspirin))]))
    with session(address) as other:
        # The server that answers next has other terms, and gives their numbers to others.
        other.execute("UPDATE terms SET name = 'Ibuprofen', ui = 'D007052'")
    drop_connections(address)
    writer.store.apply(writer.store.plan([prepare(article(2, "two", mesh_headings=aspirin))]))
    assert {name for _, name, _, pmid, _ in state(writer.store)["terms"] if pmid == 2} == {"aspirin"}
    writer.close()


def test_a_deadlock_is_got_out_of_and_the_work_done_anew(address, encoder, expected, monkeypatch):
    put_articles = writer_module.PgStoreWriter._put_plan
    tries, blocked = [], []

    def other_way_round():
        with session(address) as other, other.transaction():
            # So that the writer is the one that the server stops.
            other.execute("SET LOCAL deadlock_timeout = '60s'")
            other.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            blocked.append(other)
            other.execute("UPDATE counter SET change = change")

    def meeting(self, plan, change, waiting):
        tries.append(change)
        if len(tries) == 3:
            thread = threading.Thread(target=other_way_round)
            thread.start()
            while not blocked:
                time.sleep(0.01)
            time.sleep(0.1)
        put_articles(self, plan, change, waiting)

    monkeypatch.setattr(writer_module.PgStoreWriter, "_put_plan", meeting)
    assert add(address, encoder).counts == {"added": 40}
    assert len(tries) == 11
    assert stored_in(address) == expected


def test_a_full_pool_is_told_and_works_again_once_there_is_room(address, encoder):
    put(address, encoder, *ARTICLES)
    reader = backend.open_reader(address, Config(postgres=PostgresConfig(connections=1, timeout=0.3)))
    with reader.view() as view:
        assert view.store.counts()["articles"] == 40
        with pytest.raises(StoreError, match=r"connections of this program are in use .*`postgres: connections`"):
            reader.view().__enter__()
    with reader.view() as view:
        assert view.store.counts()["articles"] == 40
    reader.close()
    with pytest.raises(StoreError, match="is closed"):
        reader.view().__enter__()


def test_a_reader_whose_connections_were_dropped_reads_on(address, encoder):
    put(address, encoder, *ARTICLES)
    reader = backend.open_reader(address)
    with reader.view() as view:
        assert view.store.get(3).title == "text 3"
    drop_connections(address)
    with reader.view() as view:
        assert view.store.get(3).title == "text 3"
    with pytest.raises(StoreError, match="went away"), reader.view() as view:
        drop_connections(address)
        view.store.get(3)
    with reader.view() as view:
        assert view.nearest(encoder.encode(["text 5"]), 1)[0][0].tolist() == [5]
    reader.close()


def test_a_writer_that_came_first_is_not_written_over(address, encoder):
    put(address, encoder, article(1, "first"), article(2, "second"))

    def newer():
        put(address, encoder, article(1, "newest", revised="2025-02-02"))

    writer = backend.open_writer(address)
    revised = [article(1, "newer", revised="2025-01-01"), article(2, "revised", revised="2025-01-01")]
    report = ingest.add_articles(writer, Disturbed(encoder, 1, newer), revised)
    assert report.counts == {"older than what is held": 1, "replaced": 1}
    assert report.encoded == 2
    assert [writer.store.get(pmid).title for pmid in (1, 2)] == ["newest", "revised"]
    pmids, vectors = writer.store.vectors([1, 2])
    place = pmids.tolist().index(1)
    assert vectors[place] == pytest.approx(encoder.encode(["newest"])[0], abs=1e-3)
    writer.close()


def test_many_writers_at_once_lose_nothing(address, encoder, expected):
    errors = []

    def write(part):
        try:
            writer = backend.open_writer(address)
            # Each has a share of its own, and every third article is everyone's.
            mine = [found for found in ARTICLES if found.pmid % 3 == 0 or found.pmid % 4 == part]
            ingest.add_articles(writer, encoder, mine)
            writer.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert stored_in(address) == expected
    with session(address) as other:
        assert (
            other.execute("SELECT count(*) FROM terms").fetchone()[0]
            == other.execute("SELECT count(DISTINCT (kind, name, ui, parent_name, parent_ui)) FROM terms").fetchone()[0]
        )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda address: address.replace("/postgres?", "/nowhere?"), IndexFolderError, "createdb"),
        (lambda address: address.replace("schema=test", "schema=none"), IndexFolderError, "there is no index"),
        (lambda address: "postgresql://me:secret@127.0.0.1:1/x", StoreError, r"me@127\.0\.0\.1:1/x.*cannot be reached"),
    ],
)
def test_what_cannot_be_opened_is_told_without_the_password(address, change, error, message):
    with pytest.raises(error, match=message) as told:
        backend.open_reader(change(address))
    assert "secret" not in str(told.value)


def test_an_index_is_made_once(address, encoder):
    with pytest.raises(IndexFolderError, match="holds an index already"):
        backend.create(address, words_manifest(encoder))


@pytest.mark.parametrize(
    ("version", "message"), [(99, "update the program"), (2, "an earlier development version.*add the records again")]
)
def test_an_index_of_another_format_is_refused(address, version, message):
    with session(address) as other:
        other.execute(
            "UPDATE settings SET value = regexp_replace(value, '\"format\":[0-9]+', %s) WHERE key = 'manifest'",
            [f'"format":{version}'],
        )
    for opening in (backend.open_reader, backend.open_writer):
        with pytest.raises(IndexFolderError, match=message):
            opening(address)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE documents SET document = 'x' WHERE pmid = 4", "PMID 4: its record cannot be read"),
        ("UPDATE vectors SET text_hash = 'x' WHERE pmid = 6", "PMID 6: its vector was made from another text"),
        ("UPDATE vectors SET vector = vector * '[%s]' WHERE pmid = 8", "PMID 8: its vector has length 0.500"),
        ("DELETE FROM documents WHERE pmid = 9", "PMID 9: its record is missing"),
        ("DELETE FROM words WHERE pmid = 10", "PMID 10: articles and words do not hold the same"),
    ],
)
def test_damage_is_found(address, encoder, damage, message):
    put(address, encoder, *ARTICLES)
    assert list(backend.verify(address)) == []
    with session(address) as other:
        other.execute(damage.replace("%s", ",".join(["0.5"] * encoder.dimension)))
    assert any(message in problem for problem in backend.verify(address))
