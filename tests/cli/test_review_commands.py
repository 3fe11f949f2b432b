"""The commands about citations, references and living searches, as they are typed."""

import json
import sys

import pytest
from helpers import article

from search.api import Index
from search.article import Author, PartialDate, PublicationType

ARTICLES = [
    article(11111, "Aspirin for the prevention of stroke", authors=(Author("Smith", "J"),),
            publication_date=PartialDate(2010)),
    article(22222, "Zebras and their stripes", references=(11111, 33333, "10.1000/away")),
    article(33333, "Bad aspirin", publication_types=(PublicationType("Retracted Publication"),)),
]  # fmt: skip


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Index.create("index", model="builtin") as made:
        made.add(ARTICLES, encode=False)
    return "index"


def test_citations_are_added_and_followed(run, index, tmp_path):
    (tmp_path / "occ.csv").write_text("citing,referenced\n11111,33333\n5,11111\nx,1\n8,9\n")
    code, out, err = run("citations", "add", "occ.csv", "--index", index)
    assert code == 0 and "3 citations read: 2 added, 1 rejected" in err and "occ.csv line 4" in err
    assert "read before, unchanged" in run("citations", "add", "occ.csv", "--index", index)[2]
    found = json.loads(run("cited-by", "11111", "--index", index, "--json")[1])
    assert (found["count"], found["in_index"], found["others"]) == (2, 1, [5])
    assert [item["pmid"] for item in found["articles"]] == [22222]
    out = run("references", "22222", "--index", index)[1]
    assert "PMID 22222 cites 3 works, 2 of them in the index" in out and "Not in the index: 10.1000/away" in out
    assert "RETRACTED" in out
    found = json.loads(run("snowball", "11111", "--index", index, "--json")[1])
    assert {item["pmid"] for item in found["articles"]} == {22222, 33333}
    assert found["others"] == [{"work": 5, "links": 1}]
    assert run("snowball", "11111", "mine", "--index", index)[0] == 2
    assert json.loads(run("status", "--index", index, "--json")[1])["citations"] == 5
    assert "2 citations removed" in run("citations", "remove", "--index", index)[2]


def test_a_check_has_an_exit_code_of_its_own(run, index, tmp_path):
    (tmp_path / "good.txt").write_text("11111\n")
    (tmp_path / "bad.txt").write_text("11111\n33333\n22222\n")
    assert run("check", "good.txt", "--index", index)[0] == 0
    code, out, err = run("check", "bad.txt", "--index", index)
    assert code == 3 and "RETRACTED" in out and "CITES RETRACTED WORK" in out
    assert "3 references: 1 retracted, 1 cites retracted work" in err
    report = json.loads(run("check", "bad.txt", "--index", index, "--json")[1])
    assert [len(entry["findings"]) for entry in report["checked"]] == [0, 1, 1]
    assert run("check", "none.txt", "--index", index)[0] == 1


def test_duplicates_are_left_out_of_what_is_written(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = "TY  - JOUR\nTI  - Aspirin for the prevention of stroke\nAU  - Smith, J\nPY  - 2010\nER  - \n"
    (tmp_path / "a.ris").write_text(one)
    (tmp_path / "b.ris").write_text(one.replace("Aspirin", "ASPIRIN") + one.replace("Aspirin", "Statins"))
    code, out, err = run("dedupe", "a.ris", "b.ris", "-o", "kept.ris")
    assert code == 0
    assert out.startswith("b.ris line 1 is a.ris line 1: same title, year and first author")
    assert "records identified 3, duplicates removed 1, records to screen 2" in err
    assert (tmp_path / "kept.ris").read_text().count("TY  - JOUR") == 2


def test_every_saved_search_is_run_and_a_command_is_told(run, index, tmp_path):
    for name, question in (("one", "aspirin"), ("two", "zebras")):
        assert run("query", question, "--mode", "lexical", "--save", name, "--index", index)[0] == 0
    code, out, err = run("new", "--all", "--index", index, "--json")
    assert code == 0 and [answer["hits"] for answer in json.loads(out)] == [[], []]
    with Index.open(index) as opened:
        opened.add([article(44444, "New aspirin for all")], encode=False)
    script = tmp_path / "hook.py"
    script.write_text(
        "import os, sys\n"
        "open('told', 'a').write(f\"{sys.argv[1]} {os.environ['SEARCH_NEW']} {sys.stdin.read().count(chr(10))}\\n\")\n"
    )
    code, out, err = run("new", "--all", "--exec", f"{sys.executable} {script} {{}}", "--index", index, "--json")
    assert code == 0, err
    assert [[hit["pmid"] for hit in answer["hits"]] for answer in json.loads(out)] == [[44444], []]
    assert (tmp_path / "told").read_text() == "one 1 1\n"
    out = run("saved", "one", "--diff", "1", "3", "--index", index)[1]
    assert "only in run 3: PMID 44444 New aspirin for all" in out and "articles: 3 | 4" in out
    assert run("saved", "one", "--diff", "1", "9", "--index", index)[0] == 1
    assert run("saved", "--diff", "1", "2", "--index", index)[0] == 2
    assert run("new", "--index", index)[0] == 2
    assert run("report", "one", "--index", index)[1].startswith("# Report of the search one\n")


def test_a_command_that_fails_is_an_error_and_the_others_run(run, index, tmp_path):
    for name, question in (("one", "aspirin"), ("two", "zebras")):
        run("query", question, "--mode", "lexical", "--save", name, "--index", index)
    with Index.open(index) as opened:
        opened.add([article(44444, "New aspirin"), article(55555, "New zebras")], encode=False)
    code, out, err = run("new", "--all", "--exec", "false", "--index", index, "--json")
    assert code == 1 and "error: one: --exec 'false' ended with exit code 1" in err and "error: two" in err
    assert [[hit["pmid"] for hit in answer["hits"]] for answer in json.loads(out)] == [[44444], [55555]]
