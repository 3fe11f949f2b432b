"""Keep of a corpus what is needed to reach all that it reaches: `python tests/fuzz/keep.py xml` writes kept/xml.jsonl.

Only what came of the seeds of `targets.py` may be in that corpus: no record of anyone else's gets into the repository.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

with atheris.instrument_imports(include=["search"]):
    from fuzz.targets import KEPT, TARGETS

#: Of a target; the smallest come first.
_MOST_BYTES = 50_000


def main():
    """Merge with libFuzzer, which starts this program again with flags of its own, and write what is left."""
    name, *flags = sys.argv[1:]
    if flags:
        atheris.Setup([f"{sys.executable} {__file__} {name}", *flags], TARGETS[name])
        atheris.Fuzz()
    corpus = Path(__file__).parent / "corpus" / name
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, name, "-merge=1", "-max_len=20000", "-timeout=3600", folder, str(corpus)]
        subprocess.run(command, check=True)
        inputs = sorted((path.read_bytes() for path in Path(folder).iterdir()), key=lambda data: (len(data), data))
    lines, size = [], 0
    for data in inputs:
        line = json.dumps(data.decode("latin-1"), ensure_ascii=False) + "\n"
        size += len(line.encode())
        if size <= _MOST_BYTES:
            lines.append(line)
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    sys.stdout.write(f"{len(lines)} of {len(inputs)} inputs\n")


if __name__ == "__main__":
    main()
