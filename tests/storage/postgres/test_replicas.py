"""A primary and a hot standby: reading goes by the standby, writing by the primary, and either may be away."""

import threading
import time

import pytest
from helpers import Disturbed, article, put, state, words_manifest
from postgres_server import kill, running_server, running_standby, session

from search.config import Config, PostgresConfig
from search.errors import StoreError
from search.ingest import pipeline as ingest
from search.storage import backend
from search.storage.bm25 import question_terms

ARTICLES = [article(number, f"text {number}") for number in range(1, 41)]


@pytest.fixture
def servers():
    """A primary, and a standby that follows it."""
    with running_server() as primary, running_standby(primary) as standby:
        yield primary, standby


def address_of(*servers):
    hosts = ",".join(str(server.get_uri().partition("host=")[2]) for server in servers)
    return f"postgresql://postgres:@/postgres?host={hosts}&schema=replicated"


def answers(address, encoder):
    """What a search by meaning and one by words find, and whether a standby was asked."""
    reader = backend.open_reader(address)
    with reader.view() as view:
        found = [
            view.nearest(encoder.encode(["text 7"]), 3)[0][0].tolist(),
            view.bm25(question_terms("text 7"), 3)[0].tolist(),
        ]
        ((standby,),) = view.store.rows("SELECT pg_is_in_recovery()")
    reader.close()
    return found, standby


def test_a_standby_is_read_from_and_the_primary_written_to(servers, encoder):
    primary, standby = servers
    both, alone = address_of(primary, standby), address_of(standby)
    # However far behind the standby is, a program finds what it has written.
    standby.psql("SELECT pg_wal_replay_pause()")
    threading.Timer(0.5, standby.psql, ["SELECT pg_wal_replay_resume()"]).start()
    backend.create(both, words_manifest(encoder))
    standby.psql("SELECT pg_wal_replay_pause()")
    threading.Timer(0.5, standby.psql, ["SELECT pg_wal_replay_resume()"]).start()
    put(both, encoder, *ARTICLES, merge=True)
    expected = answers(address_of(primary), encoder)
    assert expected[1] is False and expected[0][0][0] == 7
    for address in (both, alone):
        assert answers(address, encoder) == (expected[0], True)
        assert list(backend.verify(address)) == []
    with pytest.raises(StoreError, match=r"session is read-only; what answers is a replica, .*promote"):
        backend.open_writer(alone)
    kill(primary)
    assert answers(both, encoder) == (expected[0], True)
    with pytest.raises(StoreError, match=r"what answers is a replica, .*promote"):
        backend.open_writer(both)
    standby.psql("SELECT pg_promote()")
    put(both, encoder, article(100, "text 7 7 7"))
    assert answers(both, encoder)[0][1][0] == 100


def test_an_ingest_goes_on_at_the_standby_that_takes_the_place_of_a_killed_primary(
    servers, encoder, folder, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 4)
    put(folder, encoder, *ARTICLES)
    primary, standby = servers
    address = address_of(primary, standby)
    backend.create(address, words_manifest(encoder))
    # Without this the last commits may be lost, which `test_faults` tells of.
    primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.psql("SELECT pg_reload_conf()")

    def failed_over():
        kill(primary)
        threading.Timer(0.5, standby.psql, ["SELECT pg_promote()"]).start()

    ours, theirs = backend.open_writer(folder), backend.open_writer(address)
    assert ingest.add_articles(theirs, Disturbed(encoder, 5, failed_over), ARTICLES).counts == {"added": 40}
    assert state(theirs.store) == state(ours.store)
    ours.close()
    theirs.close()


def test_a_search_that_a_standby_gives_up_is_told(servers, encoder):
    primary, standby = servers
    both = address_of(primary, standby)
    standby.psql("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    standby.psql("SELECT pg_reload_conf()")
    backend.create(both, words_manifest(encoder))
    put(both, encoder, *ARTICLES)
    reader = backend.open_reader(both, Config(postgres=PostgresConfig(timeout=5)))
    with pytest.raises(StoreError, match=r"conflict with recovery; .*hot_standby_feedback"), reader.view() as view:
        assert view.store.get(3).title == "text 3"
        put(address_of(primary), encoder, *[article(number, "other", revised="2025-01-01") for number in range(1, 41)])
        with session(address_of(primary)) as other:
            other.execute("VACUUM articles, documents, vectors, words")
        time.sleep(1)
        view.store.get(3)
    with reader.view() as view:
        assert view.store.get(3).title == "other"
    reader.close()
