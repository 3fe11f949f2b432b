"""Whatever is in a record, a name or a question, nothing that a terminal obeys is printed."""

import json
import sys

import pytest
from helpers import WordEncoder

from search import api
from search.article import (
    AbstractSection,
    Article,
    Author,
    Journal,
    Keyword,
    MeshHeading,
    MeshQualifier,
    PartialDate,
    PublicationType,
    to_json,
)
from search.cli import main as command_line

#: Clear the screen, set the title, a C1 sequence, a bell, backspaces, text that is shown in another order, and such as
#: is not shown.
EVIL = "evil\x1b[2J\x1b]0;owned\x07\x9b31m\x85\x08\x7f\u202edetrevni\u2066x\u200f\u061c\u2028\ufeff\ufff9\U000e0041"
OBEYED = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A))}
OBEYED |= {chr(code) for code in (0x61C, 0x200E, 0x200F, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB, *range(0xE0000, 0xE0080))}
OBEYED -= {"\n", "\t", "\r"}

RECORD = Article(
    pmid=1,
    title=EVIL,
    vernacular_title=EVIL,
    abstract=(AbstractSection(f"Abstract {EVIL}.", EVIL, EVIL),),
    journal=Journal(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL),
    authors=(Author(EVIL, EVIL, EVIL, affiliations=(EVIL,)), Author(collective_name=EVIL)),
    mesh_headings=(MeshHeading(EVIL, EVIL, True, (MeshQualifier(EVIL, EVIL),)),),
    keywords=(Keyword(EVIL),),
    publication_types=(PublicationType(EVIL, EVIL),),
    languages=(EVIL,),
    volume=EVIL,
    issue=EVIL,
    pages=EVIL,
    publication_date=PartialDate(2001, season=EVIL, medline_date=EVIL),
    doi=f"10.1/{EVIL}",
    pmcid=EVIL,
    coi_statement=EVIL,
    copyright=EVIL,
)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder and return all it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: WordEncoder())

    def _run(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
        with pytest.raises(SystemExit):
            command_line.main()
        captured = capsys.readouterr()
        assert captured.out + captured.err
        return captured.out + captured.err

    return _run


@pytest.fixture
def index(run, tmp_path):
    (tmp_path / "evil.jsonl").write_bytes(to_json(RECORD))
    assert "1 added" in run("add", "evil.jsonl", "--index", "index", "--model", "words")
    return "index"


COMMANDS = [
    ("query", EVIL),
    ("query", EVIL, "--explain", "--evidence", "1"),
    ("query", EVIL, "--mode", "hybrid", "--format", "json", "--explain"),
    ("query", EVIL, "--format", "jsonl"),
    ("query", EVIL, "--format", "csv"),
    ("query", f'{EVIL} "x"[{EVIL}]'),
    ("query", "x", "--save", EVIL),
    ("query", "x", "--journal", EVIL),
    ("query", "x", "--language", EVIL),
    ("query", "x", "--date", EVIL),
    ("query", "x", "--pmids", EVIL),
    ("query", "--queries", EVIL),
    ("similar", "1"),
    ("similar", EVIL),
    ("show", "1"),
    ("show", "1", "--format", "json"),
    ("facets", EVIL),
    ("facets", EVIL, "--format", "json"),
    ("saved", EVIL),
    ("new", EVIL),
    ("status",),
    ("status", "--format", "json"),
    ("add", EVIL),
    ("delete", EVIL),
    ("sync", "--from", EVIL),
    ("verify", "--config", EVIL),
    *(("export", "--all", "--format", style) for style in ("ris", "bibtex", "nbib", "csv", "jsonl", "markdown")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command).encode("ascii", "replace").decode())
def test_no_output_steers_a_terminal(run, index, command):
    printed = run(*command, "--index", index)
    assert not OBEYED & set(printed), ascii(printed)


def test_no_name_of_a_folder_command_or_option_steers_a_terminal(run):
    for command in ((EVIL,), ("query", f"--{EVIL}"), ("query", "x", "--index", EVIL), ("status", "--format", EVIL)):
        printed = run(*command)
        assert not OBEYED & set(printed), ascii(printed)


def test_a_broken_config_does_not_steer_a_terminal(run, tmp_path):
    for content in (json.dumps({EVIL: 1}), json.dumps({"mode": EVIL}), f"index: [{EVIL}"):
        (tmp_path / "config.yml").write_text(content)
        printed = run("status")
        assert not OBEYED & set(printed), ascii(printed)


def test_records_that_are_rejected_do_not_steer_a_terminal(run, index, tmp_path):
    (tmp_path / "bad.jsonl").write_text(json.dumps({"pmid": EVIL, "title": "x"}) + "\n" + '{"pmid": 2, "title": "\x1b')
    (tmp_path / "bad.xml").write_text(f"<{EVIL}>")
    (tmp_path / "bad.nbib").write_text(f"PMID- {EVIL}\nTI  - {EVIL}\n")
    for name in ("bad.jsonl", "bad.xml", "bad.nbib"):
        printed = run("add", name, "--index", index)
        assert not OBEYED & set(printed), ascii(printed)
