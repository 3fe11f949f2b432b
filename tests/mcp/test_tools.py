"""Language models search: asked with the SDK's own client, in this process, over stdio and over HTTP."""

import asyncio
import re
import subprocess
import sys
import threading

import httpx
import pytest
import yaml

pytest.importorskip("mcp", reason="the package mcp is not installed")

from mcp import Client, StdioServerParameters  # noqa: E402

from search import Index  # noqa: E402
from search.config import Config, ServeConfig  # noqa: E402
from search.mcp.tools import make_server  # noqa: E402
from search.presentation.citation import citation  # noqa: E402

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"


@pytest.fixture(scope="module")
def index(built_demo):
    with Index.open(built_demo) as opened:
        yield opened


def ask(server, *calls):
    """Call tools of a server; returns the list of tools and each answer."""

    async def run():
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            return tools, [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(run())


def test_the_tools_only_read(index):
    tools, _ = ask(make_server(index))
    names = {"search", "ask", "strategy", "similar", "get_article", "evidence", "cite", "facets", "mesh"} | {
        "cited_by",
        "references",
    }
    assert {tool.name for tool in tools} == names
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)
    assert all("self" not in tool.input_schema["properties"] for tool in tools)


def test_search_gives_what_the_index_finds_with_evidence_and_how_to_cite(index):
    arguments = {"question": ASPIRIN, "limit": 3, "mode": "hybrid", "filters": {"year_from": 2000}}
    _, (answer,) = ask(make_server(index), ("search", arguments))
    from search import Filters

    hits = index.search(ASPIRIN, 3, mode="hybrid", filters=Filters(year_from=2000), evidence=2)
    found = answer.structured_content["hits"]
    assert [(entry["pmid"], entry["score"]) for entry in found] == [(hit.pmid, round(hit.score, 4)) for hit in hits]
    assert [entry["evidence"] for entry in found] == [
        [f"{part.role.capitalize()}: {part.text}" for part in hit.evidence] for hit in hits
    ]
    assert found[0]["evidence"][0].startswith("Conclusions: ")
    assert [entry["cite"] for entry in found] == [citation(hit.article) for hit in hits]
    assert all("not a real study" in entry["warnings"] for entry in found)


def test_a_strategy_is_run_and_restricts_a_search(index):
    strategy = "blood[tiab] AND pressure[tiab]"
    calls = [("strategy", {"strategy": strategy, "limit": 2})]
    calls.append(("search", {"question": "salt", "limit": 20, "filters": {"strategy": strategy}}))
    calls.append(("strategy", {"strategy": "blood[xx]"}))
    _, (run, search, wrong) = ask(make_server(index), *calls)
    found = index.strategy(strategy)
    assert run.structured_content["count"] == found.count > 2
    assert run.structured_content["pmids"] == list(found.pmids[:2])
    assert {hit["pmid"] for hit in search.structured_content["hits"]} <= set(found.pmids)
    assert "no field [xx]" in wrong.content[0].text


def test_ask_gives_the_findings_of_the_index(index):
    _, (answer, far) = ask(
        make_server(index), ("ask", {"question": ASPIRIN, "limit": 5}), ("ask", {"question": "qwer asdf zxcv"})
    )
    found = index.ask(ASPIRIN, 5)
    given = answer.structured_content["groups"]
    assert [[one["text"] for one in group] for group in given] == [
        [one.text for one in group] for group in found.groups
    ]
    assert given and far.structured_content["groups"] == []


def test_similar_and_get_article(index):
    calls = [("similar", {"ids": [990000073], "limit": 1}), ("get_article", {"ids": "990000067"})]
    _, (similar, article) = ask(make_server(index), *calls)
    assert similar.structured_content["hits"][0]["pmid"] == 990000074
    (record,) = article.structured_content["articles"]
    assert record["retracted"] is True and record["warnings"][0] == "retracted"
    assert record["abstract"] and record["cite"].startswith("[RETRACTED; ")


def test_results_can_be_named_in_later_calls(index):
    async def run():
        async with Client(make_server(index)) as client:
            found = (await client.call_tool("search", {"question": ASPIRIN, "limit": 4})).structured_content
            name, pmids = found["results"], [hit["pmid"] for hit in found["hits"]]
            second = await client.call_tool("get_article", {"ids": f"{name}:2"})
            rest = await client.call_tool("get_article", {"ids": [f"{name}:2-4", str(pmids[1])]})
            quoted = await client.call_tool("evidence", {"question": ASPIRIN, "ids": [name], "sentences": 1})
            cited = await client.call_tool("cite", {"ids": name})
            beyond = await client.call_tool("cite", {"ids": f"{name}:9"})
            return pmids, [one.structured_content for one in (second, rest, quoted, cited)], beyond

    pmids, (second, rest, quoted, cited), beyond = asyncio.run(run())
    assert [article["pmid"] for article in second["articles"]] == [pmids[1]]
    assert [article["pmid"] for article in rest["articles"]] == pmids[1:]
    assert {article["pmid"] for article in quoted["articles"]} == set(pmids)
    assert list(map(int, cited["citations"])) == pmids
    assert "has the results 1 to 4" in beyond.content[0].text


