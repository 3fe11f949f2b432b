"""A server that means harm: what it lists, says and sends takes neither time nor memory without end."""

import gzip
import threading

import httpx
import pytest
from hostile.limits import processor_seconds
from nlm_server import Fault, NlmServer, article_xml, packed

from search.errors import SourceError
from search.pubmed import download
from search.pubmed import http as web
from search.pubmed.eutils import Eutils
from search.pubmed.http import Patience
from search.pubmed.nlm_files import FileFolder, FileServer, NlmFile, parse_listing

NAME = "pubmed26n0001.xml.gz"


@pytest.fixture
def server():
    server = NlmServer()
    server.put(26, 1, packed(article_xml(1)))
    # It is left in the middle of its answers here.
    server._server.handle_error = lambda *arguments: None
    yield server
    server.close()


@pytest.fixture
def patience():
    return Patience(attempts=2, sleep=lambda seconds: None)


@pytest.fixture
def origin(server, tmp_path, patience):
    origin = FileServer(server.url, tmp_path / "downloads", patience=patience)
    yield origin
    origin.close()


def listed(name, size):
    return f'<A HREF="{name}">x</A> 2026-01-10 {size}\n<a class="x" href="{name}.md5">x</a> 60\n'


@pytest.mark.parametrize(
    ("size", "found"),
    [("1.5M", 1_572_864), ("1.2.3K", 2355), ("...", 0), (".", 0), ("9" * 400 + "G", 999_999_999_999 << 30), ("٣M", 0),
     ("²", 0), ("-", 0), ("", 10)],
)  # fmt: skip
def test_a_size_that_is_none(size, found):
    assert [file.size for file in parse_listing(listed(NAME, size), baseline=True, source="here")] == [found]


def test_digits_of_other_scripts_are_in_no_name():
    assert parse_listing(listed("pubmed٢٦n0001.xml.gz", "20M"), baseline=True, source="here") == []


@pytest.mark.parametrize(
    "page", ["<a " * 100_000, '<a href="x" ' * 20_000, '<a href=" ' * 20_000, '<a href="x">' * 20_000,
             listed(NAME, "1" * 100_000 + "x")], ids=["a", "href", "open", "tag", "size"]
)  # fmt: skip
def test_a_listing_is_read_in_a_time_that_grows_with_it(page):
    with processor_seconds(60):
        parse_listing(page, baseline=True, source="here")


@pytest.mark.parametrize(
    "said", ["²", "9" * 400, "Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "nan", "-5"]
)
def test_a_pause_that_is_none(said):
    answer = httpx.Response(429, headers={"Retry-After": said.encode("latin-1")})
    assert web._retry_after(answer) in (0.0, float("inf"))


@pytest.mark.parametrize("packing", ["none", "gzip"])
def test_an_answer_without_end_is_not_kept(server, origin, tmp_path, patience, monkeypatch, packing):
    monkeypatch.setattr(web, "_MOST_BYTES", 1 << 20)
    body = b"<html>" + b" " * (1 << 22)
    headers = {"Content-Encoding": "gzip"} if packing == "gzip" else {}
    fault = Fault(body=gzip.compress(body) if packing == "gzip" else body, headers=headers)
    for path in ("baseline/", f"baseline/{NAME}.md5", "esearch.fcgi"):
        server.faults[path] = [fault] * 2
    eutils = Eutils(server.url, tool="x", cache=tmp_path, patience=patience, interval=0.0)
    for ask in (
        origin.list_files,
        lambda: origin.md5(NlmFile(name=NAME, baseline=True)),
        lambda: eutils.search("aspirin"),
    ):
        with pytest.raises(SourceError, match="the answer is over 1 MB and was not read to its end"):
            ask()
    eutils.close()


def test_a_packed_answer_is_read(server, origin):
    server.faults["baseline/"] = [
        Fault(body=gzip.compress(server.answer("baseline/", {})[1]), headers={"Content-Encoding": "gzip"})
    ]
    assert [file.name for file in origin.list_files()] == [NAME]


def test_a_file_without_end_is_not_kept(server, origin, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 20)
    server.put(26, 1, b"x" * (1 << 21))
    with pytest.raises(SourceError, match="which no file of NLM's is"):
        origin.fetch(NlmFile(name=NAME, baseline=True), threading.Event())
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_folder_with_checksums_that_are_none_and_links_that_lead_nowhere(tmp_path):
    (tmp_path / NAME).write_bytes(packed(article_xml(1)))
    (tmp_path / f"{NAME}.md5").write_bytes(b"\xff\xfe\0" * 1000)
    origin = FileFolder(tmp_path)
    with pytest.raises(SourceError, match="holds no MD5 of"):
        origin.fetch(origin.list_files()[0], threading.Event())
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="No such file"):
        origin.list_files()
