"""A minute of fuzzing from what earlier runs kept, and what was found before; `scripts/fuzz` takes longer."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS, kept, seeds

#: What was found, by fuzzing or by hand: each ended in an error that was not this package's.
FOUND = [
    ("config", b"workflow: !!bool x"),
    ("config", b"workflow: !!timestamp x"),
    ("config", b"workflow: !!int ''"),
    ("jsonl", b'{"pmid": 3, "title": "x", "year": "0001' + b"0" * 5000 + b'"}'),
]


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found_stays_mended(name, data):
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_and_what_was_kept_are_read(name):
    assert len(seeds(name)) > 3
    for data in [*seeds(name), *kept(name)]:
        TARGETS[name](data)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed (it needs Linux)")
@pytest.mark.parametrize("name", TARGETS)
def test_twelve_seconds_of_fuzzing_find_nothing(name, tmp_path):
    run = Path(__file__).parent / "run.py"
    command = [sys.executable, str(run), name, "--seconds", "12", "--corpus", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert executed and int(executed[1]) > 50
