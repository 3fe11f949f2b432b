"""`search ask` with a language model: printed as it is written, with what is wrong with each sentence."""

import json

import pytest
import yaml
from llm_server import llm_server

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"
BANANAS = "Bananas are yellow"


@pytest.fixture
def model(tmp_path):
    """A server that a config.yml in the current folder names."""
    with llm_server() as server:
        (tmp_path / "config.yml").write_text(
            yaml.safe_dump({"language_model": {"url": server.url, "model": "small"}}), "utf-8"
        )
        yield server


def test_an_answer_is_printed_with_its_sources_and_its_faults(run, built_demo, model):
    quoted = json.loads(run("ask", ASPIRIN, "--no-llm", "--format", "json", "--index", built_demo)[1])
    assert model.requests == []
    model.says(f"{BANANAS} [1][2]. Nothing is named.")
    out = " ".join(run("ask", ASPIRIN, "--index", built_demo)[1].split())
    assert "Bananas are yellow. [1][2] (not supported: [1] says nothing near this; [2] says nothing near this)" in out
    assert "Nothing is named. (not supported: no source is named)" in out
    assert "written by small" in out and "[1] [NOT A REAL STUDY]" in out and "[3]" not in out
    data = json.loads(run("ask", ASPIRIN, "--llm", "--strict", "--format", "json", "--index", built_demo)[1])
    assert (data["status"], data["dropped"], data["sentences"]) == ("complete", 2, [])
    assert data["question"] == quoted["question"] == ASPIRIN


def test_what_a_model_writes_does_not_steer_the_terminal(run, built_demo, model):
    model.says("Evil \x1b[2J\x1b]0;owned\x07 \u202ename [1].")
    _, out, error = run("ask", ASPIRIN, "--index", built_demo)
    assert "Evil" in out and not {"\x1b", "\x07", "\u202e"} & set(out + error)


def test_markdown_quotes_the_evidence_of_a_search(run, built_demo):
    from search import Index

    with Index.open(built_demo) as index:
        (hit,) = index.search(ASPIRIN, 1, evidence=2)
    _, out, _ = run(
        *("export", "--query", ASPIRIN, "-n", 1, "--format", "markdown", "--evidence", 2, "--index", built_demo)
    )
    quoted = [line.strip() for line in out.splitlines() if line.strip().startswith("> ")]
    assert quoted == [f"> {part.section}: {part.text}" for part in hit.evidence] and len(quoted) == 2
    code, _, error = run("export", 990000010, "--format", "markdown", "--evidence", 1, "--index", built_demo)
    assert code == 2 and "--evidence goes with --query and --format markdown" in error


def test_a_model_that_is_not_there_is_an_error_with_a_message(run, built_demo):
    code, _, error = run("ask", ASPIRIN, "--llm", "--index", built_demo)
    assert code == 1 and "no language model is set up" in error
    code, _, error = run("ask", ASPIRIN, "--strict", "--index", built_demo)
    assert code == 2 and "--strict goes with --llm" in error
