"""OpenVINO is imported without the part that reports to an analytics service, wherever this program imports it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SEARCH = Path(__file__).parents[2] / "search"

#: Logs each look-up of a name and each connection, and each child process, from the first line of the program on.
AUDITED = """
import json, sys
events = []
def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect", "os.fork", "os.posix_spawn", "subprocess.Popen"):
        events.append([event, repr(arguments)])
sys.addaudithook(hook)
{body}
import threading
threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
others = [thread.name for thread in threads if not thread.daemon]
names = [name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None]
print(json.dumps([events, others, names]))
"""

RUN = "from search.models import Encoder\nEncoder('builtin', backend='openvino').encode(['aspirin'])"
TRACE = """
import pathlib
from search.models.layout import read_layout
from search.models.presets import resolve_model
import search.models.trace as trace
trace.trace_encoder(read_layout(resolve_model('minilm').document), pathlib.Path(sys.argv[1]) / 'traced')
"""
QUANTIZE = "from search.models import load_encoder\nload_encoder('builtin', precision='int8')"


@pytest.mark.parametrize("body", [RUN, TRACE, QUANTIZE], ids=["run", "trace", "quantize"])
def test_nobody_is_told_that_openvino_was_imported(body, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_CURRENT_TEST")}
    environment.update(
        HOME=str(home), SEARCH_CACHE=str(tmp_path / "cache"), PYTHONWARNINGS="ignore", HF_HUB_OFFLINE="1"
    )
    command = [sys.executable, "-c", AUDITED.format(body=body), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events, others, names = json.loads(done.stdout.splitlines()[-1])
    assert not [event for event in events if event[0].startswith("socket") or "fork" in event[0]], events
    assert others == names == []
    assert not (home / "intel").exists()


def test_openvino_is_imported_in_one_place_only():
    """Any other import would report to the service, were it the first of the process."""
    pattern = re.compile(r"^\s*(import openvino|from openvino)\b", re.MULTILINE)
    importing = {file.name for file in SEARCH.rglob("*.py") if pattern.search(file.read_text("utf-8"))}
    assert importing == {"runtime.py"}