def test_evidence_of_certain_articles_is_that_of_the_index(index):
    _, (answer,) = ask(
        make_server(index), ("evidence", {"question": ASPIRIN, "ids": "990000025, 990000007", "sentences": 3})
    )
    from search import Filters

    filters = Filters(pmids=frozenset((990000025, 990000007)))
    expected = index.search(ASPIRIN, 2, filters=filters, evidence=3)
    given = {one["pmid"]: one["sentences"] for one in answer.structured_content["articles"]}
    for hit in expected:
        shown = [(one["section"], one["text"], one["start"], one["end"]) for one in given[hit.pmid]]
        assert shown == [(part.section, part.text, part.start, part.end) for part in hit.evidence]
        assert all(hit.article.abstract_text[start:end] == text for _, text, start, end in shown)


def test_pages_and_a_budget_leave_nothing_out(index):
    whole = index.search(ASPIRIN, 12, evidence=2)
    arguments = {"question": ASPIRIN, "limit": 12}
    calls = [("search", {**arguments, "characters": 3000}), ("search", {**arguments, "characters": 500})]
    calls.append(("get_article", {"ids": [hit.pmid for hit in whole], "characters": 4000}))
    _, (cut, least, articles) = ask(make_server(index), *calls)
    shown = cut.structured_content["hits"]
    assert 1 < len(shown) < 12 and len(least.structured_content["hits"]) == 1
    offset = int(re.search(r"offset=(\d+)", cut.structured_content["next"])[1])
    _, (rest,) = ask(make_server(index), ("search", {"question": ASPIRIN, "offset": offset, "limit": 12 - offset}))
    both = [hit["pmid"] for hit in (*shown, *rest.structured_content["hits"])]
    assert both == [hit.pmid for hit in whole] and "next" not in rest.structured_content
    more = re.findall(r"\d+", articles.structured_content["next"])
    first = [article["pmid"] for article in articles.structured_content["articles"]]
    assert [*first, *map(int, more)] == [hit.pmid for hit in whole]


def test_what_is_empty_is_left_out(index):
    empty = {"limit": "", "offset": "", "mode": "", "characters": "", "filters": ""}
    half = {"limit": None, "mode": "null", "filters": {"year_from": "", "mesh": [], "journals": ""}}
    calls = [("search", {"question": ASPIRIN, **more}) for more in ({}, empty, half)]
    calls += [("similar", {"ids": "990000073", "unlike": "", "filters": {}}), ("similar", {"ids": ["990000073"]})]
    calls += [("search", {"question": ASPIRIN, "filters": '{"year_from": 2010}'})]
    _, (plain, *rest, like, same, filtered) = ask(make_server(index), *calls)
    pmids = [[hit["pmid"] for hit in one.structured_content["hits"]] for one in (plain, *rest, like, same)]
    assert pmids[0] == pmids[1] == pmids[2] and len(pmids[0]) == 10
    assert pmids[3] == pmids[4]
    assert all(hit["year"] >= 2010 for hit in filtered.structured_content["hits"])


def test_cite_writes_what_export_writes(index):
    from search.formats.export import render

    _, (ris,) = ask(make_server(index), ("cite", {"ids": ["990000025"], "format": "ris"}))
    assert ris.structured_content["text"] == render(index.get(990000025), "ris")


def test_facets_and_headings(index):
    calls = [("facets", {"question": ASPIRIN}), ("mesh", {"heading": "Hypertension"})]
    _, (facets, heading) = ask(make_server(index), *calls)
    expected = index.facets(ASPIRIN)
    assert facets.structured_content["articles"] == expected.articles
    assert facets.structured_content["designs"] == dict(list(expected.designs.items())[:15])
    assert len(facets.structured_content["mesh"]) == 15
    assert heading.structured_content["articles"] == index.strategy("Hypertension[mh]").count > 3


