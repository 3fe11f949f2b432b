"""config.yml as a txtai application: the workflows, and txtai's own API over them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import httpx
import pytest
import yaml

from search.errors import ConfigError, QueryError

CONFIG = Path(__file__).parents[1] / "config.yml"
ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"


@pytest.fixture(scope="module")
def application_class():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai.app import Application
    return Application


@pytest.fixture
def config(tmp_path):
    """The project's config.yml for an index of the test's own."""

    def _config(folder, **changes):
        data = yaml.safe_load(CONFIG.read_text())
        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump({**data, "index": str(folder), **changes}))
        return str(path)

    return _config


def test_search_answers_each_question(application_class, config, built_demo):
    application = application_class(config(built_demo))
    first, second = application.workflow("search", [ASPIRIN, {"query": "night time blood pressure pills", "limit": 2}])
    assert (len(first), first[0]["pmid"], first[0]["sample"]) == (10, 990000025, True)
    assert (len(second), second[0]["pmid"]) == (2, 990000016)


def test_results_are_those_of_the_python_api(application_class, config, built_demo):
    from search import Index

    application = application_class(config(built_demo))
    (found,) = application.workflow("search", [{"query": ASPIRIN, "mode": "hybrid"}])
    with Index.open(built_demo) as index:
        expected = index.search(ASPIRIN, mode="hybrid")
    assert [(hit["pmid"], hit["score"]) for hit in found] == [(hit.pmid, round(hit.score, 6)) for hit in expected]


def test_ingest_makes_the_index_and_what_was_added_is_found(application_class, config, tmp_path):
    (tmp_path / "records.jsonl").write_text('{"pmid": 5, "title": "Zebras and stripes"}\n')
    application = application_class(config(tmp_path / "new"))
    (report,) = application.workflow("ingest", [str(tmp_path / "records.jsonl")])
    assert (report["read"], report["counts"]) == (1, {"added": 1})
    (found,) = application.workflow("search", ["stripes"])
    assert found[0]["pmid"] == 5


def test_similar(application_class, config, built_demo):
    element = {"pmids": [990000073], "unlike": [990000074], "texts": ["dementia"], "limit": 2}
    found, others = application_class(config(built_demo)).workflow("similar", ["990000073", element])
    assert found[0]["pmid"] == 990000074
    assert len(others) == 2 and 990000074 not in [hit["pmid"] for hit in others]


def test_filters_evidence_and_tags(application_class, config, built_demo):
    application = application_class(config(built_demo))
    elements = [
        {"query": ASPIRIN, "filters": {"year_from": 2015, "languages": ["English"]}, "evidence": 1, "limit": 3},
        f"{ASPIRIN} 1985:2000[dp]",
    ]
    recent, old = application.workflow("search", elements)
    assert len(recent) == 3 and all(hit["year"] >= 2015 and hit["languages"] == ["eng"] for hit in recent)
    assert all(len(hit["evidence"]) == 1 for hit in recent)
    assert len(old) == 10 and all(hit["year"] <= 2000 for hit in old)


def test_wrong_elements_and_wrong_keys(application_class, config, built_demo):
    application = application_class(config(built_demo))
    wrong_filter = {"query": "x", "filters": {"yaer_from": 2000}}
    with pytest.raises(QueryError, match="year_from"):
        list(application.workflow("search", [wrong_filter]))
    for element in ({"query": "x", "limt": 3}, {"limit": 3}, 7, {"query": "x", "mode": "psychic"}):
        with pytest.raises(QueryError, match="an element is a question"):
            list(application.workflow("search", [element]))
    with pytest.raises(ConfigError, match="unknown key `resluts`.*`results`"):
        application_class(config(built_demo, resluts=3))


def test_the_api_of_txtai_serves_the_workflows(config, built_demo):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "txtai.api:app", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "CONFIG": config(built_demo)}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        answer = _post(f"http://127.0.0.1:{port}/workflow", {"name": "search", "elements": [ASPIRIN]}, server)
        assert answer[0][0]["pmid"] == 990000025
        assert answer[0][0]["score"] == pytest.approx(0.7, abs=0.3)
    finally:
        server.terminate()
        server.communicate(timeout=20)


def _post(url, body, server):
    begun = time.monotonic()
    while time.monotonic() - begun < 120 and server.poll() is None:
        with contextlib.suppress(httpx.ConnectError):
            return httpx.post(url, json=body, timeout=60).raise_for_status().json()
        time.sleep(0.2)
    raise AssertionError(server.stderr.read() if server.poll() is not None else "the server did not start")
