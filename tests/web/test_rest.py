"""The REST API: its answers are those of the command line, its errors have one shape."""

import json
import re
import sys

import pytest

from search.cli import main as command_line
from search.config import Config

from .conftest import make_client

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"
BLOOD = "should I take my blood pressure pills at night?"


@pytest.fixture(scope="module")
def client(built_demo):
    """A client of a server that computes with full precision, as commands do for a single question."""
    with make_client(built_demo, precision="fp32") as made:
        yield made


@pytest.fixture
def printed(monkeypatch, capsys, tmp_path, built_demo):
    """What a command prints about the sample records."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yml").write_text("precision: fp32\n")

    def _printed(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments), "--index", str(built_demo)])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code
        return capsys.readouterr().out.encode()

    return _printed


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        ("search", {"question": ASPIRIN}, ["query", ASPIRIN]),
        (
            "search",
            {"question": ASPIRIN, "limit": 4, "mode": "hybrid", "evidence": 2, "explain": True, "fold": False},
            ["query", ASPIRIN, "-n", 4, "--mode", "hybrid", "--evidence", 2, "--explain", "--no-dedupe"],
        ),
        (
            "search",
            {
                "question": f"{BLOOD} NOT review[pt]",
                "filters": {"date_from": "2005-01-01", "mesh": ["Hypertension"], "not_retracted": True},
            },
            ["query", f"{BLOOD} NOT review[pt]", "--date", "2005:", "--mesh", "Hypertension", "--no-retracted"],
        ),
        ("similar", {"pmids": [990000073], "unlike": [990000074]}, ["similar", 990000073, "--not", 990000074]),
        ("facets", {"question": BLOOD, "depth": 50}, ["facets", BLOOD, "--depth", 50]),
        ("export", {"pmids": [990000067, 990000010], "format": "ris"}, ["export", 990000067, 990000010]),
        (
            "facets",
            {"question": "asprin", "mode": "lexical", "exact": True},
            ["facets", "asprin", "--mode", "lexical", "--exact"],
        ),
        (
            "ask",
            {"question": "asprin", "mode": "lexical", "exact": True},
            ["ask", "asprin", "--mode", "lexical", "--exact"],
        ),
        (
            "export",
            {"question": "asprin", "mode": "lexical", "exact": True, "format": "csv"},
            ["export", "--query", "asprin", "--mode", "lexical", "--exact"],
        ),
        ("export", {"question": ASPIRIN, "limit": 5, "format": "csv"}, ["export", "--query", ASPIRIN, "-n", 5]),
        (
            "export",
            {"question": ASPIRIN, "limit": 2, "format": "markdown", "evidence": 2},
            ["export", "--query", ASPIRIN, "-n", 2, "--evidence", 2],
        ),
    ],
)
def test_answers_are_those_of_the_command_line(client, printed, path, body, command):
    style = body.get("format", "json")
    assert_same(client.post(f"/api/{path}", json=body).content, printed(*command, "--format", style))


def assert_same(answer: bytes, expected: bytes) -> None:
    """Compare byte for byte but for decimal fractions: a server and a command may compute with different libraries."""
    fraction = rb"-?\d+\.\d+(?:e-?\d+)?"
    assert re.sub(fraction, b"", answer) == re.sub(fraction, b"", expected)
    numbers = [[float(number) for number in re.findall(fraction, text)] for text in (answer, expected)]
    assert numbers[0] == pytest.approx(numbers[1], abs=2e-6)


def test_article_status_saved_and_batch_are_those_of_the_command_line(client, printed, tmp_path):
    assert client.get("/api/articles/990000067").content == printed("show", 990000067, "--format", "json")
    assert client.get("/api/status").content == printed("status", "--format", "json")
    assert client.get("/api/saved").content == printed("saved", "--format", "json")
    (tmp_path / "questions").write_text(f"{ASPIRIN}\n{BLOOD}\n")
    body = {"questions": [ASPIRIN, BLOOD], "limit": 3}
    expected = printed("query", "--queries", "questions", "-n", 3, "--format", "json")
    assert_same(client.post("/api/batch", json=body).content, expected)


def test_a_question_in_the_address_is_answered_as_one_in_a_body(client):
    filters = {"year_from": 2010}
    body = {"question": ASPIRIN, "limit": 3, "mode": "hybrid", "evidence": 1, "filters": filters}
    address = {"q": ASPIRIN, "limit": 3, "mode": "hybrid", "evidence": 1, "filters": json.dumps(filters)}
    assert client.get("/api/search", params=address).content == client.post("/api/search", json=body).content


def test_pages_are_parts_of_the_whole(client):
    whole = client.post("/api/search", json={"question": ASPIRIN, "limit": 9, "evidence": 1}).json()
    part = client.post("/api/search", json={"question": ASPIRIN, "limit": 3, "offset": 6, "evidence": 1}).json()
    assert part == whole[6:] and [hit["rank"] for hit in part] == [7, 8, 9]
    rest = client.post("/api/similar", json={"pmids": [990000073], "limit": 2, "offset": 1}).json()
    assert [hit["rank"] for hit in rest] == [2, 3]


def test_a_question_of_filters_alone_has_no_evidence(client):
    (hit,) = client.post("/api/search", json={"question": "990000067[pmid]", "evidence": 2}).json()
    assert (hit["pmid"], hit["retracted"]) == (990000067, True) and "evidence" not in hit


def test_ask_gives_the_findings_of_the_index(client, built_demo):
    from search import Index

    with Index.open(built_demo, config=Config(precision="fp32")) as index:
        expected = index.ask(ASPIRIN, 4)
    given = client.post("/api/ask", json={"question": ASPIRIN, "limit": 4}).json()
    assert [[one["pmid"] for one in group] for group in given["groups"]] == [
        [one.pmid for one in group] for group in expected.groups
    ]
    assert given["groups"][0][0]["text"] == expected.groups[0][0].text
    assert client.post("/api/ask", json={"question": "qwer asdf zxcv"}).json()["groups"] == []


def test_facets_of_similar_articles(client):
    hits = client.post("/api/similar", json={"pmids": [990000073], "limit": 20}).json()
    counts = client.post("/api/facets", json={"pmids": [990000073], "depth": 20}).json()
    assert counts["articles"] == 20
    assert sum(counts["years"].values()) == sum(hit["year"] is not None for hit in hits)


def test_a_map_of_a_search_and_of_similar_articles(client, built_demo):
    from search import Index

    with Index.open(built_demo, config=Config(precision="fp32")) as index:
        hits = [hit for hit in index.search(ASPIRIN, 40, mode="hybrid") if hit.near_enough]
        expected = index.landscape(hits)
    found = client.post("/api/map", json={"question": ASPIRIN, "limit": 40, "mode": "hybrid"}).json()
    assert [(point["pmid"], point["x"]) for point in found["points"]] == [(p.pmid, p.x) for p in expected.points]
    assert [topic["label"] for topic in found["topics"]] == [topic.label for topic in expected.topics]
    like = client.post("/api/map", json={"pmids": [990000073], "limit": 5}).json()
    assert len(like["points"]) == 5 and like["topics"][0]["articles"] == 5


def test_what_the_server_tells_of_itself(client):
    found = client.get("/api/about").json()
    assert (found["write"], found["token"], found["mode"], found["limits"]["results"]) == (
        True,
        False,
        "semantic",
        1000,
    )


def test_exports_are_files(client):
    answer = client.post("/api/export", json={"pmids": [990000067], "format": "bibtex"})
    assert answer.headers["content-type"].startswith("application/x-bibtex")
    assert answer.headers["content-disposition"] == 'attachment; filename="pubmed.bib"'
    assert "RETRACTED" in answer.text


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("search", {}, 400, "question"),
        ("search", {"question": "  "}, 400, "the question is empty"),
        ("search", {"question": "x", "limt": 3}, 400, "no field 'limt': did you mean 'limit'?"),
        ("search", {"question": "x", "limit": 0}, 400, "limit: expected `int` >= 1"),
        ("search", {"question": "x", "limit": 1001}, 400, "this server gives the first 1,000"),
        ("search", {"question": "x", "limit": 10, "offset": 995}, 400, "this server gives the first 1,000"),
        ("search", {"question": "x", "filters": {"yaer_from": 3}}, 400, "did you mean 'year_from'"),
        ("search", {"question": "x", "filters": [3]}, 400, "filters"),
        ("search", {"question": "x", "filters": {"year_from": 2010, "year_to": 2000}}, 400, "runs backwards"),
        ("search", {"question": "statins 2015:soon[dp]"}, 400, "soon"),
        ("search", {"question": "x" * 10_001}, 400, "question: expected `str` of length <= 10000"),
        ("search", [], 400, "must be a JSON object"),
        ("similar", {"pmids": [1]}, 400, "PMID 1 is not in "),
        ("similar", {}, 400, "at least one PMID or text"),
        ("facets", {"question": "x", "pmids": [990000073]}, 400, "not both"),
        ("export", {"format": "ris"}, 400, "pmids or a question"),
        ("export", {"format": "ris", "pmids": [990000067, 7]}, 400, "PMID 7 is not in "),
        ("export", {"format": "word", "pmids": [990000067]}, 400, "format"),
        ("batch", {"questions": []}, 400, "questions"),
    ],
)
def test_what_cannot_be_answered_says_why(client, path, body, status, told):
    answer = client.post(f"/api/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["code"]) == (status, status, "bad_request")
    assert told in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "told"),
    [
        ("GET", "/api/articles/5", {}, 404, "PMID 5 is not in the index"),
        ("GET", "/api/articles/five", {}, 400, "pmid"),
        ("GET", "/api/saved/none", {}, 404, "no saved search 'none'"),
        ("GET", "/api/search", {"params": {"q": "x", "filters": "{"}}, 400, "filters: not valid JSON"),
        ("GET", "/api/search", {}, 400, "q: "),
        ("GET", "/api/nothing", {}, 404, ""),
        ("DELETE", "/api/search", {}, 405, ""),
        (
            "POST",
            "/api/search",
            {"content": "{", "headers": {"content-type": "application/json"}},
            400,
            "not valid JSON",
        ),
        ("POST", "/api/search", {"content": '{"question": "x"}'}, 415, "Content-Type: application/json"),
    ],
)
def test_errors_have_one_shape(client, method, path, options, status, told):
    answer = client.request(method, path, **options)
    assert answer.status_code == status
    names = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 415: "not_json"}
    assert answer.json()["error"]["code"] == names[status]
    assert set(answer.json()) == {"error"} and set(answer.json()["error"]) == {"status", "code", "message"}
    assert told in answer.json()["error"]["message"]


def test_deeply_nested_json_is_refused(client):
    text = '{"question": "x", "filters": ' + '{"expression": ' * 3000 + "1" + "}" * 3001
    answer = client.post("/api/search", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_what_goes_wrong_here_is_told_without_details(client, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(client.service, "search", broken)
    answer = client.post("/api/search", json={"question": "x"})
    assert answer.status_code == 500 and "secret" not in answer.text
    assert "ZeroDivisionError" in answer.json()["error"]["message"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_searches_are_kept_and_asked_again(demo):
    from search.web.access_tokens import new_token, token_hash

    token = new_token()
    with make_client(demo, write=True, tokens=[token_hash(token)]) as client:
        known = {"authorization": f"Bearer {token}"}
        body = {"question": ASPIRIN, "limit": 3, "filters": {"year_from": 2000}}
        hits = client.put("/api/saved/aspirin", json=body, headers=known).json()
        assert [hit["rank"] for hit in hits] == [1, 2, 3]
        (saved,) = client.get("/api/saved/aspirin").json()
        assert (saved["question"], saved["filters"]) == (ASPIRIN, {"year_from": 2000})
        assert client.post("/api/saved/aspirin/new", headers=known).json() == []
        assert len(client.get("/api/saved").json()[0]["runs"]) == 2
        told = client.get("/api/saved/aspirin/methods").text
        assert f"Question: {ASPIRIN}" in told and told.count("Run on") == 2
        assert client.post("/api/saved/none/new", headers=known).status_code == 404
        assert client.put("/api/saved/-bad", json=body, headers=known).status_code == 400


def test_a_saved_search_is_not_overwritten_and_renamed_and_deleted_on_purpose(demo):
    from search.web.access_tokens import new_token, token_hash

    token = new_token()
    with make_client(demo, write=True, tokens=[token_hash(token)], origins=["https://clinic.example"]) as client:
        known = {"authorization": f"Bearer {token}"}

        def names():
            return [(saved["name"], saved["question"]) for saved in client.get("/api/saved").json()]

        for name in ("aspirin", "other"):
            body = {"question": ASPIRIN, "limit": 1}
            assert client.put(f"/api/saved/{name}", json=body, headers=known).status_code == 200
        refused = client.put("/api/saved/aspirin", json={"question": "stroke", "limit": 1}, headers=known)
        assert (
            refused.status_code == 400 and "another search is saved as 'aspirin'" in refused.json()["error"]["message"]
        )
        client.put("/api/saved/other", json={"question": "stroke", "limit": 1, "replace": True}, headers=known)
        assert names() == [("aspirin", ASPIRIN), ("other", "stroke")]
        (renamed,) = client.patch("/api/saved/aspirin", json={"name": "colon"}, headers=known).json()
        assert (renamed["name"], len(renamed["runs"])) == ("colon", 1)
        for name, new, status in (("colon", "other", 400), ("colon", "-bad", 400), ("aspirin", "new", 404)):
            answer = client.patch(f"/api/saved/{name}", json={"name": new}, headers=known)
            assert answer.status_code == status, answer.text
        assert names() == [("colon", ASPIRIN), ("other", "stroke")]
        for method, options in (("PATCH", {"json": {"name": "x"}}), ("DELETE", {})):
            assert client.request(method, "/api/saved/other", **options).status_code == 401
            asked = {"origin": "https://clinic.example", "access-control-request-method": method}
            assert method in client.options("/api/saved/other", headers=asked).headers["access-control-allow-methods"]
        assert [saved["name"] for saved in client.delete("/api/saved/colon", headers=known).json()] == ["other"]
        assert client.delete("/api/saved/colon", headers=known).status_code == 404


def test_a_strategy_by_itself_and_as_a_filter(client):
    strategy = "1. blood[tiab]\n2. #1 AND pressure[tiab]"
    found = client.post("/api/strategy", json={"strategy": strategy, "limit": 3}).json()
    assert (found["translation"], [line["number"] for line in found["lines"]]) == (
        '#1 AND "pressure"[Title/Abstract]',
        [1, 2],
    )
    assert found["count"] == found["lines"][1]["count"] > 3 == len(found["pmids"])
    body = {"question": "salt", "limit": 50, "fold": False, "filters": {"strategy": strategy}}
    assert len(client.post("/api/search", json=body).json()) == found["count"]
    newest = client.post("/api/search", json=body | {"question": ""}).json()
    years = [hit["year"] for hit in newest]
    assert (len(newest), years) == (found["count"], sorted(years, reverse=True))
    counted = client.post("/api/facets", json={"question": "", "filters": {"strategy": strategy}}).json()
    assert counted["articles"] == found["count"]
    refused = client.post("/api/strategy", json={"strategy": "blood[xx]"})
    assert (refused.status_code, "no field [xx]" in refused.text) == (400, True)


def test_what_is_typed_is_completed(client):
    answer = client.get("/api/suggest", params={"field": "type", "prefix": "randomized c", "limit": 1})
    assert answer.json() == [{"value": "Randomized Controlled Trial", "articles": 111, "entry_term": None}]
    assert client.get("/api/suggest", params={"field": "types", "prefix": "r"}).status_code == 400


def test_kinds_are_counted_without_their_own_filter(client):
    filters = {"publication_types": ["Meta-Analysis"], "year_from": 2014}
    counted = client.post("/api/facets", json={"question": ASPIRIN, "filters": filters, "alternatives": True}).json()
    of = {
        left: client.post("/api/facets", json={"question": ASPIRIN, "filters": {left: filters[left]}}).json()
        for left in filters
    }
    both = client.post("/api/facets", json={"question": ASPIRIN, "filters": filters}).json()
    assert counted["publication_types"] == of["year_from"]["publication_types"] != both["publication_types"]
    assert counted["years"] == of["publication_types"]["years"] != both["years"]
    assert (counted["articles"], counted["mesh"]) == (both["articles"], both["mesh"])


def test_citations_are_exported_in_a_style(client, printed):
    body = {"pmids": [990000067], "format": "citation", "style": "apa"}
    expected = printed("export", 990000067, "--format", "citation", "--style", "apa")
    assert client.post("/api/export", json=body).content == expected


def test_the_table_is_that_of_the_command_line(client, printed):
    expected = printed("table", ASPIRIN, "-n", 4, "--format", "json")
    assert client.post("/api/table", json={"question": ASPIRIN, "limit": 4}).content == expected
    assert (
        client.post("/api/table", json={"question": ASPIRIN, "limit": 1, "offset": 3}).json()
        == json.loads(expected)[3:]
    )
    answer = client.post("/api/table", json={"question": ASPIRIN, "limit": 4, "format": "csv"})
    assert answer.content == printed("table", ASPIRIN, "-n", 4, "--format", "csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="studies.csv"'
    by_date = client.post("/api/table", json={"question": ASPIRIN, "limit": 10, "sort": "date"}).json()
    years = [row["year"] for row in by_date]
    assert years == sorted(years, reverse=True) and len(set(years)) > 2


def test_examples_are_titles_of_the_index(client):
    examples = client.get("/api/examples").json()
    assert len(examples) == 4 and examples[0].endswith("?")
    for text in examples:
        (first,) = client.post("/api/search", json={"question": text, "limit": 1}).json()
        assert first["title"] == text


def test_an_article_has_an_address(client):
    answer = client.get("/article/990000067")
    assert answer.status_code == 200 and "article.js" in answer.text
