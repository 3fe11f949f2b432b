"""The API key is told to NCBI and to nobody else: no message, log, ledger or saved search holds it; nor a password."""

import logging
import os
import sys

import pytest
from helpers import WordEncoder
from nlm_server import Fault, NlmServer, article_xml

from search import api
from search.cli import main as command_line
from search.errors import IndexLockedError
from search.pubmed import http as web
from search.storage.folder.lock import WriterLock

KEY = "0123456789abcdef0123456789abcdef0123"


@pytest.fixture
def server():
    server = NlmServer()
    server.records = {pmid: (article_xml(pmid), "2001/01/01") for pmid in range(1, 4)}
    yield server
    server.close()


SAYS_KEY = f"<eFetchResult><ERROR>{KEY}</ERROR></eFetchResult>".encode()
REFUSES_KEY = f'{{"error": "API key invalid: {KEY}"}}'.encode()

FAULTS = {
    "nothing": {},
    "the key is refused": {"esearch.fcgi": [Fault(status=400, body=REFUSES_KEY)]},
    "the key comes back": {"efetch.fcgi": [Fault(body=SAYS_KEY)] * 9},
    "a page comes back": {"efetch.fcgi": [Fault(status=500, body=f"<html>api_key={KEY}</html>".encode())] * 9},
    "too many requests": {"esearch.fcgi": [Fault(status=429, body=KEY.encode())] * 9},
    "not found": {"esearch.fcgi": [Fault(status=404, body=f"?api_key={KEY}".encode())] * 9},
    "moved": {"esearch.fcgi": [Fault(status=302, headers={"Location": "http://127.0.0.1:1/"})] * 9},
    "cut short": {"efetch.fcgi": [Fault(cut=50)] * 9},
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("there", [True, False], ids=["server", "no server"])
def test_the_key_is_nowhere(server, tmp_path, monkeypatch, capsys, caplog, faults, there):
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NCBI_API_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: WordEncoder())
    monkeypatch.setattr(web.Patience, "wait", lambda *_: None)
    for path, several in faults.items():
        server.faults[path] = list(several)
    url = server.url if there else "http://127.0.0.1:1/"
    (tmp_path / "config.yml").write_text(f"model: words\neutils:\n  url: {url}\n  email: nobody@example.org\n")
    printed = ""
    for command in (
        ["add", "--pubmed", "aspirin"],
        ["query", "title", "--save", "mine"],
        ["saved", "mine"],
        ["status"],
    ):
        monkeypatch.setattr(sys, "argv", ["search", *command, "--index", "index"])
        with pytest.raises(SystemExit):
            command_line.main()
        captured = capsys.readouterr()
        printed += captured.out + captured.err
    if there:
        assert any(form.get("api_key") == KEY for _, _, form in server.requests)
    assert printed
    assert KEY not in printed
    assert KEY not in caplog.text
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    # A run that fails leaves no new index behind.
    assert (tmp_path / "index" / "articles.db" in kept) == (there and not any(faults.values()))
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:hunter2@host/db", "postgresql://host/db?user=me&password=hunter2&x=y"],
    ids=["user", "query"],
)
def test_the_lock_says_who_writes_without_a_password(tmp_path, monkeypatch, address):
    monkeypatch.setattr(sys, "argv", ["search", "copy", address, str(tmp_path)])
    lock = WriterLock(tmp_path)
    lock.acquire()
    with pytest.raises(IndexLockedError, match=f"process {os.getpid()} on .*`search copy postgresql://") as told:
        WriterLock(tmp_path).acquire()
    assert "hunter2" not in str(told.value)
    assert b"hunter2" not in (tmp_path / "writer.lock").read_bytes()
    lock.release()
