"""Flips single bytes of an index and tells what becomes of it: found, harmless, missed, or a crash.

    python tests/faults/flips.py --sample 1000 --seed 1

A flip is found if `verify` tells of a problem, and harmless if every search gives what it gave before. Every trial is
a process of its own, so that a crash is seen. Prints a line of JSON for what was missed, and a summary.
"""

import argparse
import functools
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults.driver import load  # noqa: E402
from faults.scenarios import Scenario, command, patch, surroundings  # noqa: E402
from faults.supervisor import apart  # noqa: E402

#: An index with two segments, a list of outdated vectors, pending changes, deletions, a ledger and a saved search.
_MADE_BY = (
    "add {file}/first.jsonl --index {index} --model words",
    "merge --index {index}",
    "sync --from {file}/old --index {index}",
    "delete 4 35 --index {index}",
    "merge --index {index}",
    "add {file}/second.xml --index {index}",
    "query first2 --save kept --index {index}",
)
_SCENARIO = Scenario("flips", _MADE_BY, "", small=0)


def answers(index):
    """Everything that a user can see of an index, as text."""
    from search.api import Index
    from search.retrieval.filters import Filters, MeshTerm

    with Index.open(index) as opened:
        articles = list(opened.articles())
        found = [repr(article) for article in articles]
        titles = [article.title for article in articles]
        heading = Filters(mesh=(MeshTerm("Heading 1"),))
        filters = (Filters(), heading, Filters(year_from=2019), Filters(languages=("eng",)))
        for mode in ("semantic", "lexical", "hybrid"):
            for some in filters:
                for hits in opened.search(titles, 5, mode=mode, filters=some):
                    found.append(" ".join(f"{hit.pmid}:{hit.score:.6f}" for hit in hits))
        found.append(str([hit.pmid for hit in opened.similar(2, 5)]))
        found.append(str(opened.saved_searches()))
        return "\n".join(found)


def trial(index, before):
    """Return what a flip does: found, harmless or missed, with what was told."""
    from search.api import Index
    from search.errors import SearchError

    patch(_SCENARIO)
    try:
        problems = Index.verify(index)
    except SearchError as error:
        problems = [str(error)]
    if problems:
        return json.dumps(["found", problems[0]])
    try:
        now = answers(index)
    except SearchError as error:
        return json.dumps(["told", str(error)])
    return json.dumps(["harmless" if now == before else "missed", _difference(before, now)])


def _difference(before, now):
    changed = [f"{old} -> {new}" for old, new in zip(before.splitlines(), now.splitlines(), strict=False) if old != new]
    return changed[:2]


def main():
    """Flip as many bytes as are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    load()
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as name:
        root = Path(name)
        with surroundings(root / "around") as around:
            for line in _MADE_BY:
                if apart(lambda line=line: str(command(_SCENARIO, line, root / "index", around)())) != "0":
                    raise RuntimeError(line)
        sys.exit(_flip_all(root, options))


def _flip_all(root, options):
    before = apart(lambda: (patch(_SCENARIO), answers(root / "index"))[1])
    files = {path: path.stat().st_size for path in sorted((root / "index").rglob("*")) if path.is_file()}
    chance = random.Random(options.seed)
    counted = Counter()
    for _ in range(options.sample):
        # As often in a small file as in a large one.
        path = chance.choice([path for path, size in files.items() if size])
        place, bit = chance.randrange(files[path]), 1 << chance.randrange(8)
        copy = root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root / "index", copy)
        target = copy / path.relative_to(root / "index")
        data = bytearray(target.read_bytes())
        data[place] ^= bit
        target.write_bytes(data)
        try:
            fate, told = json.loads(apart(functools.partial(trial, copy, before)))
        except RuntimeError as error:
            fate, told = "crash", str(error)
        counted[fate] += 1
        if fate in ("missed", "told", "crash"):
            flip = f"{path.relative_to(root / 'index')} byte {place} bit {bit}"
            sys.stdout.write(json.dumps({"flip": flip, "fate": fate, "told": told}) + "\n")
    sys.stdout.write(json.dumps(dict(counted)) + "\n")
    return 1 if counted["missed"] or counted["crash"] else 0


if __name__ == "__main__":
    main()
