"""Numbers that are no PMID, wherever one is given by hand."""

import sys

import pytest
from helpers import WordEncoder

from search import api
from search.cli import main as command_line
from search.errors import QueryError

NUMBERS = ["9" * 5000, "99999999999999999999", "9223372036854775808", "9007199254740992", "0", "²", "0x10", "1e3"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder and return its exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: WordEncoder())

    def _run(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *arguments, "--index", "index"])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        return stopped.value.code, capsys.readouterr().err

    (tmp_path / "one.jsonl").write_text('{"pmid": 1, "title": "one"}\n')
    assert _run("add", "one.jsonl", "--model", "words")[0] == 0
    return _run


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: ascii(number[:20]))
def test_a_number_that_is_no_pmid_is_told(run, tmp_path, number):
    (tmp_path / "pmids").write_text(f"1 {number}\n", "utf-8")
    for command in (
        ("delete", "1", number),
        ("show", number),
        ("similar", number),
        ("similar", "1", "--not", number),
        ("query", "one", "--pmids", "pmids"),
        ("query", "one", "--not-pmids", "pmids"),
        ("query", f"one {number}[pmid]"),
    ):
        code, said = run(*command)
        assert code in (1, 2), command
        assert "rror: " in said
    assert run("show", "1")[0] == 0


def test_a_file_of_pmids_that_is_no_text_is_told(run, tmp_path):
    (tmp_path / "pmids").write_bytes(b"1 \xff\xfe\0\n")
    code, said = run("query", "one", "--pmids", "pmids")
    assert (code, "pmids line 1: '\\ufffd" in ascii(said)) == (1, True), said


def test_what_is_no_pmid_is_not_remembered_as_deleted(run):
    with api.Index.open("index") as index:
        for number in (0, -1, 2**53, 2**63):
            with pytest.raises(QueryError, match="is not a valid PMID"):
                index.delete([1, number])
        assert (index.status().articles, index.status().deleted) == (1, 0)
