"""From the start of the process to the printed answer, and to the printed help, beside the import of txtai."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from scripts.benchmarks.timing import in_turn, report

QUESTION = "does taking aspirin lower the risk of bowel cancer?"


def main() -> None:
    """Run each as a process of its own, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="indexes/pubmed")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    search = [sys.executable, "-m", "search"]
    commands = {
        "search query": [*search, "query", QUESTION, "--index", options.index],
        "search query --mode hybrid": [*search, "query", QUESTION, "--index", options.index, "--mode", "hybrid"],
        "search --help": [*search, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "import txtai": [sys.executable, "-W", "ignore", "-c", "import txtai"],
    }
    seconds = in_turn({name: lambda command=command: _run(command) for name, command in commands.items()}, options.runs)
    report(
        "start",
        {
            name: {"median_s": round(statistics.median(runs), 3), "least_s": round(min(runs), 3)}
            for name, runs in seconds.items()
        },
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
