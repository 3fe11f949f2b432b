"""`search models`, and models that are named by a mapping."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from search.cli.main import cli
from search.models.presets import PRESETS


def run(*arguments: str):
    return CliRunner().invoke(cli, list(arguments))


def test_the_list_says_what_is_known_of_each_model():
    listed = json.loads(run("models", "--format", "json").stdout)
    rows = {row["name"]: row for row in listed["models"]}
    assert list(rows) == list(PRESETS)
    assert (rows["builtin"]["here"], rows["builtin"]["dimensions"], rows["builtin"]["licence"]) == (
        True,
        384,
        "Apache-2.0",
    )
    assert rows["bge-base"]["scifact"] == 74.3 and rows["pubmedbert"]["pubmed_qa"] == 93.27
    assert set(listed["rerankers"]) == {"medcpt", "biomedbert"}
    table = run("models").stdout
    assert all(name in table for name in PRESETS)


def test_a_model_is_named_by_a_mapping_on_the_command_line_and_status_says_how_it_is_used(tmp_path):
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps({"pmid": 1, "title": "Aspirin", "abstract": [{"text": "It helps."}]}))
    mapping = '{name: builtin, dimension: 128, max_length: {query: 64}, prompts: {query: "find: "}}'
    index = str(tmp_path / "index")
    added = run("add", str(record), "--index", index, "--model", mapping)
    assert added.exit_code == 0, added.output
    status = json.loads(run("status", "--index", index, "--format", "json").stdout)
    assert status["dimension"] == 128
    assert status["model_settings"]["max_length"] == {"query": 64, "document": 256}
    assert status["model_settings"]["prompts"]["query"] == "find: "
    shown = run("status", "--index", index).stdout
    assert "pooling mean, query 64 tokens, document 256 tokens, query prompt 'find: ', first 128 dimensions" in shown
    again = run("add", str(record), "--index", index, "--model", mapping)
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("mapping", "message"),
    [("{name: builtin, pool: cls}", "pool"), ("{name: [", "not a mapping in YAML")],
)
def test_a_mapping_that_cannot_be_read_is_an_error(tmp_path, mapping, message):
    result = run("add", str(tmp_path), "--index", str(tmp_path / "index"), "--model", mapping)
    assert result.exit_code != 0
    assert message in result.output or message in str(result.exception)


def test_the_page_on_models_has_the_figures_of_the_program():
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    assert list(rows) == list(PRESETS)
    for name, preset in PRESETS.items():
        cells = [cell.strip() for cell in rows[name].strip("|").split("|")]
        assert preset.document in cells[1] or name == "builtin"
        assert cells[2:5] == [f"{preset.parameters:g} M", str(preset.dimensions), preset.licence]
        assert cells[6:10] == ["" if score is None else f"{score:g}" for score in preset.scores]
        assert (cells[10] == "real weights") == (preset.tried == "weights")
