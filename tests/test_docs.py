"""The documentation is true: its commands exist and run, its links lead somewhere, its names are the code's."""

import gzip
import importlib
import re
import runpy
import shlex
import shutil
import sys
from datetime import date
from pathlib import Path

import click
import pytest
from doc_outputs import PAIR, comparable, printed, shortened
from nlm_server import NlmServer

from search.cli import main as command_line

ROOT = Path(__file__).parents[1]
#: Pages that are written when the site is built (scripts/docs_site.py).
GENERATED = {"commands.md", "configuration.md"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "indexes" / "README.md", *sorted(ROOT.glob("docs/*.md"))]


def commands(page):
    """The `search` commands in the sh blocks of a page."""
    for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["search"]:
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_exists(page):
    for words in commands(page):
        command = command_line.cli
        while isinstance(command, click.Group):
            context = click.Context(command)
            name, command, words = command.resolve_command(context, list(words))
            assert command is not None, f"{page.name}: there is no `search {name}`"
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.split("=")[0] in known, f"{page.name}: `{command.name}` has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http") and target not in GENERATED:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_import_what_is_there(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(block, str(page), "exec")
        for module, names in re.findall(r"^from (search[\w.]*) import ([\w, ]+)$", block, re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {module}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_print_what_it_shows(built_demo, tmp_path, monkeypatch, page):
    pairs = PAIR.findall(page.read_text())
    assert pairs or page.name != "searching.md"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built_demo, "indexes/demo")
    Path("questions.txt").write_text(
        "does dancing help balance in Parkinson's disease?\ncan gene editing cure sickle cell disease?\n"
    )
    strategy = re.search(r"```text\n(.*?)```", (ROOT / "docs" / "strategies.md").read_text(), re.DOTALL)
    Path("hypertension.txt").write_text(strategy[1] if strategy else "")
    for typed, shown in pairs:
        text, scores = comparable(shortened(printed(typed), shown))
        expected, expected_scores = comparable(shown)
        assert text == expected, typed
        assert scores == pytest.approx(expected_scores, abs=0.003, rel=0.01), typed


@pytest.fixture
def mesh_server(monkeypatch, tmp_path):
    """A server on loopback that has MeSH of this year, and a config file in the current folder that names it."""
    record = "<{0}Name><String>{1}</String></{0}Name>"
    heading = record.format("Descriptor", "Myocardial Infarction")
    heading += "<TreeNumberList><TreeNumber>C14</TreeNumber></TreeNumberList><ConceptList><Concept><TermList><Term>"
    heading += "<String>Heart Attack</String></Term></TermList></Concept></ConceptList>"
    server = NlmServer()
    for kind, xml in {
        "desc": f"<a><DescriptorRecord>{heading}</DescriptorRecord></a>",
        "supp": f"<a><SupplementalRecord>{record.format('SupplementalRecord', 'x')}</SupplementalRecord></a>",
    }.items():
        server.files[f"{kind}{date.today().year}.gz"] = gzip.compress(xml.encode())
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.yml").write_text(f"index: indexes/demo\nnlm: {{mesh_url: {server.url}}}\n")
    yield
    server.close()


@pytest.mark.usefixtures("mesh_server")
def test_the_commands_of_the_strategies_page_run(built_demo, tmp_path, monkeypatch, capsys):
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.copytree(built_demo, "indexes/demo")
    page = ROOT / "docs" / "strategies.md"
    file, table = re.findall(r"```text\n(.*?)```", page.read_text(), re.DOTALL)
    Path("hypertension.txt").write_text(file)
    printed = []
    for words in commands(page):
        monkeypatch.setattr(sys, "argv", ["search", *words])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert not stopped.value.code
        printed.append(capsys.readouterr().out)
    # The counts that the page shows are those of the sample.
    shown = re.findall(r"#(\d).* (\d+)$", table, re.MULTILINE)
    assert shown == re.findall(r"#(\d).* (\d+) *$", printed[0], re.MULTILINE)
    assert len(shown) == 4


def test_the_commands_of_the_reviewing_page_run(built_demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCH_INDEX", str(shutil.copytree(built_demo, "demo")))
    records = [f'{{"pmid": {pmid}, "title": "Zebra {pmid}"}}\n' for pmid in (29768149, 17170002)]
    Path("new.jsonl").write_text("".join(records))
    Path("aspirin.txt").write_text("aspirin[tiab]")
    for name in ("references.bib", "manuscript.ris", "embase.ris", "cinahl.nbib", "scopus.csv"):
        style = {".bib": "bibtex"}.get(Path(name).suffix, Path(name).suffix[1:])
        _run(monkeypatch, "export", "990000025", "--format", style, "-o", name)
    Path("open_citation_collection.csv").write_text("citing,referenced\n29768149,17170002\n")
    Path("retraction_watch.csv").write_text(
        "Record ID,Title,RetractionDate,RetractionDOI,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,"
        "RetractionNature,Reason\n1,Zebra,1/31/2020 0:00,,0,,17170002,Retraction,+Error;\n"
    )
    _run(monkeypatch, "add", "new.jsonl")
    _run(monkeypatch, "query", "aspirin and bowel cancer", "--save", "my-review")
    ran = 0
    for words in commands(ROOT / "docs" / "reviewing.md"):
        if "--diff" in words:
            for _ in range(2):
                _run(monkeypatch, "new", "aspirin")
        _run(monkeypatch, *words[: words.index(">") if ">" in words else None])
        ran += 1
    assert ran >= 13


def _run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["search", *words])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert not stopped.value.code, words


def test_every_script_and_benchmark_named_is_there():
    text = "".join(page.read_text() for page in PAGES)
    for name in re.findall(r"scripts/benchmark ([a-z_]+)", text):
        assert (ROOT / "scripts" / "benchmarks" / f"{name}.py").exists(), name
    for name in re.findall(r"`scripts/([a-z]+)`", text):
        assert (ROOT / "scripts" / name).exists(), name


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ("researcher", ["conclusions: Five years of low-dose aspirin lowers the risk", "5 articles in aspirin.ris"]),
        ("librarian", ["#3      4  #1 AND #2", "0 new", "Records identified by the search salt  4"]),
        ("developer", ["[1] [NOT A REAL STUDY] Raghunathanswamy A", "nothing near enough", "PMID 990000073"]),
    ],
)
def test_the_examples_run(built_demo, tmp_path, monkeypatch, capsys, example, told):
    shutil.copytree(built_demo, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [example, str(tmp_path / "demo")])
    runpy.run_path(str(ROOT / "examples" / f"{example}.py"))
    printed = capsys.readouterr().out
    assert [text for text in told if text not in printed] == []
