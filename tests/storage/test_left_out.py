"""What goes on without a damaged record says so at its end: commands, REST and MCP."""

import asyncio
import json
import shutil
import sys

import pytest
from storage.test_repair import flip
from web.conftest import make_client

from search import Index
from search.cli import main as command_line
from search.errors import IndexCorruptError, QueryError

DAMAGED, OTHER = 990000025, 990000010
SAID = f"PMID {DAMAGED}: left out, for the record or vector is damaged; `search verify` says what mends it"
ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"


@pytest.fixture
def demo(built_demo, tmp_path):
    folder = tmp_path / "demo"
    shutil.copytree(built_demo, folder)
    flip(folder, "documents", "document", DAMAGED)
    return folder


@pytest.fixture
def run(monkeypatch, capsys, demo):
    def _run(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments), "--index", str(demo)])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return _run


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", ASPIRIN, "--format", "json"],
        ["export", "--all", "--format", "jsonl"],
        ["export", DAMAGED, OTHER, "--format", "jsonl"],
        ["show", DAMAGED, OTHER, "--format", "json"],
        ["facets", ASPIRIN],
    ],
)
def test_a_command_goes_on_and_says_at_its_end_what_it_left_out(run, arguments):
    code, out, err = run(*arguments)
    assert code == 0 and err.splitlines()[-1] == f"warning: {SAID}"
    assert out and (str(DAMAGED) not in out or "facets" in arguments)
    code, out, err = run("export", OTHER, "--format", "ris")
    assert (code, err) == (0, "1 article\n")


def test_what_asks_for_nothing_but_a_damaged_record_is_told_that(run, demo):
    code, out, err = run("show", DAMAGED)
    assert (code, out, err) == (1, "", f"error: {SAID}\n")
    with Index.open(demo) as index:
        with pytest.raises(IndexCorruptError, match=f"the record of PMID {DAMAGED} is damaged"):
            index.get(DAMAGED)
        with pytest.raises(QueryError, match="PMID 5 is not in the index$"):
            index.get_many([DAMAGED, 5])
        assert [article.pmid for article in index.get_many([DAMAGED, OTHER])] == [OTHER]


def test_the_server_warns(demo):
    with make_client(demo) as client:
        whole = client.get(f"/api/articles/{OTHER}")
        assert whole.status_code == 200 and "warning" not in whole.headers
        answer = client.post("/api/search", json={"question": ASPIRIN})
        assert answer.status_code == 200 and answer.headers["warning"] == f'199 search "{SAID}"'
        assert client.get(f"/api/articles/{DAMAGED}").status_code == 503
        assert client.get("/health").json() == {"status": "ok"}
        # Flipped back, the record is whole again.
        flip(demo, "documents", "document", DAMAGED)
        mended = client.post("/api/search", json={"question": ASPIRIN})
        assert mended.status_code == 200 and "warning" not in mended.headers
        assert client.get(f"/api/articles/{DAMAGED}").status_code == 200


def test_a_language_model_is_warned(demo):
    pytest.importorskip("mcp", reason="the package mcp is not installed")
    from mcp import Client

    from search.mcp.tools import make_server

    async def ask():
        async with Client(make_server(index)) as client:
            return await client.call_tool("search", {"question": ASPIRIN})

    with Index.open(demo) as index:
        answer = asyncio.run(ask()).structured_content
    assert answer["warning"] == SAID and str(DAMAGED) not in json.dumps(answer["results"])
