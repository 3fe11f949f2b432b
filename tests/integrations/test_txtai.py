"""config.yml as a txtai application: the workflows, and txtai's own API over them."""

import contextlib
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import httpx
import msgspec
import pytest
import yaml
from small_llm import save_llm

from search.errors import ConfigError, ExportError, QueryError
from search.retrieval.filters import Filters

CONFIG = Path(__file__).parents[2] / "config.yml"
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


def test_a_strategy_is_run_and_restricts_a_question(application_class, config, built_demo):
    from search import Index

    text = "1. aspirin[tiab]\n2. #1 AND cancer"
    application = application_class(config(built_demo))
    (found, short) = application.workflow("strategy", [text, {"strategy": text, "limit": 1}])
    with Index.open(built_demo) as index:
        expected = index.strategy(text)
    assert (found["count"], found["pmids"]) == (expected.count, expected.pmids)
    assert [line["count"] for line in found["lines"]] == [line.count for line in expected.lines]
    assert (short["count"], short["pmids"]) == (expected.count, expected.pmids[:1])
    element = {"query": "bowel", "limit": 200, "fold": False, "filters": {"strategy": text}}
    (hits,) = application.workflow("search", [element])
    assert sorted(hit["pmid"] for hit in hits) == list(expected.pmids)
    element = {"query": "asprin", "exact": True, "mode": "lexical"}
    assert list(application.workflow("search", [element])) == [[]]


def test_results_are_those_of_the_python_api(application_class, config, built_demo):
    from search import Index

    application = application_class(config(built_demo))
    (found,) = application.workflow("search", [{"query": ASPIRIN, "mode": "hybrid"}])
    with Index.open(built_demo) as index:
        expected = index.search(ASPIRIN, mode="hybrid")
    assert [(hit["pmid"], hit["score"]) for hit in found] == [(hit.pmid, round(hit.score, 6)) for hit in expected]


def test_one_element_has_one_answer_and_a_limit_may_stand_beside(built_demo, tmp_path):
    from search import workflow

    with_index = {"index": str(built_demo)}
    search = workflow.Search(**with_index)
    one = search(ASPIRIN)
    assert (len(one), one[0]["pmid"]) == (10, 990000025)
    assert search([ASPIRIN]) == search((ASPIRIN,)) == [one] and search({"query": ASPIRIN}) == one
    assert search(ASPIRIN, 2) == one[:2] and search([ASPIRIN, {"query": ASPIRIN, "limit": 1}], 3) == [one[:3], one[:1]]
    similar = workflow.Similar(**with_index)
    assert similar(990000073) == similar([990000073])[0] and len(similar("990000073", 4)) == 4
    context = workflow.Context(**with_index)
    assert context(ASPIRIN)["question"] == ASPIRIN and len(context(ASPIRIN, 2)["sources"]) == 2
    export = workflow.Export(**with_index)
    assert export(990000067).startswith("TY  - ")
    assert export({"query": ASPIRIN, "format": "csv"}, 3).count("https://pubmed.ncbi.nlm.nih.gov/") == 3
    (tmp_path / "records.jsonl").write_text('{"pmid": 5, "title": "Zebras and stripes"}\n')
    assert workflow.Ingest(index=str(tmp_path / "new"))(str(tmp_path / "records.jsonl"))["counts"] == {"added": 1}
    assert workflow.Sync(index=str(tmp_path / "new"))([]) == []
    for wrong in (7.5, None):
        with pytest.raises((QueryError, TypeError)):
            search(wrong)
    for pipeline in (search, similar, context, export):
        pipeline.close()


def test_records_have_the_keys_of_txtai_and_a_text_that_says_what_is_retracted(built_demo):
    from search import Index

    with Index.open(built_demo) as index:
        hits = index.search(ASPIRIN, 100)
        records = index.batchsearch([ASPIRIN], 100)[0]
    assert [(hit.pmid, hit.pmid, round(hit.score, 6)) for hit in hits] == [
        (record["id"], record["pmid"], record["score"]) for record in records
    ]
    texts = {record["id"]: record["text"] for record in records}
    assert texts[990000025].startswith("[NOT A REAL STUDY] Long-term effect of aspirin on the incidence")
    retracted = [record for record in records if record["retracted"]]
    assert retracted and all(record["text"].startswith("[RETRACTED] ") for record in retracted)


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
    assert [part["role"] for part in recent[0]["evidence"]] == ["conclusions"]
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


