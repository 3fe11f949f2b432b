"""A published set of pairs is fetched once from a hub on loopback, and what is said when there is none."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from search.cli.main import main
from search.errors import EvaluationError
from search.evaluation.pair_correlation import load_pair_set
from search.evaluation.published_sets import fetch_pair_set


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that answers with what `pages` (path -> bytes) holds and notes what it was asked for."""
    pages, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    yield pages, asked, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def parquet(tmp_path, **columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    return (tmp_path / "x.parquet").read_bytes()


LISTING = "/api/datasets/qiaojin/PubMedQA/parquet/pqa_labeled/train"


def test_fetched_once_and_read_in_order(hub, tmp_path):
    pages, asked, endpoint = hub
    pages["/0"] = parquet(tmp_path, question=["q 1?", "q 2?"], long_answer=["a 1", "a 2"])
    pages["/1"] = parquet(tmp_path, question=["q 3?"], long_answer=["a 3"])
    pages[LISTING] = json.dumps([f"{endpoint}/0", f"{endpoint}/1"]).encode()
    for _ in range(2):
        pairs = load_pair_set(fetch_pair_set("pubmedqa"), "pubmedqa")
        assert pairs.first == ("q 1?", "q 2?", "q 3?")
        assert pairs.second == ("a 1", "a 2", "a 3")
    assert asked == [LISTING, "/0", "/1"]


def test_rows_without_a_text_are_left_out_and_counted(hub, tmp_path, monkeypatch, capsys):
    pages, _, endpoint = hub
    pages["/0"] = parquet(tmp_path, question=["q 1?", "", "q 3?", "q 4?"], long_answer=["a 1", "a 2", None, "a 4"])
    pages[LISTING] = json.dumps([f"{endpoint}/0"]).encode()
    pairs = load_pair_set(fetch_pair_set("pubmedqa"), "pubmedqa", skip_empty=True)
    assert (pairs.first, pairs.second, pairs.skipped) == (("q 1?", "q 4?"), ("a 1", "a 4"), 2)
    with pytest.raises(EvaluationError, match="row 2 has no text in 'question'"):
        load_pair_set(fetch_pair_set("pubmedqa"), "pubmedqa")
    monkeypatch.setattr("sys.argv", ["search", "evaluate", "pairs", "--set", "pubmedqa", "--format", "json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    printed = capsys.readouterr()
    assert "pubmedqa: 2 rows with an empty text are left out" in printed.err
    assert json.loads(printed.out)[0]["pairs"] == 2


def test_what_reads_parquet_is_named_before_the_download(hub, monkeypatch):
    _, asked, _ = hub
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(EvaluationError, match="pip install pyarrow"):
        fetch_pair_set("pubmedqa")
    assert not asked


def test_a_download_that_fails_leaves_nothing_that_looks_whole(hub, tmp_path):
    pages, _, endpoint = hub
    with pytest.raises(EvaluationError, match=r"PubMed QA \(qiaojin/PubMedQA\) cannot be fetched.*give a local file"):
        fetch_pair_set("pubmedqa")
    pages["/0"] = parquet(tmp_path, question=["q 1?"], long_answer=["a 1"])
    pages[LISTING] = json.dumps([f"{endpoint}/0", f"{endpoint}/1"]).encode()
    with pytest.raises(EvaluationError, match="404"):
        fetch_pair_set("pubmedqa")
    pages[LISTING] = b"[]"
    with pytest.raises(EvaluationError, match="lists no Parquet files of pqa_labeled, train"):
        fetch_pair_set("pubmedqa")


def test_no_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EvaluationError, match=r"127\.0\.0\.1:9.*search evaluate pairs FILE --set subset"):
        fetch_pair_set("subset")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EvaluationError, match="HF_HUB_OFFLINE forbids"):
        fetch_pair_set("subset")
