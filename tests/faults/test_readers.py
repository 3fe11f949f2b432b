"""Readers while a writer writes, for a few seconds; `tests/faults/readers.py` does it for as long as wanted."""

import json
import subprocess
import sys
from pathlib import Path


def test_every_answer_is_of_one_committed_state():
    command = [sys.executable, str(Path(__file__).parent / "readers.py"), "--readers", "3", "--seconds", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    counted = json.loads(done.stdout)
    assert (counted["wrong"], counted["verify"]) == ([], [])
    assert counted["answers"] > 0
    assert counted["rounds"] > 1
    assert done.returncode == 0, done.stderr