def test_context_is_what_python_gives(application_class, config, built_demo):
    from search import Index

    application = application_class(config(built_demo))
    element = {"query": ASPIRIN, "tokens": 400, "sentences": 2, "filters": {"year_from": 2000}}
    whole, part = application.workflow("context", [ASPIRIN, element])
    with Index.open(built_demo) as index:
        expected = index.context(ASPIRIN, 400, sentences=2, filters=Filters(year_from=2000))
    assert part == msgspec.to_builtins(expected)
    assert whole["question"] == ASPIRIN and part["tokens"] <= 400 < whole["tokens"] <= 1500
    with pytest.raises(QueryError, match="an element is a question"):
        list(application.workflow("context", [{"query": ASPIRIN, "tokns": 3}]))


def test_export_writes_text_and_files(application_class, config, built_demo, tmp_path):
    application = application_class(config(built_demo))
    file = {"query": ASPIRIN, "limit": 3, "format": "csv", "output": str(tmp_path / "found.csv")}
    text, path = application.workflow("export", [990000067, file])
    assert text.startswith("TY  - ") and "RETRACTED" in text
    assert Path(path).read_text().count("https://pubmed.ncbi.nlm.nih.gov/") == 3
    for element, message in (({}, "either pmids or a query"), (5, "PMID 5 is not in")):
        with pytest.raises(QueryError, match=message):
            list(application.workflow("export", [element]))
    with pytest.raises(ExportError, match="No such file"):
        list(application.workflow("export", [{**file, "output": str(tmp_path / "none" / "x.csv")}]))


@pytest.fixture
def nlm_files(tmp_path):
    """A folder that holds a baseline file as NLM names them."""
    from nlm_server import article_xml, packed

    folder = tmp_path / "nlm"
    folder.mkdir()
    (folder / "pubmed25n0001.xml.gz").write_bytes(packed(*[article_xml(pmid, f"zebra {pmid}") for pmid in range(1, 4)]))
    return folder


def test_sync_brings_the_index_to_nlms_state(application_class, config, tmp_path, nlm_files):
    application = application_class(config(tmp_path / "new"))
    (report,) = application.workflow("sync", [{"folder": str(nlm_files), "part": {"terms": ["zebra"]}}])
    assert report["ingest"]["counts"] == {"added": 3} and report["part"] == "text has zebra"
    (found,) = application.workflow("search", ["zebra"])
    assert {hit["pmid"] for hit in found} == {1, 2, 3}


# A language model over the index ------------------------------------------------------------------------------------

ANSWER = (
    "<code>\nfinal_answer([hit['id'] for hit in pubmed('does aspirin lower the risk of bowel cancer?')][:2])\n</code>"
)


@pytest.fixture(scope="module")
def llm(tmp_path_factory):
    """The folder of a language model that always says ANSWER."""
    return str(save_llm(tmp_path_factory.mktemp("llm"), ANSWER))


class Asked(list):
    """A language model that remembers its prompts."""

    def __call__(self, prompts, **_):
        self.extend(prompts)
        return ["yes, aspirin does" for _ in prompts]


def test_rag_over_an_index(application_class, built_demo, llm):
    from txtai import RAG

    from search import Index

    with Index.open(built_demo) as index:
        asked = Asked()
        rag = RAG(index, asked, output="reference", context=2, template="{context}\nQuestion: {question}")
        answer = rag(ASPIRIN)
        first, second = index.batchsearch([ASPIRIN], 2)[0]
        assert asked == [f"{first['text']} {second['text']}\nQuestion: {ASPIRIN}"]
        # The reference is the text of the context that is nearest to question and answer.
        (best, cosine), (_, less) = index.batchsimilarity(
            [f"{ASPIRIN} yes, aspirin does"], [first["text"], second["text"]]
        )[0]
        assert answer == {"answer": "yes, aspirin does", "reference": [first, second][best]["id"]}
        vectors = index.encoder.encode([first["text"], second["text"]])
        question = index.encoder.encode([f"{ASPIRIN} yes, aspirin does"], "query")[0]
        assert [cosine, less] == pytest.approx(sorted(vectors @ question, reverse=True), abs=1e-6)
        assert RAG(index, llm)([ASPIRIN, "sleep"]) == [{"answer": ANSWER}] * 2


def test_rag_in_yaml_asks_the_pipeline(application_class, config, built_demo, llm):
    settings = {"similarity": "search.workflow.Search", "path": llm, "output": "reference", "context": 3}
    application = application_class(config(built_demo, rag=settings))
    (found,) = application.workflow("search", [ASPIRIN])
    answer = application.pipeline("rag", ASPIRIN)
    assert answer["answer"] == ANSWER and answer["reference"] in [hit["id"] for hit in found[:3]]
    # Without `similarity` txtai takes the index of the application, which is this one.
    del settings["similarity"]
    assert application_class(config(built_demo, rag=settings)).pipeline("rag", ASPIRIN) == answer


