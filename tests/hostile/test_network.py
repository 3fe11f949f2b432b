"""Nothing leaves the machine: no command, no server and no call of the API asks the network for anything of its own."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest
from nlm_server import NlmServer, article_xml, packed
from web.conftest import running_server

from search.cli.main import _COMMANDS

HERE = Path(__file__).parent
QUESTION = "does aspirin lower the risk of bowel cancer?"

#: What `search add --pubmed` and `search sync` without `--from` do, they do because they are told to.
API = """
from search import Index
with Index.open("demo") as index:
    hits = index.search(["aspirin", "salt intake"], 5, mode="hybrid", evidence=2)
    index.landscape(hits[0]), index.context("aspirin"), index.nearest(index.encoder.encode(["aspirin"], "query"))
    index.similar(texts=["salt intake"]), index.facets("aspirin", depth=50), index.status(), list(index.articles())
"""


def environment(events, home):
    """The variables of a user who has set nothing that would keep a library quiet."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SEARCH_SHARED_DATA") if name in os.environ}
    path = os.pathsep.join([str(HERE / "watched"), str(HERE.parents[1])])
    return {**kept, "HOME": str(home), "PYTHONPATH": path, "NETWORK_EVENTS": str(events), "OMP_NUM_THREADS": "1"}


def in_a_namespace():
    """What puts a command into a network of its own, with nothing in it; nothing where that is not allowed."""
    alone = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return alone


def watched(tmp_path, commands, *, apart=True):
    """Run commands in one process; return how they ended, what they asked for, and how many packets were lost.

    With `apart`, in a network of their own, where that is allowed.
    """
    events = tmp_path / "events"
    events.touch()
    alone = in_a_namespace() if apart else []
    done = subprocess.run(
        [*alone, sys.executable, str(HERE / "commands.py")],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(events, tmp_path),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    return result["ended"], events.read_text().splitlines(), result["lost"] if alone else None


def collection(folder):
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "a", "title": "Aspirin", "text": "and strokes"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "aspirin"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n")


def commands(folder):
    """Each command as somebody uses it who is to be asked nothing of the network."""
    (folder / "new.jsonl").write_text('{"pmid": 5, "title": "Zebra stripes", "abstract": "Why zebras have them."}\n')
    (folder / "other.jsonl").write_text('{"pmid": 6, "title": "Zebra hooves"}\n')
    collection(folder / "collection")
    np.save(folder / "vectors.npy", np.eye(1, 384, dtype=np.float32))
    (folder / "pmids.json").write_text("[6]")
    (folder / "nlm").mkdir()
    (folder / "mtrees.bin").write_text("Asthma;C08.127.108\nRespiratory Tract Diseases;C08\n")
    (folder / "citations.csv").write_text("citing,referenced\n5,990000010\n")
    columns = (
        "RetractionDate,RetractionDOI,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,Reason"
    )
    (folder / "retractions.csv").write_text(f"{columns}\n1/2/2024 0:00,,0,,5,Retraction,+Error in Data;\n")
    (folder / "references.txt").write_text("990000010\n5\n")
    demo = ["--index", "demo"]
    return [
        ["status", *demo],
        ["add", "new.jsonl", *demo],
        ["add", "other.jsonl", "--no-encode", *demo],
        ["import-vectors", "vectors.npy", "--pmids", "pmids.json", "--model", "builtin", *demo],
        ["encode", *demo],
        ["merge", *demo],
        ["query", QUESTION, "--evidence", "1", "--explain", "--mode", "hybrid", "--save", "kept", *demo],
        ["new", "kept", *demo],
        ["saved", "kept", *demo],
        ["similar", "5", *demo],
        ["facets", QUESTION, *demo],
        ["show", "5", *demo],
        ["table", QUESTION, *demo],
        ["ask", QUESTION, *demo],
        ["strategy", "aspirin[tiab] AND cancer", *demo],
        ["citations", "add", "citations.csv", *demo],
        ["retractions", "add", "retractions.csv", *demo],
        ["cited-by", "990000010", *demo],
        ["references", "5", *demo],
        ["snowball", "5", *demo],
        ["check", "references.txt", *demo],
        ["dedupe", "references.txt"],
        ["report", "kept", *demo],
        ["mesh", "add", "mtrees.bin"],
        ["mesh", "show", "Asthma", *demo],
        ["models"],
        ["config", *demo],
        ["completion", "bash"],
        ["export", "--query", QUESTION, "--format", "ris", *demo],
        ["copy", "demo", "second"],
        ["delete", "6", *demo],
        ["verify", *demo],
        ["repair", *demo],
        ["sync", "--from", "nlm", *demo],
        ["evaluate", "retrieval", "--collection", "collection"],
        ["train", "pairs", "-o", "pairs.jsonl", *demo],
        ["token"],
        ["-c", API],
    ]


#: Commands that answer until they are stopped: the tests below.
SERVERS = {"mcp", "serve"}

#: Hands an address to the browser, which is what it is for.
BROWSER = {"open"}


def test_every_command_is_watched(tmp_path):
    assert {arguments[0] for arguments in commands(tmp_path)} - {"-c"} | SERVERS | BROWSER == set(_COMMANDS)


def test_no_command_asks_the_network(built_demo, tmp_path):
    shutil.copytree(built_demo, tmp_path / "demo")
    asked = commands(tmp_path)
    ended, events, lost = watched(tmp_path, asked)
    for arguments, (code, said) in zip(asked, ended, strict=True):
        # Nothing is wrong but that there is nothing to apply in the folder of NLM's files, and that 5 is retracted.
        assert code == {"sync": 1, "check": 3}.get(arguments[0], 0), (arguments, said)
    assert events == []
    assert not lost


def test_what_is_told_to_use_the_network_asks_nobody_else(tmp_path):
    server = NlmServer()
    try:
        server.put(26, 1, packed(article_xml(1, "first"), article_xml(2, "second")))
        for kind, record in (("desc", "Descriptor"), ("supp", "SupplementalRecord")):
            name = f"<{record}Name><String>A</String></{record}Name>"
            tag = record.removesuffix("Record") + "Record"
            server.files[f"mesh/{kind}{date.today().year}.gz"] = gzip.compress(f"<a><{tag}>{name}</{tag}></a>".encode())
        (tmp_path / "config.yml").write_text(
            f"index: made\nnlm: {{url: {server.url}, mesh_url: {server.url}mesh}}\n"
            f"eutils: {{url: {server.url}, email: a@example.org}}\n"
        )
        ended, events, _ = watched(
            tmp_path,
            [["sync"], ["add", "--pubmed", "aspirin", "--limit", "2"], ["sync", "--dry-run"], ["mesh", "update"]],
            apart=False,
        )
        host, port = server.url.removeprefix("http://").strip("/").split(":")
    finally:
        server.close()
    assert [code for code, _ in ended] == [0, 0, 0, 0], ended
    asked = {line for line in events if not line.startswith("socket.bind ('127.0.0.1', 0)")}
    assert {f"socket.connect ('{host}', {port})"} <= asked
    assert all(f"'{host}', {port})" in line for line in asked), asked


WORKFLOWS = """
import json, yaml
from pathlib import Path
from txtai.app import Application
settings = yaml.safe_load(Path("shipped.yml").read_text())
Path("config.yml").write_text(yaml.safe_dump({**settings, "index": "demo"}))
Path("more.jsonl").write_text(json.dumps({"pmid": 77, "title": "Zebra stripes and flies"}))
Path("nothing").mkdir()
application = Application("config.yml")
for name, elements in {
    "search": ["aspirin"], "similar": [990000025], "context": ["aspirin"], "export": [990000025],
    "ingest": ["more.jsonl"], "sync": ["nothing"],
}.items():
    try:
        answers = list(application.workflow(name, elements))
    except Exception as error:
        assert name == "sync" and "nothing" in str(error), (name, error)
    else:
        assert len(answers) == 1, (name, answers)
"""


def test_workflows_of_txtai_ask_nobody(built_demo, tmp_path):
    pytest.importorskip("txtai", reason="the package txtai is not installed")
    shutil.copytree(built_demo, tmp_path / "demo")
    shutil.copyfile(HERE.parents[1] / "config.yml", tmp_path / "shipped.yml")
    ended, events, lost = watched(tmp_path, [["-c", WORKFLOWS]])
    assert ended[0][0] == 0, ended
    # urllib3 looks whether this machine has IPv6; nothing is sent.
    assert set(events) <= {"socket.bind ('::1', 0)"} and not lost


def test_what_asks_the_network_is_seen(tmp_path):
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 0.1)\nexcept OSError: pass"
    native = (
        "import ctypes\nlibc = ctypes.CDLL(None)\nnumber = libc.socket(2, 2, 0)\n"
        "libc.connect(number, bytes([2, 0, 0, 53, 192, 0, 2, 1]) + bytes(8), 16)"
    )
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])"
    _, events, lost = watched(tmp_path, [["-c", code]])
    assert events == ["socket.getaddrinfo ('192.0.2.1', 80)", "socket.connect ('192.0.2.1', 80)"]
    assert lost is None or lost > 0
    _, events, _ = watched(tmp_path, [["-c", child]])
    assert "socket.connect ('192.0.2.1', 80)" in events[-1]
    _, events, lost = watched(tmp_path, [["-c", native]])
    assert lost is None or lost > 0


