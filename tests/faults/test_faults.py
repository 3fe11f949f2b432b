"""Every command that writes, disturbed at points drawn by chance: nothing that was committed is lost.

`scripts/faults` tries every point. SEARCH_FAULT_SEED draws other points than the usual ones.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.kernel import unavailable
from faults.scenarios import SCENARIOS

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
    # What is forked runs no thread of ours.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

_OF_EACH = 5


@pytest.fixture(scope="module")
def results():
    """Run the driver once: it imports what takes seconds, and no thread of this process is in its way."""
    seed = os.environ.get("SEARCH_FAULT_SEED", "0")
    command = [sys.executable, str(Path(__file__).parent / "driver.py"), "--sample", str(_OF_EACH), "--seed", seed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_and_the_next_run_completes(results, name):
    records, said = results
    found = [record for record in records if record["scenario"] == name]
    assert found, said
    *problems, summary = found
    assert problems == []
    assert sum(summary["tried"].values()) == _OF_EACH
    assert summary["failed"] == 0