def test_the_search_of_an_application(application_class, config, built_demo):
    application = application_class(config(built_demo))
    (found,) = application.workflow("search", [ASPIRIN])
    assert application.search(ASPIRIN, 3) == found[:3]
    assert application.batchsearch([ASPIRIN, "sleep"], 2)[0] == found[:2]
    assert application.count() == 220
    order = application.similarity("bowel cancer", ["asthma in children", "colorectal tumours"])
    assert [row["id"] for row in order] == [1, 0] and order[0]["score"] > order[1]["score"]
    for query, options, message in (
        ("select id from txtai where similar('x')", {}, "questions, not SQL"),
        (ASPIRIN, {"graph": True}, "cannot use a graph"),
        (ASPIRIN, {"weights": 0.5}, "cannot use weights"),
    ):
        with pytest.raises(QueryError, match=message):
            application.search(query, **options)


# The examples --------------------------------------------------------------------------------------------------------


@pytest.fixture
def example(application_class, tmp_path):
    """The application of an example of scripts/workflows, on another index."""

    def _example(name, kind=application_class, **changes):
        data = yaml.safe_load((CONFIG.parent / "scripts" / "workflows" / f"{name}.yml").read_text())
        path = tmp_path / f"{name}.yml"
        path.write_text(yaml.safe_dump({**data, **changes}))
        return kind(str(path))

    return _example


def test_the_example_of_searching(example, built_demo):
    (found,) = example("search", index=str(built_demo)).workflow("studies", [ASPIRIN])
    assert len(found) == 5
    assert all({"Review", "Randomized Controlled Trial"} & set(hit["publication_types"]) for hit in found)


def test_the_example_of_prompts(example, built_demo):
    (prompt,) = example("rag", index=str(built_demo)).workflow("prompt", [ASPIRIN])
    assert f"Question: {ASPIRIN}" in prompt
    assert "\n[1] [NOT A REAL STUDY] Raghunathanswamy A" in prompt and "PMID: 990000025" in prompt
    assert "RETRACTED" not in prompt


def test_the_example_of_exporting(example, built_demo, tmp_path):
    element = {"query": ASPIRIN, "limit": 4, "output": str(tmp_path / "references.ris")}
    (path,) = example("export", index=str(built_demo)).workflow("references", [element])
    assert Path(path).read_text().count("TY  - ") == 4


def test_the_example_of_a_schedule(example, tmp_path, nlm_files):
    pytest.importorskip("croniter")
    data = yaml.safe_load((CONFIG.parent / "scripts" / "workflows" / "sync.yml").read_text())["workflow"]
    assert data["sync"]["schedule"] == {"cron": "0 4 * * *", "elements": [""]}
    # The same every second, once, and from a folder.
    data["sync"]["schedule"] = {"cron": "* * * * * *", "elements": [str(nlm_files)], "iterations": 1}
    application = example("sync", index=str(tmp_path / "new"), workflow=data)
    application.wait()
    from search import Index

    with Index.open(tmp_path / "new") as index:
        assert index.status().articles == 3


# txtai's API ---------------------------------------------------------------------------------------------------------


#: txtai's agents import mcpadapt, which needs mcp below 2; nothing of it is used unless a tool is a web address.
SERVE = """
import sys, types, uvicorn
for name in ("mcpadapt", "mcpadapt.core", "mcpadapt.smolagents_adapter"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["mcpadapt"].core = sys.modules["mcpadapt.core"]
sys.modules["mcpadapt.smolagents_adapter"].SmolAgentsAdapter = None
uvicorn.main(["txtai.api:app", *sys.argv[1:]])
"""

AGENT = {
    "method": "code",
    "max_steps": 2,
    "tools": [{"name": "pubmed", "description": "Finds articles of PubMed.", "target": "search.workflow.Search"}],
}


