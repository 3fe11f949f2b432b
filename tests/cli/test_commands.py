"""The command line: what goes to standard output, what to standard error, and with which exit code."""

import csv
import gzip
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from search.cli import main as command_line
from search.storage.folder.folder_manifest import read_manifest, write_manifest

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def record(pmid, title="Title", **fields):
    return {"pmid": pmid, "title": f"{title} {pmid}", "abstract": f"Abstract of {pmid}.", **fields}


# Asking --------------------------------------------------------------------------------------------------------------


def test_query_as_text_shows_what_a_reader_needs(run, built_demo):
    code, out, err = run("query", ASPIRIN, "--index", built_demo, "-n", 2)
    assert (code, err) == (0, "")
    for text in (
        "990000025",
        "score 0.",
        "Example J",
        "et al",
        "https://pubmed.ncbi.nlm.nih.gov/990000025/",
        "not a real study",
    ):
        assert text in out
    assert out.index("990000025") < out.index("990000026")


def test_a_question_on_something_else_says_so_in_place_of_a_list(run, built_demo):
    question = ["query", "best recipe for chocolate cake", "--index", str(built_demo), "-n", "2"]
    told = "nothing is near enough to the question; --min-score -1 lists the nearest anyway\n"
    assert run(*question) == (0, told, "")
    assert run(*question, "--min-score", "-1")[1].count("https://pubmed.ncbi.nlm.nih.gov/") == 2


def test_query_as_json_jsonl_and_csv_say_the_same(run, built_demo):
    hits = json.loads(run("query", ASPIRIN, "--index", built_demo, "-n", 3, "--format", "json")[1])
    rows = [
        json.loads(line)
        for line in run("query", ASPIRIN, "--index", built_demo, "-n", 3, "--format", "jsonl")[1].splitlines()
    ]
    table = list(
        csv.DictReader(io.StringIO(run("query", ASPIRIN, "--index", built_demo, "-n", 3, "--format", "csv")[1]))
    )
    assert hits == rows
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert hits[0]["pmid"] == 990000025 and hits[0]["sample"] is True and hits[0]["retracted"] is False
    assert [(int(row["pmid"]), float(row["score"])) for row in table] == [(hit["pmid"], hit["score"]) for hit in hits]


def test_csv_of_a_query_has_the_columns_of_an_export_and_excel_knows_its_file(run, built_demo):
    queried = run("query", ASPIRIN, "--index", built_demo, "-n", 2, "--format", "csv")[1].splitlines()
    exported = run("export", "--query", ASPIRIN, "--index", built_demo, "-n", 2, "--format", "csv")[1].splitlines()
    assert queried[0] == '"rank","score",' + exported[0]
    assert queried[1].startswith("1,0.") and queried[1].endswith("," + exported[1])
    for options, begins in (((), b"\xef\xbb\xbf"), (("--no-bom",), b'"pm')):
        run("export", 990000025, "--index", built_demo, "--format", "csv", "-o", "out.csv", *options)
        assert Path("out.csv").read_bytes()[:3] == begins
    assert run("export", 990000025, "--index", built_demo, "--format", "csv", "--bom")[1].startswith("\ufeff")
    run("export", 990000025, "--index", built_demo, "--format", "ris", "-o", "out.ris", "--bom")
    assert Path("out.ris").read_bytes().startswith(b"TY")


def test_citations_from_the_command_line(run, built_demo):
    out = run("export", 990000025, "--index", built_demo, "--format", "citation", "--style", "vancouver")[1]
    assert "Example J Gastroenterol. 2011" in out and out.count("\n") == 1


def test_show_prints_twenty_authors_unless_asked(run, demo):
    authors = [f"Name{number} A" for number in range(25)]
    Path("many.jsonl").write_text(json.dumps({"pmid": 1, "title": "Many hands", "authors": authors}))
    run("add", "many.jsonl", "--index", demo, "--no-encode")
    out = run("show", 1, "--index", demo)[1]
    assert "Name19 A, et al" in out and "Name20 A" not in out
    assert "Name24 A" in run("show", 1, "--index", demo, "--all-authors")[1]


