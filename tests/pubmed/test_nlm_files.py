"""Files come whole or not at all, whatever the server does, and a name from a list stays a name."""

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from nlm_server import Fault, NlmServer, article_xml, packed

from search.errors import SourceError
from search.pubmed import download
from search.pubmed.http import Patience
from search.pubmed.nlm_files import FileFolder, FileServer, NlmFile, fetch_ahead, parse_listing

NAME = "baseline/pubmed26n0001.xml.gz"


@pytest.fixture
def server():
    server = NlmServer()
    server.put(26, 1, packed(*[article_xml(pmid, abstract=f"word{pmid} " * 40) for pmid in range(1, 60)]))
    yield server
    server.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def origin(server, tmp_path, waits):
    patience = Patience(attempts=4, first=1.0, sleep=waits.append, jitter=lambda: 0.0)
    origin = FileServer(server.url, tmp_path / "downloads", timeout=0.25, patience=patience)
    yield origin
    origin.close()


def fetch(origin):
    return origin.fetch(NlmFile(name="pubmed26n0001.xml.gz", baseline=True), threading.Event())


def test_files_are_listed_in_order_with_what_is_said_of_them(server, origin):
    server.put(26, 3, b"x" * 3000, "updatefiles")
    server.put(26, 2, b"x", "baseline")
    found = origin.list_files()
    assert [(file.name, file.baseline, file.sequence) for file in found] == [
        ("pubmed26n0001.xml.gz", True, 2600001),
        ("pubmed26n0002.xml.gz", True, 2600002),
        ("pubmed26n0003.xml.gz", False, 2600003),
    ]
    assert found[2].size == 3000
    assert found[2].stamp == "2026-01-10 12:38 3000"


def test_sizes_are_read_as_listings_round_them():
    page = '<a href="pubmed26n0001.xml.gz">x</a> 2026-01-10 12:38   1.5M\n<a href="pubmed26n0001.xml.gz.md5">x</a>  60 '
    assert [file.size for file in parse_listing(page, baseline=True, source="here")] == [1_572_864]


@pytest.mark.parametrize(
    "name",
    [
        "../pubmed26n0002.xml.gz",
        "/etc/pubmed26n0002.xml.gz",
        "..%2F..%2Fpubmed26n0002.xml.gz",
        "a\\pubmed26n0002.xml.gz",
        "https://example.org/pubmed26n0002.xml.gz",
        "..pubmed26n0002.xml.gz.md5",
    ],
)
def test_a_path_in_a_listed_name_is_refused(name):
    with pytest.raises(SourceError, match="path in its name"):
        parse_listing(f'<a href="{name}">x</a>', baseline=True, source="here")


def test_a_file_without_its_md5_is_not_there_yet():
    page = "".join(
        f'<a href="{name}">x</a>'
        for name in ("pubmed26n0001.xml.gz", "pubmed26n0001.xml.gz.md5", "pubmed26n0002.xml.gz", "notes.xml.gz")
    )
    assert [file.number for file in parse_listing(page, baseline=False, source="here")] == [1]


def test_a_page_that_is_no_list_is_asked_for_again(server, origin, waits):
    server.faults["baseline/"] = [Fault(body=b"<html><body>We are busy</body></html>"), Fault(status=503)]
    assert len(origin.list_files()) == 1
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429),
        Fault(cut=100),
        Fault(silent=0.6),
        Fault(body=b"<html>an error page with status 200</html>"),
    ],
)
def test_what_goes_wrong_once_is_tried_again(server, origin, fault):
    server.faults[NAME] = [fault]
    path, md5 = fetch(origin)
    assert path.read_bytes() == server.files[NAME]
    assert md5 == hashlib.md5(server.files[NAME]).hexdigest()
    assert [entry.name for entry in path.parent.iterdir()] == ["pubmed26n0001.xml.gz"]


def test_a_download_goes_on_where_it_broke_off(server, origin):
    server.faults[NAME] = [Fault(cut=700), Fault(cut=200)]
    path, _ = fetch(origin)
    assert path.read_bytes() == server.files[NAME]
    assert [asked for path, asked, _ in server.requests if path == NAME] == [None, "bytes=700-", "bytes=900-"]


def test_a_download_goes_on_in_the_next_process(server, origin, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "pubmed26n0001.xml.gz.part").write_bytes(server.files[NAME][:1000])
    assert fetch(origin)[0].read_bytes() == server.files[NAME]
    assert [asked for path, asked, _ in server.requests if path == NAME] == ["bytes=1000-"]


