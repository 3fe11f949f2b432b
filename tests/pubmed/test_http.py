"""A service that does not answer: what is tried again and what is not, and what is said meanwhile."""

import logging
import socket
import threading
from functools import partial

import httpx
import pytest

from search.errors import SourceError
from search.pubmed import http
from search.pubmed.download import download
from search.pubmed.http import Patience, TransientError, ask, make_client, persist


def failing(error):
    def attempt():
        attempts.append(error)
        raise error

    attempts = []
    return attempt, attempts


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_name_that_does_not_resolve_is_given_up_at_once(monkeypatch, code):
    def unknown(*_, **__):
        asked.append(code)
        raise socket.gaierror(code, "no such name")

    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    patience = Patience(sleep=lambda seconds: pytest.fail("it waits"))
    with make_client(5.0) as client, pytest.raises(SourceError, match="cannot be resolved"):
        persist("PubMed", lambda: ask(client, "GET", "https://no.such.name.invalid/"), patience)
    assert len(asked) == 1


def test_neither_is_it_tried_again_where_a_download_has_failed(monkeypatch, tmp_path):
    def unknown(*_, **__):
        asked.append(None)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    patience = Patience(sleep=lambda seconds: pytest.fail("it waits"))
    with make_client(5.0) as client, pytest.raises(SourceError, match="^desc2026.gz: the name .* cannot be resolved"):
        attempt = partial(
            download, client, "https://no.such.name.invalid/", tmp_path / "desc2026.gz.part", threading.Event()
        )
        persist("desc2026.gz", attempt, patience)
    assert len(asked) == 1


def test_a_connection_that_is_refused_is_tried_again(caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        waits = []
        patience = Patience(attempts=3, sleep=waits.append, jitter=lambda: 0.0)
        with make_client(5.0) as client, pytest.raises(SourceError, match=r"no connection .* \(3 attempts\)"):
            persist("PubMed", lambda: ask(client, "GET", url), patience)
    assert waits == [1.0, 2.0]
    assert [record.getMessage() for record in caplog.records] == [
        "PubMed: no connection to the server (is the network there, is the URL in config.yml right?); "
        f"retrying ({number} of 3) in {seconds} s"
        for number, seconds in ((2, 1), (3, 2))
    ]


def test_no_wait_is_silent_for_longer_than_ten_seconds(caplog):
    attempt, attempts = failing(TransientError("the server failed (HTTP 503)"))
    waits = []
    with pytest.raises(SourceError, match="9 attempts"):
        persist("file", attempt, Patience(sleep=waits.append, jitter=lambda: 0.0))
    assert len(attempts) == 9 and sum(waits) == 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60
    assert max(waits) <= 10
    told = [record.getMessage() for record in caplog.records]
    assert told[4:6] == [
        "file: the server failed (HTTP 503); retrying (6 of 9) in 16 s",
        "file: retrying (6 of 9) in 6 s",
    ]
    assert len(told) == len(waits)


def test_a_server_that_takes_its_time_is_waited_for_aloud(monkeypatch, caplog):
    monkeypatch.setattr(http, "_SILENCE", 0.01)
    told = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record):
            told.set()

    def answer(request):
        assert told.wait(20)
        return httpx.Response(200, content=b"late")

    handler = Heard()
    http.log.addHandler(handler)
    try:
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            assert ask(client, "GET", "https://example.org/").content == b"late"
    finally:
        http.log.removeHandler(handler)
    assert caplog.records[0].getMessage() == "example.org: waiting for an answer"


def test_a_connection_is_waited_for_no_longer_than_ten_seconds():
    with make_client(60.0) as client:
        assert (client.timeout.connect, client.timeout.read) == (10.0, 60.0)
    with make_client(3.0) as client:
        assert (client.timeout.connect, client.timeout.read) == (3.0, 3.0)