def test_files_with_a_byte_order_mark(run, built_demo):
    Path("pmids.txt").write_bytes(b"\xef\xbb\xbf990000025\n")
    assert "990000025" in run("export", "--pmids", "pmids.txt", "--format", "csv", "--index", built_demo)[1]
    Path("questions.txt").write_bytes(b"\xef\xbb\xbfaspirin\nzebra\n")
    out = run("query", "--queries", "questions.txt", "--index", built_demo, "-n", 1, "--format", "json")[1]
    assert [answer["question"] for answer in json.loads(out)] == ["aspirin", "zebra"]


def test_several_questions_from_a_file(run, built_demo, tmp_path):
    (tmp_path / "questions.txt").write_text(f"{ASPIRIN}\n\nshould I take my blood pressure pills at night?\n")
    out = run("query", "--queries", "questions.txt", "--index", built_demo, "-n", 1, "--format", "json")[1]
    assert [(answer["question"], answer["hits"][0]["pmid"]) for answer in json.loads(out)] == [
        (ASPIRIN, 990000025),
        ("should I take my blood pressure pills at night?", 990000016),
    ]


def test_similar_and_show(run, built_demo):
    out = run("similar", 990000073, "--index", built_demo, "-n", 1, "--format", "json")[1]
    assert json.loads(out)[0]["pmid"] == 990000074
    code, out, _ = run("show", 990000067, "--index", built_demo)
    assert code == 0
    assert "[RETRACTED: PMID 990000068]" in out
    assert json.loads(run("show", 990000067, "--index", built_demo, "--format", "json")[1])["pmid"] == 990000067


@pytest.mark.parametrize("mode", ["semantic", "lexical", "hybrid"])
def test_modes(run, built_demo, mode):
    out = run("query", ASPIRIN, "--index", built_demo, "-n", 2, "--mode", mode, "--format", "json")[1]
    assert {hit["pmid"] for hit in json.loads(out)} & {990000025, 990000026}


def test_status(run, built_demo):
    out = run("status", "--index", built_demo, "--format", "json")[1]
    found = json.loads(out)
    assert (found["articles"], found["vectors"], found["stale"], found["unmerged"]) == (220, 220, 0, 0)
    assert "220" in run("status", "--index", built_demo)[1]


def test_control_characters_never_reach_the_terminal(run, demo):
    Path("evil.jsonl").write_text(lines(record(1, "\x1b[2J\x9b31mRed \u202e alert\x07", journal="J\x1b]0;x\x07")))
    run("add", "evil.jsonl", "--index", demo)
    query = ("query", "red alert", "-n", 1, "--min-score", -1)
    for arguments in (query, ("show", 1), (*query, "--format", "csv")):
        out = run(*arguments, "--index", demo)[1]
        assert "alert" in out
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(out)


def test_formulas_are_no_formulas_in_csv(run, demo):
    Path("evil.jsonl").write_text(lines(record(1, "=HYPERLINK(1)")))
    run("add", "evil.jsonl", "--index", demo)
    assert "'=HYPERLINK(1) 1" in run("query", "hyperlink", "-n", 1, "--index", demo, "--format", "csv")[1]


# Questions that cannot be answered -----------------------------------------------------------------------------------


def test_an_empty_question(run, built_demo):
    code, out, err = run("query", "  ", "--index", built_demo)
    assert (code, out) == (1, "")
    assert err.startswith("error: the question is empty")


def test_a_question_of_100000_characters(run, built_demo):
    code, out, _ = run("query", f"{ASPIRIN} " * 2000, "--index", built_demo, "-n", 1, "--format", "json")
    assert code == 0
    assert json.loads(out)[0]["pmid"] == 990000025


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("query",), 2, "give a question"),
        (("query", "x", "-n", "0"), 2, "0 is not in the range"),
        (("query", "x", "--format", "xml"), 2, "'xml' is not one of"),
        (("qurey", "aspirin"), 2, "did you mean 'query'?"),
        (("show", "abc"), 2, "not a valid PMID"),
        (("query", "x", "--index", "nowhere"), 1, "nowhere (from --index); `search add FILE` makes one"),
        (("query", "x", "--config", "none.yml"), 1, "none.yml: No such file"),
    ],
)
def test_wrong_usage_is_2_and_errors_are_1(run, arguments, code, message):
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_pmids_that_are_not_there(run, built_demo):
    for command in ("show", "similar"):
        code, _, err = run(command, 12345, "--index", built_demo)
        assert code == 1
        assert "PMID 12345 is not in" in err


