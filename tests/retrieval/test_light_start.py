"""The base installation is light: what it does imports none of the heavy packages of the extras."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "txtai",
    "scipy",
    "sklearn",
    "pandas",
    "nncf",
    "openvino_telemetry",
)

PROGRAM = """
import atexit, contextlib, io, json, sys

@atexit.register
def report():
    heavy = [name for name in {heavy!r} if sys.modules.get(name) is not None]
    print(json.dumps(heavy), file=sys.stderr)

{body}
"""
COMMAND = """
from search.cli.main import cli
with contextlib.redirect_stdout(io.StringIO()):
    cli({arguments!r}, standalone_mode=False)
"""
SERVE = """
from search.config import Config
from search.web.app import make_app
from search.web.service import Service
with contextlib.closing(Service({index!r}, Config(mode="hybrid"))) as service:
    make_app(service)
    hits = service.index.search("aspirin", evidence=1)
    service.index.landscape((hits * 3)[:30])
"""


#: What costs a question most of the time of its process.
SLOW = ("openvino", "httpx", "importlib.metadata", "numpy.ma", "filelock")


def imported(body: str, folder: Path, heavy: tuple[str, ...] = HEAVY) -> list[str]:
    program = PROGRAM.format(body=body, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_a_query_imports_nothing_heavy(demo, tmp_path, mode):
    arguments = ["query", "does aspirin prevent cancer?", "--index", str(demo), "--mode", mode, "--evidence", "1"]
    assert imported(COMMAND.format(arguments=arguments), tmp_path) == []


def test_a_question_to_an_encoded_index_imports_nothing_slow(demo, tmp_path):
    arguments = ["query", "does aspirin prevent cancer?", "--index", str(demo)]
    assert imported(COMMAND.format(arguments=arguments), tmp_path, SLOW) == []


def test_help_imports_nothing_that_a_command_needs(tmp_path):
    body = COMMAND.format(arguments=["--help"])
    assert imported(body, tmp_path, (*SLOW, "numpy", "msgspec", "rich", "search.config")) == []


def test_adding_and_exporting_import_nothing_heavy(demo, tmp_path):
    # Into an index that is there: sqlite-utils makes the tables of a new one, and imports pandas where there is any.
    shutil.copytree(demo, tmp_path / "new")
    sample = Path(__file__).parents[2] / "search" / "sample"
    add = ["add", str(next(sample.glob("*.xml"))), "--reread", "--index", str(tmp_path / "new")]
    export = ["export", "aspirin", "--format", "ris", "--index", str(tmp_path / "new")]
    body = COMMAND.format(arguments=add) + COMMAND.format(arguments=export)
    assert imported(body, tmp_path) == []


def test_serving_imports_nothing_heavy(demo, tmp_path):
    assert imported(SERVE.format(index=str(demo)), tmp_path) == []
