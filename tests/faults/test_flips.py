"""A flipped byte of any file of an index is found, or does no harm; `tests/faults/flips.py` tries as many as wanted."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_flipped_byte_is_found_or_harmless():
    command = [sys.executable, str(Path(__file__).parent / "flips.py"), "--sample", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    *problems, counted = map(json.loads, done.stdout.splitlines())
    assert problems == []
    assert counted["found"] > 70
    assert done.returncode == 0
