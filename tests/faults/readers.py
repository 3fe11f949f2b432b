"""Many processes search while one writes: every answer is that of one committed state, and nobody is in the way.

    python tests/faults/readers.py --readers 8 --seconds 120

The writer commits rounds. In round n every article is revised to say `roundN`, in one transaction, and then some are
deleted, in another; so an answer that holds articles of two rounds, or some of those deleted but not all, is wrong.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers import WordEncoder, article  # noqa: E402

_ARTICLES = 30


def gone_in(number):
    """The PMIDs that are deleted at the end of a round."""
    return {pmid for pmid in range(1, _ARTICLES + 1) if (pmid + number) % 5 == 0}


def _prepare():
    from search import api
    from search.ingest import pipeline as ingest
    from search.storage.folder import folder_writer as writer
    from search.storage.folder import segments

    api._load_encoder = lambda model, config, **_: WordEncoder()
    # Merges and compactions all the time.
    writer._MERGE_AT, segments._SMALL, ingest.BATCH = 40, 0, 1000
    return api.Index


def write(folder, until, counts):
    """Commit rounds until the time is up."""
    Index = _prepare()
    from search.ingest.pipeline import add_articles
    from search.storage.folder.folder_writer import IndexWriter

    number = 0
    with Index.open(folder) as index:
        while time.monotonic() < until:
            number += 1
            opened = IndexWriter(folder)
            try:
                items = [article(pmid, f"round{number} of common words", revised=f"{2000 + number % 7000}-01-01")
                         for pmid in range(1, _ARTICLES + 1)]  # fmt: skip
                add_articles(opened, index.encoder, items, restore=True)
            finally:
                opened.close()
            index.delete(gone_in(number))
    counts.put({"rounds": number})


def read(folder, until, counts):
    """Search in every mode until the time is up, and count answers that are of no committed state."""
    Index = _prepare()
    counted = Counter()
    wrong = []
    while time.monotonic() < until:
        try:
            with Index.open(folder) as index:
                for mode in ("semantic", "lexical", "hybrid") * 5:
                    hits = index.search("common words", 2 * _ARTICLES, mode=mode, fold=False)
                    counted["answers"] += 1
                    if problem := _problem(hits):
                        wrong.append(f"{mode}: {problem}")
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    counts.put({**counted, "wrong": wrong[:5], "wrongs": len(wrong)})


def _problem(hits):
    rounds = {hit.article.title.split()[0] for hit in hits}
    if not hits:
        return None
    if len(rounds) > 1:
        return f"articles of {sorted(rounds)} in one answer"
    missing = set(range(1, _ARTICLES + 1)) - {hit.pmid for hit in hits}
    if missing and missing != gone_in(int(rounds.pop().removeprefix("round"))):
        return f"without {sorted(missing)}"
    return None


def main():
    """Run readers and a writer, and print what they counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "index"
        _prepare().create(folder, model="words").close()
        context = multiprocessing.get_context("spawn")
        counts = context.Queue()
        until = time.monotonic() + options.seconds
        jobs = [context.Process(target=write, args=(folder, until, counts))]
        jobs += [context.Process(target=read, args=(folder, until, counts)) for _ in range(options.readers)]
        for job in jobs:
            job.start()
        told = [counts.get(timeout=options.seconds + 120) for _ in jobs]
        for job in jobs:
            job.join()
        problems = _prepare().verify(folder)
    wrong = [line for part in told for line in part.get("wrong", [])]
    total = Counter()
    for part in told:
        total.update({key: part[key] for key in ("answers", "rounds", "wrongs") if key in part})
    sys.stdout.write(json.dumps({**total, "wrong": wrong, "verify": problems}) + "\n")
    sys.exit(1 if wrong or problems or any(job.exitcode for job in jobs) else 0)


if __name__ == "__main__":
    main()