@pytest.mark.parametrize("beginning", [b"the beginning of another file", b"x" * 1_000_000])
def test_a_part_of_another_file_is_thrown_away(server, origin, tmp_path, beginning):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "pubmed26n0001.xml.gz.part").write_bytes(beginning)
    assert fetch(origin)[0].read_bytes() == server.files[NAME]


def test_a_server_without_ranges_gives_it_all_again(server, origin):
    server.ranges = False
    server.faults[NAME] = [Fault(cut=700)]
    assert fetch(origin)[0].read_bytes() == server.files[NAME]


def test_a_line_that_breaks_often_is_no_reason_to_give_up(server, origin):
    server.faults[NAME] = [Fault(cut=20)] * 12
    assert fetch(origin)[0].read_bytes() == server.files[NAME]


def test_a_wrong_md5_is_told_and_nothing_is_kept(server, origin, tmp_path, waits):
    server.md5s[NAME] = "0" * 32
    with pytest.raises(SourceError, match=r"pubmed26n0001.xml.gz: the download has MD5 \w{32} and NLM says 0{32}"):
        fetch(origin)
    assert list((tmp_path / "downloads").iterdir()) == []
    assert waits == [1.0, 2.0, 4.0]


def test_a_file_that_is_there_is_not_downloaded_again(server, origin):
    fetch(origin)
    fetch(origin)
    assert server.asked(NAME) == 1


def test_retry_after_is_obeyed_and_a_long_one_is_an_error(server, origin, waits):
    server.faults[NAME] = [Fault(status=429, headers={"Retry-After": "17"})]
    fetch(origin)
    assert waits == [10.0, 7.0]
    server.faults["baseline/"] = [Fault(status=503, headers={"Retry-After": "86400"})]
    with pytest.raises(SourceError, match="asks to wait 86400 s"):
        origin.list_files()


def test_a_full_disk_is_told_before_downloading(server, origin, monkeypatch, tmp_path):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_000})())
    with pytest.raises(SourceError, match="free some space"):
        fetch(origin)


def test_the_next_files_are_fetched_while_one_is_worked_on(server, origin):
    for number in range(2, 7):
        server.put(26, number, packed(article_xml(number)))
    files = origin.list_files()
    steps = fetch_ahead(origin, files, ahead=2)
    assert next(steps)[0].number == 1
    third_asked = threading.Event()
    for _ in range(500):
        if server.asked("0003.xml.gz"):
            break
        third_asked.wait(0.01)
    assert server.asked("0003.xml.gz") == 1
    third_asked.wait(0.05)
    assert server.asked("0004.xml.gz") == 0
    steps.close()
    assert server.asked("0005.xml.gz") == 0


def test_a_folder_is_checked_where_md5s_lie_beside(tmp_path):
    content = packed(article_xml(1))
    for place in ("baseline", "updatefiles"):
        (tmp_path / place).mkdir()
    (tmp_path / "baseline" / "pubmed26n0001.xml.gz").write_bytes(content)
    (tmp_path / "updatefiles" / "pubmed26n0002.xml.gz").write_bytes(content)
    (tmp_path / "updatefiles" / "pubmed26n0002.xml.gz.md5").write_text(f"MD5(pubmed26n0002.xml.gz)= {'1' * 32}\n")
    origin = FileFolder(tmp_path)
    first, second = origin.list_files()
    assert (first.baseline, second.baseline) == (True, False)
    assert origin.fetch(first, threading.Event())[1] == hashlib.md5(content).hexdigest()
    with pytest.raises(SourceError, match="download the file again"):
        origin.fetch(second, threading.Event())


def test_a_flat_folder_has_its_first_numbers_as_baseline(tmp_path):
    for number in (1, 2, 4):
        (tmp_path / f"pubmed26n{number:04d}.xml.gz").write_bytes(b"")
    assert [file.baseline for file in FileFolder(tmp_path).list_files()] == [True, True, False]


@pytest.mark.parametrize("call", ["mkdir", "replace", "unlink"])
def test_a_disk_that_fails_beside_the_download_itself_is_told(origin, monkeypatch, call):
    def fails(path, *arguments, **named):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    if call == "unlink":
        path, _ = fetch(origin)
    monkeypatch.setattr(Path, call, fails)
    with pytest.raises(SourceError, match="Input/output error; what was downloaded and applied is kept"):
        origin.release(path) if call == "unlink" else fetch(origin)
