"""Memory and rate of `search add` as the input grows."""

from __future__ import annotations

import argparse
import gzip
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmarks.timing import data_folder, report


def main() -> None:
    """Add a part and all of the real records to fresh indexes, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encode", type=int, default=2_000, help="encode so many; 0 for all")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    source = data_folder() / "pubmed" / "records.jsonl.gz"
    figures = {
        "stored, 5,000": _add(source, 5_000, ["--no-encode"]),
        "stored, all": _add(source, None, ["--no-encode"]),
        f"encoded, {options.encode or 'all'}": _add(source, options.encode or None, []),
    }
    report("add", figures)


def _add(source: Path, count: int | None, options: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "records.jsonl.gz"
        with gzip.open(source) as stream, gzip.open(part, "wb", 1) as out:
            written = sum(1 for line in itertools.islice(stream, count) if out.write(line))
        command = [sys.executable, "-m", "search", "add", str(part), "--index", f"{folder}/index", *options]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = status
        if status:
            sys.exit(f"{' '.join(command)} failed")
    return {
        "articles": written,
        "seconds": round(seconds, 1),
        "per_second": round(written / seconds, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