@pytest.fixture(scope="module")
def shard(built_demo, llm, tmp_path_factory):
    """The address of txtai's API over the sample records, as a shard, and the token it asks for."""
    folder = tmp_path_factory.mktemp("shard")
    settings = {
        **yaml.safe_load(CONFIG.read_text()),
        "index": str(built_demo),
        "llm": {"path": llm},
        "rag": {"similarity": "search.workflow.Search", "path": "llm", "output": "reference"},
    }
    if importlib.util.find_spec("smolagents"):
        settings["agent"] = {"reader": AGENT}
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "--port", str(port), "--log-level", "warning"]
    environment = {
        **os.environ,
        "CONFIG": str(folder / "config.yml"),
        "EXTENSIONS": "search.integrations.txtai_shard.Shard",
        "TOKEN": hashlib.sha256(b"secret").hexdigest(),
    }
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield _when_up(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.communicate(timeout=20)


def _when_up(address, server):
    begun = time.monotonic()
    while time.monotonic() - begun < 180 and server.poll() is None:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get(address, timeout=60)
            return address
        time.sleep(0.2)
    raise AssertionError(server.stderr.read() if server.poll() is not None else "the server did not start")


KNOWN = {"authorization": "Bearer secret"}


def test_the_api_of_txtai_serves_the_workflows_to_those_with_its_token(shard):
    body = {"name": "search", "elements": [ASPIRIN, {"query": ASPIRIN, "mode": "lexical", "limit": 2}]}
    for headers in ({}, {"authorization": "Bearer wrong"}):
        assert httpx.post(f"{shard}/workflow", json=body, headers=headers, timeout=60).status_code in (401, 403)
        assert httpx.get(f"{shard}/search?query=x", headers=headers, timeout=60).status_code in (401, 403)
    answer = httpx.post(f"{shard}/workflow", json=body, headers=KNOWN, timeout=60).raise_for_status().json()
    assert answer[0][0]["pmid"] == 990000025 and len(answer[1]) == 2
    body = {"name": "context", "elements": [ASPIRIN]}
    (context,) = httpx.post(f"{shard}/workflow", json=body, headers=KNOWN, timeout=60).raise_for_status().json()
    assert context["sources"][0]["pmid"] == 990000025


def test_a_wrong_element_is_answered_with_what_is_wrong(shard):
    body = {"name": "search", "elements": [{"query": ASPIRIN, "limt": 3}]}
    answer = httpx.post(f"{shard}/workflow", json=body, headers=KNOWN, timeout=60)
    assert answer.status_code == 400 and "an element is a question" in answer.json()["detail"]
    assert httpx.post(f"{shard}/workflow", json=body, timeout=60).status_code in (401, 403)
    answer = httpx.get(f"{shard}/rag", params={"query": " "}, headers=KNOWN, timeout=60)
    assert answer.status_code == 400 and "the question is empty" in answer.json()["detail"]


def test_the_api_of_txtai_runs_rag_over_the_index(shard):
    found = httpx.get(f"{shard}/search", params={"query": ASPIRIN, "limit": 3}, headers=KNOWN, timeout=60).json()
    answer = httpx.get(f"{shard}/rag", params={"query": ASPIRIN}, headers=KNOWN, timeout=60).raise_for_status().json()
    assert answer["answer"] == ANSWER and answer["reference"] in [record["id"] for record in found]
    body = {"queries": [ASPIRIN, "sleep"]}
    answers = httpx.post(f"{shard}/batchrag", json=body, headers=KNOWN, timeout=60).raise_for_status().json()
    assert answers[0] == answer and answers[1]["reference"] != answer["reference"]


def test_an_agent_of_txtai_uses_the_index_as_a_tool(shard):
    pytest.importorskip("smolagents", reason="txtai's agents need the package smolagents")
    found = httpx.get(f"{shard}/search", params={"query": ASPIRIN, "limit": 2}, headers=KNOWN, timeout=60).json()
    body = {"name": "reader", "text": "Which articles are about aspirin?"}
    answer = httpx.post(f"{shard}/agent", json=body, headers=KNOWN, timeout=120).raise_for_status().json()
    assert answer == [record["id"] for record in found]


def test_the_example_of_a_cluster(example, shard, built_demo, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai.api import Cluster

    from search import Index

    class WithToken(Cluster):
        """A cluster sends no token; one in front of shards that ask for one would be given it by a proxy."""

        async def get(self, session, url):
            session.headers.update(KNOWN)
            return await super().get(session, url)

        async def post(self, session, url, data):
            session.headers.update(KNOWN)
            return await super().post(session, url, data)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setattr("txtai.api.base.Cluster", WithToken)
        from txtai.api import API

        cluster = example("cluster", API, cluster={"shards": [shard]})
        single = cluster.search(ASPIRIN, 3)
        several = cluster.batchsearch([ASPIRIN, "sleep"], 2)
        count = cluster.count()
    with Index.open(built_demo) as index:
        hits = index.search(ASPIRIN, 3)
    assert [(found["id"], found["score"]) for found in single] == [(hit.pmid, round(hit.score, 6)) for hit in hits]
    assert several[0] == single[:2] and len(several[1]) == 2 and count == 220
    refused = httpx.get(f"{shard}/search", params={"query": "select * from txtai"}, headers=KNOWN, timeout=60)
    assert refused.status_code == 400 and "not SQL" in refused.text
