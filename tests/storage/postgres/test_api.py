"""The same API and the same commands, with the same answers, whether an index is a folder or in PostgreSQL."""

import json
import sys

import pytest
from conftest import SAMPLE
from postgres_server import new_address
from starlette.testclient import TestClient

from search import Filters, Index
from search.cli import main as command_line
from search.config import Config
from search.errors import ConfigError, IndexFolderError
from search.integrations.txtai import Ingest, Search, Similar
from search.retrieval.filters import MeshTerm
from search.storage.postgres.address import parse_address
from search.web.app import make_app
from search.web.service import Service

QUESTIONS = ["does aspirin lower the risk of bowel cancer?", "sleep and the heart", "asthma in children 2015:2023[dp]"]
FILTERS = [
    Filters(),
    Filters(year_from=2018, has_abstract=True),
    Filters(mesh=(MeshTerm("Aspirin"),), not_retracted=True),
    Filters(publication_types=("Randomized Controlled Trial",), languages=("English",)),
]


@pytest.fixture(scope="module")
def copied(built_demo, postgres_server):
    """The address of the demo index in PostgreSQL."""
    address = new_address(postgres_server)
    with Index.open(built_demo) as index:
        index.copy_to(address)
    return address


@pytest.fixture(scope="module")
def both(built_demo, copied):
    with Index.open(built_demo) as folder, Index.open(copied) as database:
        # One model for both.
        database._encoder = folder.encoder
        yield folder, database


def told(hits):
    """What of hits must be the same."""
    return [
        (hit.rank, hit.pmid, hit.semantic_rank, hit.lexical_rank, [other.pmid for other in hit.duplicates])
        for hit in hits
    ]


def scores(hits):
    return [value for hit in hits for value in (hit.score, hit.cosine or 0.0, hit.bm25 or 0.0)]


@pytest.mark.parametrize(
    ("mode", "filters"),
    [("semantic", FILTERS[0]), ("lexical", FILTERS[1]), *(("hybrid", filters) for filters in FILTERS)],
)
def test_searches_give_the_same(both, mode, filters):
    ours, theirs = (index.search(QUESTIONS, 20, mode=mode, filters=filters) for index in both)
    for one, other in zip(ours, theirs, strict=True):
        assert told(one) == told(other)
        assert scores(one) == pytest.approx(scores(other), abs=1e-3)
        assert [hit.article for hit in one] == [hit.article for hit in other]