def test_a_config_with_an_unknown_key(run):
    Path("config.yml").write_text("modell: builtin\n")
    code, _, err = run("query", "x")
    assert code == 1
    assert "config.yml: unknown key `modell`; the nearest known one is `model`" in err


# Adding --------------------------------------------------------------------------------------------------------------


def test_add_makes_an_index_tells_what_it_did_and_skips_what_it_read(run):
    Path("records.jsonl").write_text(lines(record(1), record(2), record(1, "Revised"), {"title": "none"}))
    code, out, err = run("add", "records.jsonl", "--index", "new")
    assert (code, out) == (0, "")
    assert "making a new index in new" in err
    assert "skipped records.jsonl line 4" in err
    assert "4 records read: 2 added, 1 rejected, 1 replaced" in err
    assert json.loads(run("show", 1, "--index", "new", "--format", "json")[1])["title"] == "Revised 1"
    err = run("add", "records.jsonl", "--index", "new")[2]
    assert "records.jsonl: read before, unchanged" in err
    err = run("add", "records.jsonl", "--index", "new", "--reread")[2]
    assert "0 encoded" in err or "1 encoded" in err


def test_add_takes_files_folders_and_standard_input(run, monkeypatch):
    Path("folder").mkdir()
    Path("folder/a.jsonl").write_text(lines(record(1)))
    Path("folder/b.jsonl.gz").write_bytes(gzip.compress(lines(record(2)).encode()))
    Path("c.jsonl").write_text(lines(record(3)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(record(4)).encode())))
    err = run("add", "folder", "c.jsonl", "-", "--index", "new")[2]
    assert "4 records read: 4 added" in err


def test_strict_stops_at_the_first_bad_record_and_keeps_what_came_before(run):
    Path("records.jsonl").write_text(lines(record(1), {"pmid": "x"}, record(3)))
    code, _, err = run("add", "records.jsonl", "--index", "new", "--strict")
    assert code == 1
    assert "error: records.jsonl line 2" in err
    assert run("show", 1, "--index", "new")[0] == 0
    assert run("show", 3, "--index", "new")[0] == 1


