"""`search strategy`, and `--strategy` of other commands."""

import json

import pytest

STRATEGY = "1. aspirin[tiab]\n2. neoplasms[mh] OR cancer[tiab]\n3. #1 AND #2\n"


@pytest.fixture
def strategy_file(tmp_path):
    path = tmp_path / "strategy.txt"
    path.write_text(STRATEGY)
    return path


def test_a_table_of_lines_and_all_of_it_as_json(run, built_demo, strategy_file):
    code, out, err = run("strategy", f"@{strategy_file}", "--index", built_demo, "--format", "json")
    found = json.loads(out)
    assert (code, err, found["count"]) == (0, "", len(found["pmids"]))
    assert [line["number"] for line in found["lines"]] == [1, 2, 3]
    assert 0 < found["lines"][2]["count"] <= min(line["count"] for line in found["lines"][:2])
    code, out, _ = run("strategy", strategy_file, "--index", built_demo)
    assert code == 0
    for line in found["lines"]:
        assert any(
            f"#{line['number']}" in row and row.rstrip().endswith(f"{line['count']:,}") for row in out.splitlines()
        )
    code, out, _ = run("strategy", f"@{strategy_file}", "--index", built_demo, "--format", "pmids")
    assert [int(pmid) for pmid in out.split()] == found["pmids"]


def test_the_report_says_how_the_list_was_made(run, built_demo, strategy_file):
    _, out, _ = run("strategy", f"@{strategy_file}", "--index", built_demo, "--format", "report")
    assert "#3  #1 AND #2  [" in out
    assert "Records identified: " in out
    assert "articles, change" in out


def test_query_and_export_take_a_strategy(run, built_demo, strategy_file):
    pmids = json.loads(run("strategy", f"@{strategy_file}", "--index", built_demo, "--format", "json")[1])["pmids"]
    arguments = ("--strategy", f"@{strategy_file}", "--index", built_demo)
    hits = json.loads(run("query", "stroke", *arguments, "-n", 200, "--no-dedupe", "--format", "json")[1])
    assert sorted(hit["pmid"] for hit in hits) == pmids
    newest = json.loads(run("query", *arguments, "-n", 200, "--no-dedupe", "--format", "json")[1])
    assert sorted(hit["pmid"] for hit in newest) == pmids
    code, out, err = run("export", *arguments, "--all", "--format", "jsonl")
    assert (code, err) == (0, f"{len(pmids)} article{'' if len(pmids) == 1 else 's'}\n")
    assert sorted(json.loads(line)["pmid"] for line in out.splitlines()) == pmids


def test_a_mistake_is_shown_with_a_caret(run, built_demo):
    code, out, err = run("strategy", "aspirin[tiab] AND cancer[xyz]", "--index", built_demo)
    assert (code, out) == (1, "")
    assert err.splitlines()[2].index("^") == err.splitlines()[1].index("[xyz]")
    code, _, err = run("query", "x", "--strategy", "@nowhere.txt", "--index", built_demo)
    assert code == 2
    assert "nowhere.txt: No such file" in err


def test_mesh_that_was_added_is_used(run, built_demo, tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    find = ("strategy", "high blood pressure[mh]", "--index", built_demo, "--format", "json")
    assert json.loads(run(*find)[1])["count"] == 0
    code, _, err = run("mesh", "show", "Hypertension", "--index", built_demo)
    assert (code, "search mesh update" in err) == (1, True)
    file = tmp_path / "d2025.bin"
    file.write_text("*NEWRECORD\nMH = Hypertension\nENTRY = High Blood Pressure|T047\nMN = C14.907.489\nUI = D006973\n")
    assert run("mesh", "add", file) == (0, "", "MeSH now has 1 headings and 0 supplementary concepts\n")
    found = json.loads(run(*find)[1])
    assert found["translation"] == '"Hypertension"[MeSH Terms]'
    assert found["count"] > 0
    _, out, _ = run("mesh", "show", "high blood pressure", "--index", built_demo)
    assert f"Hypertension (D006973)\nArticles: {found['count']} with it or a heading below it, {found['count']}" in out
    hits = json.loads(
        run("query", "salt", "--mesh", "high blood pressure", "--index", built_demo, "--format", "json")[1]
    )
    assert {hit["pmid"] for hit in hits} <= set(found["pmids"]) and hits