def test_all_else_gives_the_same(both, built_demo, tmp_path):
    folder, database = both
    assert folder.facets(QUESTIONS[0], depth=50) == database.facets(QUESTIONS[0], depth=50)
    pmids = [hit.pmid for hit in folder.search(QUESTIONS[0], 3)]
    liked = [index.similar(pmids[:2], 10, unlike=pmids[2:], texts=["salt"]) for index in both]
    assert told(liked[0]) == told(liked[1])
    assert folder.get(pmids[0]) == database.get(pmids[0])
    assert database.get(1) is None
    assert list(folder.articles()) == list(database.articles())
    assert told(database.search("2015:2016[dp]", 5)) == told(folder.search("2015:2016[dp]", 5))
    ours, theirs = folder.status(), database.status()
    for name in ("articles", "vectors", "stale", "deleted", "model", "fingerprint", "dimension", "files"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert sum(ours.bytes.values()) == sum(path.stat().st_size for path in built_demo.rglob("*") if path.is_file())
    assert "vectors" in theirs.bytes and theirs.folder.startswith("postgresql://")
    assert folder.export_txtai(tmp_path / "a") == database.export_txtai(tmp_path / "b") == ours.articles


def test_a_saved_search_tells_what_is_new(demo, postgres_server):
    address = new_address(postgres_server)
    with Index.open(demo) as index:
        index.save_search("kept", QUESTIONS[0], 3)
        index.copy_to(address)
        encoder = index.encoder
    with Index.open(address) as index:
        index._encoder = encoder
        assert [saved.name for saved in index.saved_searches()] == ["kept"]
        assert index.new_results("kept") == []
        new = index.get(index.search(QUESTIONS[0], 1)[0].pmid)
        index.delete([new.pmid])
        index.add(new, restore=True)
        assert [hit.pmid for hit in index.new_results("kept")] == [new.pmid]
        assert len(index.saved_search("kept").runs) == 3


def test_adding_and_encoding_need_no_folder(postgres_server, built_demo):
    address = new_address(postgres_server)
    with Index.open(built_demo) as demo:
        some = [article for article, _ in zip(demo.articles(), range(20), strict=False)]
        manifest, model = demo.manifest, demo.encoder
    assert not Index.exists(address)
    with Index.create(address, config=Config(model=manifest.model)) as index:
        index._encoder = model
        assert index.add(some[:10], encode=False).counts == {"added": 10}
        assert index.status().stale == 10
        assert index.encode().encoded == 10
        assert index.add(some).counts == {"unchanged": 10, "added": 10}
        assert index.delete([some[0].pmid]) == 1
        index.merge()
    assert Index.exists(address)
    Index.repair(address)
    assert Index.verify(address) == []


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["search", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


def test_commands_take_the_address_of_a_database(built_demo, copied, monkeypatch, capsys, tmp_path):
    (tmp_path / "config.yml").write_text(f"index: {copied}\n")
    monkeypatch.chdir(tmp_path)
    ask = ("query", "aspirin and cancer", "-n", "5", "--format", "json", "--mode", "hybrid")
    code, out, _ = run(monkeypatch, capsys, *ask, "--index", str(built_demo))
    expected = [hit["pmid"] for hit in json.loads(out)]
    for more in (("--index", copied), ()):
        code, out, err = run(monkeypatch, capsys, *ask, *more)
        assert code == 0, err
        assert [hit["pmid"] for hit in json.loads(out)] == expected
    for words in (("status",), ("verify",), ("facets", "aspirin"), ("show", str(expected[0])), ("merge",), ("saved",)):
        code, out, err = run(monkeypatch, capsys, *words)
        assert code == 0, err
    code, out, err = run(monkeypatch, capsys, "copy", copied, str(tmp_path / "back"))
    assert code == 0 and "articles copied" in err
    # A copy that is complete is complete when it is begun again; another index is not written over.
    code, out, err = run(monkeypatch, capsys, "copy", copied, str(tmp_path / "back"))
    assert code == 0 and "articles copied" in err
    code, out, err = run(monkeypatch, capsys, "copy", copied, str(built_demo))
    assert code == 1 and "holds an index already" in err


def test_the_workflows_of_txtai_take_it_too(copied, both):
    search, similar = Search(index=copied), Similar(index=copied)
    (hits,) = search([QUESTIONS[0]])
    assert [hit["pmid"] for hit in hits] == [hit.pmid for hit in both[0].search(QUESTIONS[0])]
    assert len(similar([hits[0]["pmid"]])[0]) == 10
    search.close()
    similar.close()
    ingest = Ingest(index=copied.replace("schema=test", "schema=other"))
    assert ingest([str(SAMPLE / "sample-a.xml")])[0]["counts"]["added"] > 50
    ingest.close()


def test_without_the_driver_the_message_says_what_to_install(copied, monkeypatch):
    monkeypatch.setitem(sys.modules, "search.storage.postgres.postgres_index", None)
    with pytest.raises(ConfigError, match=r"extra .postgres. .*: pip install 'psycopg"):
        Index.open(copied)


def test_an_index_that_is_not_there_is_reported(postgres_server):
    with pytest.raises(IndexFolderError, match="there is no index; `search add FILE` makes one"):
        Index.open(new_address(postgres_server))


def test_the_page_and_the_rest_api_serve_it_too(built_demo, copied):
    answers = []
    for address in (built_demo, copied):
        service = Service(address, Config())
        with TestClient(make_app(service), base_url="http://localhost") as client:
            ask = {"question": QUESTIONS[0], "limit": 5, "mode": "hybrid", "filters": {"year_from": 2015}}
            found = client.post("/api/search", json=ask)
            assert found.status_code == 200, found.text
            answers.append(client.post("/api/search", json={**ask, "limit": 3}).json())
            answers.append(client.get("/api/articles/990000067").json())
            assert client.post("/api/similar", json={"pmids": [990000067], "limit": 3}).status_code == 200
            assert client.get("/api/status").json()["articles"] == service.index.status().articles
            assert "<form" in client.get("/").text
    hits = [[hit["pmid"] for hit in (found if isinstance(found, list) else found["hits"])] for found in answers[::2]]
    assert hits[0] == hits[1] and len(hits[0]) == 3
    assert answers[1] == answers[3]


def test_nothing_is_left_in_a_database_where_nothing_was_added(postgres_server, monkeypatch, capsys, tmp_path):
    import psycopg

    address = new_address(postgres_server)

    def add(text):
        (tmp_path / "some.jsonl").write_text(text)
        monkeypatch.setattr(
            sys, "argv", ["search", "add", str(tmp_path / "some.jsonl"), "--index", address, "--no-encode"]
        )
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        return stopped.value.code, capsys.readouterr().err

    code, err = add('{"title": "no PMID"}\n')
    assert code == 1 and "1 rejected" in err and "nothing was added" in err
    assert not Index.exists(address)
    schema = parse_address(address).schema
    with psycopg.connect(parse_address(address).conninfo) as connection:
        known = "SELECT count(*) FROM pg_namespace WHERE nspname = %s"
        assert connection.execute(known, [schema]).fetchone() == (0,)
        connection.execute(f'CREATE SCHEMA "{schema}"')
        connection.execute(f'CREATE TABLE "{schema}".mine (id int)')
    assert add('{"title": "no PMID"}\n')[0] == 1
    with psycopg.connect(parse_address(address).conninfo) as connection:
        left = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
        assert connection.execute(left, [schema]).fetchall() == [("mine",)]
    assert add('{"pmid": 1, "title": "one"}\n')[0] == 0
    with Index.open(address) as index:
        assert index.status().articles == 1