def test_a_file_that_breaks_off_is_told_and_the_next_is_read(run):
    whole = gzip.compress(lines(*[record(pmid) for pmid in range(1, 2000)]).encode())
    Path("cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    Path("next.jsonl").write_text(lines(record(9001)))
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    code, _, err = run("add", "cut.jsonl.gz", "picture.png", "next.jsonl", "--index", "new", "--no-encode")
    assert code == 1
    assert "error: cut.jsonl.gz" in err
    assert "error: picture.png" in err
    assert run("show", 1, "--index", "new")[0] == 0
    assert run("show", 9001, "--index", "new")[0] == 0
    assert "incomplete: cut.jsonl.gz" in run("status", "--index", "new")[1]


def test_deleted_articles_stay_deleted(run, demo):
    assert "1 article deleted\n1 not in the index" in run("delete", 990000025, 5, "--index", demo)[2]
    out = run("query", ASPIRIN, "--index", demo, "-n", 300, "--format", "json")[1]
    assert 990000025 not in {hit["pmid"] for hit in json.loads(out)} and "990000026" in out
    Path("back.jsonl").write_text(lines(record(990000025)))
    assert "1 deleted earlier" in run("add", "back.jsonl", "--index", demo)[2]
    assert "1 added" in run("add", "back.jsonl", "--index", demo, "--restore")[2]


def test_no_encode_then_encode(run):
    Path("records.jsonl").write_text(lines(record(1, "Zebra"), record(2)))
    run("add", "records.jsonl", "--index", "new", "--no-encode")
    assert (
        json.loads(run("query", "zebra", "--index", "new", "--mode", "lexical", "--format", "json")[1])[0]["pmid"] == 1
    )
    assert "2 articles encoded" in run("encode", "--index", "new")[2]
    assert json.loads(run("query", "zebra", "--index", "new", "--format", "json")[1])[0]["pmid"] == 1


def test_a_question_encodes_what_it_needs_and_keeps_it(run):
    Path("records.jsonl").write_text(lines(record(1, "Zebra"), record(2)))
    assert "0 encoded" in run("add", "records.jsonl", "--index", "new", "--no-encode")[2]
    assert "2 searchable, 0 encoded" in run("status", "--index", "new")[1]
    assert json.loads(run("query", "zebra", "--index", "new", "--format", "json")[1])[0]["pmid"] == 1
    assert "2 searchable, 2 encoded" in run("status", "--index", "new")[1]
    assert "0 articles encoded" in run("encode", "--index", "new")[2]


def test_a_model_that_is_not_there(run):
    Path("records.jsonl").write_text(lines(record(1)))
    code, _, err = run("add", "records.jsonl", "--index", "new", "--model", "no/such-model")
    assert code == 1
    assert "no/such-model" in err
    assert not Path("new").exists()


def test_an_index_made_with_another_model(run, demo, tmp_path):
    write_manifest(demo, msgspec.structs.replace(read_manifest(demo), fingerprint="0" * 32))
    code, _, err = run("query", "x", "--index", demo)
    assert code == 1
    assert "was made with builtin" in err


def test_a_folder_that_is_no_index(run):
    Path("folder").mkdir()
    Path("folder/notes.txt").write_text("mine")
    Path("records.jsonl").write_text(lines(record(1)))
    assert "is not an index" in run("query", "x", "--index", "folder")[2]
    code, _, err = run("add", "records.jsonl", "--index", "folder")
    assert code == 1
    assert "not empty" in err
    assert Path("folder/notes.txt").read_text() == "mine"


# The process ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_was_committed_and_the_same_command_resumes(tmp_path):
    (tmp_path / "records.jsonl").write_text(lines(*[record(pmid, "word " * 30) for pmid in range(1, 1500)]))
    command = [sys.executable, "-m", "search", "add", "records.jsonl", "--index", "new"]
    # What runs the tests may ignore Ctrl-C, and a child would inherit that.
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    database = tmp_path / "new" / "articles.db-wal"
    begun = time.monotonic()
    while time.monotonic() - begun < 60 and not (database.exists() and database.stat().st_size > 500_000):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; what was committed is kept" in err
    assert "Traceback" not in err

    from search import Index

    with Index.open(tmp_path / "new") as index:
        before = index.status()
        assert before.articles > 0 and before.vectors < 1499
        report = index.add(tmp_path / "records.jsonl")
        assert report.counts["added"] == 1499 - before.articles
        assert report.encoded == 1499 - before.vectors


def test_help_and_query_import_nothing_heavy(built_demo, tmp_path):
    script = (
        "import sys\nfrom search.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'txtai', 'pandas', 'sqlite_utils'}\n"
        "light = {'numpy', 'faiss', 'openvino', 'rich', 'lxml'}\n"
        "wrong = heavy if 'query' in sys.argv else heavy | light\n"
        "print(sorted(wrong & set(sys.modules)), file=sys.stderr)"
    )
    for arguments in (["--help"], ["query", ASPIRIN, "--index", str(built_demo)]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == "[]"


def test_a_closed_pipe_is_no_error(built_demo, tmp_path):
    command = f"{shutil.which('env')} {sys.executable} -m search query x --index {built_demo} --format jsonl | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""


# Writing results elsewhere -------------------------------------------------------------------------------------------


def test_export_of_a_search_of_pmids_and_of_everything(run, built_demo):
    code, out, err = run("export", "--query", ASPIRIN, "-n", 2, "--format", "ris", "--index", built_demo)
    assert (code, err) == (0, "2 articles\n")
    assert out.count("TY  - JOUR") == 2 and "990000025" in out
    assert "990000067" in run("export", 990000067, "--format", "bibtex", "--index", built_demo)[1]
    Path("pmids.txt").write_text("990000025, 990000026\n990000067\n")
    assert run("export", "--pmids", "pmids.txt", "--format", "nbib", "--index", built_demo)[1].count("PMID- ") == 3
    assert run("export", "--all", "--format", "jsonl", "-o", "all.jsonl", "--index", built_demo)[0] == 0
    assert len(Path("all.jsonl").read_text().splitlines()) == 220


def test_what_was_exported_as_jsonl_is_added_unchanged(run, built_demo):
    run("export", "--all", "--format", "jsonl", "-o", "all.jsonl", "--index", built_demo)
    assert "220 unchanged" in run("add", "all.jsonl", "--index", built_demo)[2]


def test_export_that_cannot_be(run, built_demo):
    assert run("export", "--format", "ris", "--index", built_demo)[0] == 2
    assert run("export", 1, "--all", "--format", "ris", "--index", built_demo)[0] == 2
    assert "PMID 1 is not in" in run("export", 1, "--format", "ris", "--index", built_demo)[2]
    assert "no/where.ris" in run("export", 990000025, "--format", "ris", "-o", "no/where.ris", "--index", built_demo)[2]
    Path("bad.txt").write_text("12\n34 x9\n")
    assert (
        "bad.txt line 2: 'x9' is not a valid PMID"
        in run("export", "--pmids", "bad.txt", "--format", "ris", "--index", built_demo)[2]
    )


def test_export_for_txtai_has_the_same_scores(run, built_demo):
    import warnings

    assert run("export", "--all", "--format", "txtai", "-o", "for-txtai", "--index", built_demo)[0] == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai import Embeddings

        embeddings = Embeddings()
        embeddings.load("for-txtai")
        found = embeddings.search(f"select id, score, retracted from txtai where similar('{ASPIRIN}') limit 10")
        embeddings.close()
    hits = json.loads(run("query", ASPIRIN, "--index", built_demo, "--no-feedback", "--format", "json")[1])
    assert [int(row["id"]) for row in found] == [hit["pmid"] for hit in hits]
    assert [row["score"] for row in found] == pytest.approx([hit["score"] for hit in hits], abs=1e-3)


def test_pairs_of_all_articles_or_of_a_sample(run, built_demo):
    _, _, err = run("train", "pairs", "--sample", "all", "-o", "all.jsonl", "--index", built_demo)
    assert "220 articles read, 220 sampled" in err
    assert "220 sampled" in run("train", "pairs", "-o", "default.jsonl", "--index", built_demo)[2]
    assert "10 sampled" in run("train", "pairs", "--sample", 10, "-o", "ten.jsonl", "--index", built_demo)[2]
    for wrong in ("0", "many", "-3", ""):
        code, _, err = run("train", "pairs", "--sample", wrong, "-o", "x.jsonl", "--index", built_demo)
        assert code == 2 and "is not a number of articles; give one, or `all`" in err


def test_what_txtai_has_is_for_its_format_only(run, built_demo):
    code, _, err = run("export", "--all", "--format", "ris", "--hybrid", "--index", built_demo)
    assert code == 2 and "--hybrid and --graph go with --format txtai" in err


def test_saved_searches_tell_what_is_new(run, demo):
    run("query", "zebra stripes", "--save", "zebras", "--index", demo, "-n", 3)
    assert run("new", "zebras", "--index", demo, "--format", "json")[1] == "[]\n"
    Path("new.jsonl").write_text(lines(record(1, "Zebra stripes"), record(2, "Another thing")))
    run("add", "new.jsonl", "--index", demo)
    found = json.loads(run("new", "zebras", "--index", demo, "--format", "json")[1])
    assert [hit["pmid"] for hit in found] == [1, 2]
    out = run("saved", "zebras", "--index", demo)[1]
    assert "Question: zebra stripes" in out and "222 articles in the index" in out and out.count("Run on") == 3
    assert run("saved", "--index", demo)[1].startswith("zebras: zebra stripes")
    assert "no saved search 'x'; there are: zebras" in run("new", "x", "--index", demo)[2]
    assert "is not a valid name" in run("query", "x", "--save", "../evil", "--index", demo)[2]


def test_facets_explain_and_evidence(run, built_demo):
    counted = ("facets", "high blood pressure", "--index", built_demo, "--format", "json", "--depth")
    found = json.loads(run(*counted, 10)[1])
    assert found["articles"] == 10 and sum(found["years"].values()) == 10
    # What is probably not about the question is not counted.
    asked = ("query", "high blood pressure", "--index", built_demo, "--format", "json", "-n", 220, "--no-dedupe")
    near = [hit for hit in json.loads(run(*asked)[1]) if hit.get("near_enough", True)]
    assert json.loads(run(*counted, 220)[1])["articles"] == len(near) < 220
    arguments = ("query", ASPIRIN, "-n", 1, "--mode", "hybrid", "--explain", "--evidence", 1, "--index", built_demo)
    hit = json.loads(run(*arguments, "--format", "json")[1])[0]
    assert "aspirin" in hit["explain"]["matched_words"] and hit["explain"]["semantic_rank"] == 1
    assert hit["evidence"][0]["text"] in hit["abstract"]
    assert hit["evidence"][0]["text"] in run(*arguments)[1].replace("\n", " ") or "“" in run(*arguments)[1]


@pytest.mark.parametrize(
    ("command", "nothing"),
    [
        (("query", "asprin", "--format", "json"), "[]"),
        (("table", "asprin", "--format", "json"), "[]"),
        (("facets", "asprin", "--format", "json"), '"articles": 0'),
        (("export", "--query", "asprin", "--format", "jsonl"), ""),
        (("ask", "asprin", "--format", "json"), '"groups": []'),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_words_are_searched_as_typed(run, built_demo, command, nothing):
    both = [run(*command, "--mode", "lexical", "--index", built_demo, *exact)[1] for exact in ((), ("--exact",))]
    assert nothing in both[1] and len(both[1]) < len(both[0])


def test_a_count_stands_above_the_results(run, built_demo):
    asked = ("query", "aspirin and bowel cancer", "-n", 1, "--index", built_demo)
    first = run(*asked)[1].splitlines()[0]
    assert re.fullmatch(r"at least [1-9]\d* of 220 articles near enough to the question", first), first
    passing = json.loads(run("strategy", "aspirin[tiab]", "--index", built_demo, "--format", "json")[1])["count"]
    first = run(*asked, "--strategy", "aspirin[tiab]")[1].splitlines()[0]
    assert first.startswith(f"{passing} of 220 articles selected, at least ")
    assert run("query", "--strategy", "aspirin[tiab]", "-n", 1, "--index", built_demo)[1].startswith(
        f"{passing} of 220 articles selected\n"
    )


def test_filters_as_options(run, built_demo):
    def pmids(*options):
        out = run("query", "treatment", "-n", 300, "--no-dedupe", "--index", built_demo, "--format", "jsonl", *options)[
            1
        ]
        return {json.loads(line)["pmid"] for line in out.splitlines()}

    everything = pmids()
    assert len(everything) == 220
    assert everything - pmids("--no-retracted") == {990000067, 990000243}
    assert pmids("--date", "2015:") | pmids("--date", ":2014-12-31") == everything
    assert pmids("--language", "French") == pmids("--language", "fre") != set()
    assert pmids("--type", "randomized controlled trial", "--mesh", "Aspirin") < pmids("--mesh", "D001241")
    assert run("query", "x", "--date", "soon", "--index", built_demo)[0] == 2
    assert pmids("--date", "2015-03:") | pmids("--date", ":2015-02") == everything
    assert pmids("--date", "2015-02") == pmids("--date", "2015-02-01:2015-02-28")


@pytest.mark.parametrize(
    ("typed", "days"),
    [("today", 0), ("yesterday", 1), ("7 days", 7), ("2 weeks ago", 14), ("last month", 30), ("1 year", 365)],
)
def test_added_since_takes_a_day_as_people_say_it(typed, days):
    from datetime import datetime, timedelta, timezone

    from search.cli.filters import Day

    before = datetime.now(timezone.utc).date()
    day = Day().convert(typed, None, None)
    assert before - timedelta(days) <= day <= datetime.now(timezone.utc).date() - timedelta(days)


def test_a_day_that_is_none_is_refused_with_examples(run, built_demo):
    for typed in ("soon", "2026-02-30", "9999 years", "days"):
        code, _, err = run("query", "x", "--added-since", typed, "--index", built_demo)
        assert code == 2 and f"{typed!r} is not a day: 2026-01-31, yesterday, '7 days', 'last month'" in err


def test_verify_and_repair(run, demo):
    assert run("verify", "--index", demo)[::2] == (0, "no problems found\n")
    next(demo.glob("vectors-*.faiss")).write_bytes(b"damaged")
    code, out, _ = run("verify", "--index", demo)
    assert code == 1 and "`search repair` rebuilds it" in out
    assert run("query", "x", "--index", demo)[0] == 1
    assert run("repair", "--index", demo)[0] == 0
    assert run("verify", "--index", demo)[0] == 0
    assert run("query", "x", "--index", demo)[0] == 0


# Without a wrong turn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [50, 80, 200])
def test_hits_fit_the_screen_and_links_are_whole(built_demo, width):
    from rich.console import Console

    from search import Index
    from search.cli import blocks, screen

    with Index.open(built_demo) as index:
        hits = index.search(ASPIRIN, 12, evidence=2)
    out = io.StringIO()
    screen._CONSOLES.append(Console(file=out, width=width, highlight=False))
    try:
        blocks.print_hits(None, hits, headed=False, explain=False)
    finally:
        screen._CONSOLES.pop()
    printed = out.getvalue().splitlines()
    links = [line.strip() for line in printed if "https://" in line]
    assert links == [hit.article.url for hit in hits]
    assert max(len(line) for line in printed if "https://" not in line) <= min(width, 100)
    assert [line[:3].strip() for line in printed if line[:1].isdigit()] == [f"{hit.rank}." for hit in hits]


def test_a_question_needs_no_command(run, built_demo):
    expected = run("query", ASPIRIN, "-n", 2, "--json", "--index", built_demo)
    assert run(ASPIRIN, "-n", 2, "--json", "--index", built_demo) == expected
    assert expected[1] == run("query", ASPIRIN, "-n", 2, "--format", "json", "--index", built_demo)[1]
    assert run("aspirin", "for", "stroke", "--index", built_demo)[0] == 0


def test_help_groups_the_commands_and_every_example_is_one(run):
    import shlex

    import click

    from search.cli.help_examples import EXAMPLES

    out = run("--help")[1]
    assert [title for title in ("Find:", "Keep:", "Load:", "Maintain:", "Serve:", "Models:") if title not in out] == []
    context = click.Context(command_line.cli)
    assert "..." not in out.split("Find:")[1]
    names = []
    for name in command_line.cli.list_commands(context):
        names += [
            [name],
            *([name, part] for part in getattr(command_line.cli.get_command(context, name), "commands", ())),
        ]
    for words in names:
        help_text = run(*words, "--help")[1]
        assert help_text.count("\n    search ") == 2, words
        assert [line for line in help_text.splitlines() if len(line) > 80] == [], words
    assert sorted(EXAMPLES) == sorted(" ".join(words) for words in names)
    for examples in EXAMPLES.values():
        for example in examples:
            words = shlex.split(example)[1:]
            found, command, rest = command_line.cli.resolve_command(context, words)
            if isinstance(command, click.Group) and rest:
                found, command, rest = command.resolve_command(context, rest)
            if not {"abstract.txt", "pmids.txt", "@asthma.txt", "corpus.jsonl"} & set(words):
                command.make_context(found, list(rest))


def test_every_command_that_reports_has_json():
    import click

    context = click.Context(command_line.cli)
    silent = {"open", "completion", "serve", "mcp", "report", "train hybrid", "train mix"}
    without = set()
    for name in command_line.cli.list_commands(context):
        command = command_line.cli.get_command(context, name)
        parts = {f"{name} {part}": below for part, below in getattr(command, "commands", {name: command}).items()}
        for words, part in (parts if isinstance(command, click.Group) else {name: command}).items():
            if not any("--json" in parameter.opts for parameter in part.params):
                without.add(words)
    assert without == silent


def test_every_report_is_json_where_it_is_asked_for(run, demo):
    Path("records.jsonl").write_text(lines(record(1), record(2)))
    report = json.loads(run("add", "records.jsonl", "--index", demo, "--json")[1])
    assert (report["read"], report["counts"]["added"]) == (2, 2)
    assert json.loads(run("delete", 1, 7, "--index", demo, "--json")[1]) == {"deleted": 1, "not_in_the_index": 1}
    assert json.loads(run("encode", "--index", demo, "--json")[1])["encoded"] == 0
    assert json.loads(run("merge", "--index", demo, "--json")[1])["generation"] > 0
    assert json.loads(run("verify", "--index", demo, "--json")[1]) == {"problems": []}
    assert json.loads(run("config", "--index", "x", "--json")[1])["index"] == "x"
    assert json.loads(run("repair", "--index", demo, "--json")[1]) == {"problems": []}
    assert json.loads(run("copy", demo, "copied", "--json")[1]) == {"from": str(demo), "to": "copied", "articles": 221}
    written = run("export", 2, "--format", "ris", "-o", "two.ris", "--index", demo, "--json")[1]
    assert json.loads(written) == {"articles": 1, "format": "ris", "output": "two.ris"}
    assert run("export", 2, "--format", "ris", "--index", demo, "--json")[0] == 2
    assert [found["pmid"] for found in json.loads(run("show", 2, 990000025, "--index", demo, "--json")[1])] == [
        2,
        990000025,
    ]
    assert run("ask", ASPIRIN, "--index", demo, "--json") == run("ask", ASPIRIN, "--index", demo, "--format", "json")
    assert json.loads(run("table", ASPIRIN, "-n", 1, "--index", demo, "--json")[1])[0]["pmid"] == 990000025
    assert json.loads(run("saved", "--json", "--index", demo)[1]) == []
    assert json.loads(run("citations", "remove", "--index", demo, "--json")[1]) == {"removed": 0}
    assert set(json.loads(run("token", "--json")[1])) == {"token", "hash"}


def test_nothing_is_left_where_nothing_was_added(run):
    Path("empty").mkdir()
    for source in ("nothere.xml", "empty"):
        code, _, err = run("add", source, "--index", "new")
        assert code == 1 and source in err and not Path("new").exists()
    Path("bad.jsonl").write_text(lines({"title": "none"}))
    code, _, err = run("add", "bad.jsonl", "--index", "new")
    assert code == 1 and "1 rejected" in err and "nothing was added" in err and not Path("new").exists()
    Path("there").mkdir()
    run("add", "bad.jsonl", "--index", "there")
    assert list(Path("there").iterdir()) == []
    Path("good.jsonl").write_text(lines(record(1)))
    assert run("add", "bad.jsonl", "good.jsonl", "--index", "new")[0] == 0
    run("delete", 1, "--index", "new")
    # What was emptied on purpose stays, and so does what was there before.
    assert run("add", "bad.jsonl", "--index", "new", "--reread")[0] == 1
    assert json.loads(run("status", "--index", "new", "--format", "json")[1])["deleted"] == 1


def test_a_pipe_that_is_closed_early_is_no_error_of_an_export(built_demo, tmp_path):
    command = f"{sys.executable} -m search export --all --format jsonl --index {built_demo} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "" and json.loads(done.stdout)["pmid"] > 0


def test_the_lists_of_the_command_line_are_those_of_the_program():
    from search.cli.export import CITATION_STYLES, EXPORT_FORMATS
    from search.cli.find import MODES
    from search.formats.export import FORMATS
    from search.formats.styled_citation import STYLES
    from search.retrieval import request

    assert tuple(STYLES) == CITATION_STYLES
    assert MODES == request.MODES and EXPORT_FORMATS == tuple(FORMATS) == request.ExportFormat.__args__


def test_the_index_comes_from_the_option_the_environment_or_the_config(run, built_demo, monkeypatch):
    monkeypatch.setenv("SEARCH_INDEX", str(built_demo))
    assert json.loads(run("status", "--json")[1])["articles"] == 220
    assert "$SEARCH_INDEX" in run("config")[1]
    monkeypatch.delenv("SEARCH_INDEX")
    Path("config.yml").write_text("index: mine\n")
    code, _, err = run("status")
    assert code == 1 and str(Path("mine").absolute()) in err and str(Path("config.yml").absolute()) in err


def test_a_long_file_name_is_shortened_in_its_middle():
    from search.cli.progress import shortened

    assert shortened("records.jsonl", 24) == "records.jsonl"
    assert shortened("a-very-long-name-of-a-file-2026.xml.gz", 24) == "a-very-long-\u20262026.xml.gz"


def test_a_run_in_a_log_reports_now_and_then(capsys, monkeypatch):
    from search.cli import progress
    from search.ingest.pipeline import Progress

    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with progress.Meter() as meter:
        meter.update(Progress("file.xml", 10, 5, 0.25))
    assert "25%, 10 records read, 5 encoded" in capsys.readouterr().err


def test_what_is_not_about_the_question_is_not_quoted(run, built_demo):
    code, out, err = run("ask", "asdf qwer zxcv", "--index", built_demo)
    assert (code, out.strip(), err) == (0, "nothing near enough was found", "")


def test_operators_that_are_only_words_are_noted(run, built_demo):
    assert "AND, OR and NOT are plain words" in run("aspirin NOT cancer", "-n", 1, "--index", built_demo)[2]
    assert run("aspirin NOT review[pt]", "-n", 1, "--index", built_demo)[2] == ""