def test_a_question_is_searched_as_typed_where_a_model_says_so(index):
    asked = {"question": "asprin", "mode": "lexical"}
    calls = [("search", {**asked, "exact": True}), ("facets", {**asked, "exact": True}), ("search", asked)]
    _, (hits, counts, understood) = ask(make_server(index), *calls)
    assert (hits.structured_content["hits"], counts.structured_content["articles"]) == ([], 0)
    assert understood.structured_content["also_searched"] == ["aspirin (for asprin)"]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("get_article", {"ids": [5]}, "PMID 5 is not in this index; call `search`"),
        ("similar", {"ids": [5]}, "PMID 5 is not in the index"),
        ("search", {"question": "statins 2015:soon[dp]"}, "soon"),
        ("search", {"question": "x", "filters": {"yaer_from": 1}}, "year_from"),
        ("search", {"question": "x", "limit": 1000}, "limit must be 1 to 50, not 1,000. Mend this and call again"),
        ("search", {"question": "x", "limit": "many"}, "limit"),
        ("search", {"question": "x", "characters": 5}, "characters must be 500 to 200,000"),
        ("get_article", {"ids": "r000000:2"}, "r000000 is no longer kept: call `search` again, or name PMIDs"),
        ("get_article", {"ids": ["aspirin"]}, "'aspirin' is not a PMID, DOI, PMCID or result"),
        ("get_article", {"ids": "10.5555/none"}, "10.5555/none is not in this index"),
        ("get_article", {"ids": list(range(1, 400))}, "399 articles are too many for one call"),
        ("cite", {"ids": ""}, "name at least one article"),
        ("mesh", {"heading": "Hypertensoin"}, "the nearest are hypertension"),
    ],
)
def test_what_cannot_be_answered_says_why(index, tool, arguments, told):
    _, (answer,) = ask(make_server(index), (tool, arguments))
    assert answer.is_error and told in answer.content[0].text


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("cite", {}, "ids is missing: call again; cite takes ids, [format]"),
        ("mesh", {"term": "aspirin"}, "mesh has no argument term: call again; mesh takes heading"),
        (
            "facets",
            {"question": ASPIRIN, "mode": "fuzzy"},
            "mode: input should be 'semantic', 'lexical' or 'hybrid', not 'fuzzy': call again; "
            "facets takes question, [filters], [mode]",
        ),
        (
            "cited_by",
            {"pmid": "x", "limit": "ten"},
            "pmid: input should be a valid integer, unable to parse string as an integer, not 'x'; "
            "limit: input should be a valid integer, unable to parse string as an integer, not 'ten': call again; "
            "cited_by takes pmid, [limit]",
        ),
        ("find", {}, "there is no tool find: call one of search, ask, similar, get_article, evidence, cite"),
    ],
)
def test_a_wrong_call_says_how_to_call(index, tool, arguments, told):
    _, (answer,) = ask(make_server(index), (tool, arguments))
    assert answer.is_error and answer.content[0].text.startswith(told)


@pytest.mark.parametrize(
    ("settings", "told"), [({"seconds": 0.2}, "longer than 0.2 s"), ({"requests": 0}, "too many are asking")]
)
def test_the_limits_are_those_of_the_server(built_demo, monkeypatch, settings, told):
    go_on = threading.Event()
    with Index.open(built_demo, config=Config(serve=ServeConfig(**settings))) as index:
        monkeypatch.setattr(index.engine, "search", lambda *_, **__: go_on.wait(20))
        _, (answer,) = ask(make_server(index), ("search", {"question": ASPIRIN}))
        go_on.set()
    assert answer.is_error and told in answer.content[0].text


def test_over_stdio(built_demo, tmp_path):
    arguments = ["-m", "search", "mcp", "--index", str(built_demo)]
    server = StdioServerParameters(command=sys.executable, args=arguments, cwd=tmp_path, env=environment())
    _, (answer,) = ask(server, ("search", {"question": ASPIRIN, "limit": 1}))
    assert answer.structured_content["hits"][0]["pmid"] == 990000025


def environment():
    import os

    return dict(os.environ)


def test_over_http_with_a_token(built_demo, tmp_path):
    from search.web.access_tokens import new_token, token_hash

    token = new_token()
    (tmp_path / "config.yml").write_text(
        yaml.safe_dump({"serve": {"hosts": ["clinic.example"], "tokens": [token_hash(token)]}})
    )
    command = [sys.executable, "-m", "search", "mcp", "--http", "--port", "0", "--index", str(built_demo)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        line = process.stderr.readline()
        address = re.search(r"http://localhost:\d+/mcp", line)
        assert address, line + process.stderr.read()
        assert httpx.post(address[0], json={}, timeout=30).status_code == 401
        evil = {"host": "evil.example", "authorization": f"Bearer {token}"}
        assert httpx.post(address[0], json={}, headers=evil, timeout=30).status_code == 421
        assert asyncio.run(_ask_over_http(address[0], token)) == 990000025
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def _ask_over_http(address, token):
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        answer = await client.call_tool("search", {"question": ASPIRIN, "limit": 1})
        return answer.structured_content["hits"][0]["pmid"]