@pytest.fixture
def events(monkeypatch, tmp_path):
    """Where servers that a test starts write down what they ask for."""
    file = tmp_path / "events"
    file.touch()
    for name, value in environment(file, tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("CI", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return file


def test_a_server_opens_its_own_address_and_no_other(built_demo, tmp_path, events):
    with running_server(built_demo, cwd=tmp_path, path=HERE / "watched") as (url, _):
        for path, body in (
            ("search", {"question": QUESTION, "evidence": 2, "mode": "hybrid"}),
            ("batch", {"questions": [QUESTION]}),
            ("similar", {"pmids": [990000025]}),
            ("facets", {"question": QUESTION}),
            ("map", {"question": QUESTION}),
            ("export", {"question": QUESTION, "format": "ris"}),
        ):
            assert httpx.post(f"{url}/api/{path}", json=body, timeout=120).status_code == 200
        for path in ("", "api/status", "api/saved", "api/articles/990000025", "openapi.json", "health", "metrics"):
            assert httpx.get(f"{url}/{path}", timeout=120).status_code == 200
    asked = [
        line for line in events.read_text().splitlines() if not line.startswith("socket.getaddrinfo ('127.0.0.1',")
    ]
    assert asked == ["socket.bind ('127.0.0.1', 0)"]


def test_a_server_for_a_language_model_opens_nothing(built_demo, tmp_path, events):
    def request(number, method, **parameters):
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}

    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    messages = [
        request(1, "initialize", **client),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(2, "tools/call", name="search", arguments={"question": QUESTION}),
        request(3, "tools/call", name="get_article", arguments={"pmid": 990000025}),
    ]
    command = [sys.executable, "-m", "search", "mcp", "--index", str(built_demo)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    for message in messages:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    answers = {}
    while not {1, 2, 3} <= answers.keys():
        answer = json.loads(process.stdout.readline())
        answers[answer.get("id")] = answer
    process.communicate(timeout=60)
    assert "990000025" in json.dumps(answers[2]) and "result" in answers[3]
    assert events.read_text() == ""
