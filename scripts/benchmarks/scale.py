"""An index of very many vectors: built, opened, asked, and given a daily update, as a folder of the program itself."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.benchmarks.neighbours import Generator, Nearest, Rows, read_real
from scripts.benchmarks.timing import quantiles, report
from search.article import TEXT_RULE
from search.storage.folder.folder_manifest import read_manifest
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_reader import vector_checksum
from search.storage.manifest import Manifest
from search.storage.rows import Pmids

QUESTIONS = 500
_TEXT_HASH = b"0123456789abcdef"
UPDATE, REVISED = 5_000, 1_000
#: Shares of all articles that filters leave, drawn at random, and one that is the newest tenth.
FILTERS = {"every 2nd": 0.5, "every 20th": 0.05, "every 1000th": 0.001, "newest tenth": None}


class Times(NamedTuple):
    """The seconds of each question: that passed, and that the processor worked for it."""

    passed: list[float]
    own: list[float]

    def figures(self) -> dict[str, Any]:
        """Return both. On a machine that is shared the second are the ones to compare."""
        return {
            **quantiles(self.passed),
            "questions_a_second": round(len(self.passed) / sum(self.passed), 1),
            "of the processor": quantiles(self.own),
        }


def main() -> None:
    """Make the folder, and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=lambda text: int(text.replace("_", "")), default=100_000, help="how many vectors")
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--folder", type=Path, default=Path("indexes/scale"), help="where the index is made")
    parser.add_argument(
        "--steps", default="fill,build,open,ask,update,ask again", help="some of them, on a folder that was kept"
    )
    parser.add_argument("--keep", action="store_true", help="do not remove it afterwards")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "fill": lambda: aside(fill, options.folder, options.real, options.n),
        "build": lambda: aside(build, options.folder),
        "open": lambda: aside(open_from_disk, options.folder),
        "ask": lambda: aside(ask, options.folder),
        "update": lambda: aside(update, options.folder, options.real, options.n),
        "ask again": lambda: aside(ask, options.folder),
    }
    wanted = options.steps.split(",")
    if "fill" in wanted:
        shutil.rmtree(options.folder, ignore_errors=True)
    figures: dict[str, Any] = {"vectors": options.n, "questions": QUESTIONS}
    try:
        figures |= {name: steps[name]() for name in wanted}
    finally:
        if not options.keep:
            shutil.rmtree(options.folder, ignore_errors=True)
    report("scale", figures)


def aside(step: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a step in a new process, and add its peak memory and what it took of the processor to what it returns."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(_run, (step, arguments))
    print(f"{step.__name__}: {found}", flush=True)
    return found


def _run(step: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    begun = time.perf_counter()
    found = step(*arguments)
    found["seconds"] = round(time.perf_counter() - begun, 1)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found["processor_seconds"] = round(usage.ru_utime + usage.ru_stime, 1)
    found["peak_memory_mb"] = round(usage.ru_maxrss / 1024)
    return found


def allowed_by(name: str, count: int) -> Pmids:
    """Return the PMIDs that a filter leaves."""
    share = FILTERS[name]
    if share is None:
        return np.arange(count - count // 10 + 1, count + 1)
    return np.flatnonzero(np.random.default_rng(5).random(count) < share) + 1


def fill(folder: Path, real: Path, count: int) -> dict[str, Any]:
    """Make the folder with its vectors, which are all pending, and find the true answers meanwhile."""
    questions, rest = read_real(real, QUESTIONS)
    new_folder(folder, rest.shape[1])
    np.save(folder / "questions.npy", questions)
    nearest = {"": Nearest(questions), **{name: Nearest(questions) for name in FILTERS}}
    passes = {}
    for name in FILTERS:
        passes[name] = np.zeros(count + 1, bool)
        passes[name][allowed_by(name, count)] = True
    connection = sqlite3.connect(folder / "articles.db", isolation_level=None)
    start = 0
    for change, rows in enumerate(Generator(rest, folder / "near.npy").blocks(count), start=2):
        pmids = np.arange(start + 1, start + len(rows) + 1)
        start += len(rows)
        insert(connection, pmids, rows, change)
        scores = questions @ rows.T
        nearest[""].take(pmids, scores)
        for name, keep in passes.items():
            nearest[name].take(pmids[keep[pmids]], scores[:, keep[pmids]])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    truth = {name or "all": found.ids for name, found in nearest.items()}
    np.savez(folder / "truth.npz", scores=nearest[""].scores, **truth)
    return {"median_cosine": nearest[""].curve(), "database_mb": _megabytes(folder / "articles.db")}


def new_folder(folder: Path, dimension: int) -> None:
    """Make an empty index for vectors that no model has made."""
    made = Manifest(model="made", fingerprint="made", dimension=dimension, text_rule=TEXT_RULE, vectors="float16")
    create_folder(folder, made)


def insert(connection: sqlite3.Connection, pmids: Pmids, rows: Rows, change: int) -> None:
    """Commit vectors without articles, as one change."""
    stored = rows.astype(np.float16)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)",
        [
            (pmid, change, _TEXT_HASH, data := row.tobytes(), vector_checksum(pmid, _TEXT_HASH, data))
            for pmid, row in zip(pmids.tolist(), stored, strict=True)
        ],
    )
    connection.execute("UPDATE counter SET change = ?", [change])
    connection.execute("COMMIT")


def build(folder: Path) -> dict[str, Any]:
    """Merge all that is pending."""
    writer = IndexWriter(folder)
    begun = time.perf_counter()
    writer.merge()
    found = {"build_s": round(time.perf_counter() - begun, 1), "kind": writer.manifest.vector_segments[0].kind}
    writer.close()
    return {**found, "faiss_mb": sum(_megabytes(path) for path in folder.glob("vectors-*"))}


def ask(folder: Path) -> dict[str, Any]:
    """Open, and ask all questions on one thread, one by one: without a filter and with each."""
    questions, truth = np.load(folder / "questions.npy"), np.load(folder / "truth.npz")
    count = read_manifest(folder).vector_segments[0].count
    reader, found = _opened(folder, questions)
    for name in ("all", *FILTERS):
        allowed = None if name == "all" else allowed_by(name, count)
        answers, seconds = _timed(reader, questions, allowed)
        found[name] = {
            "recall@10": _recall(answers, truth[name], 10),
            **seconds.figures(),
        }
        if name == "all":
            answers, seconds = _timed(reader, questions, allowed, limit=100)
            found["the best 100"] = {"recall@100": _recall(answers, truth[name], 100), **seconds.figures()}
    found["resident_mb"] = _resident()
    reader.close()
    return found


def open_from_disk(folder: Path) -> dict[str, Any]:
    """Open and ask once, when the system has nothing of the files in its memory."""
    for path in filter(Path.is_file, folder.rglob("*")):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    reader, found = _opened(folder, np.load(folder / "questions.npy"))
    reader.close()
    return found


def _opened(folder: Path, questions: Rows) -> tuple[IndexReader, dict[str, Any]]:
    begun = time.perf_counter()
    reader = IndexReader(folder)
    opened = time.perf_counter() - begun
    _timed(reader, questions[:1], None)
    first = time.perf_counter() - begun - opened
    return reader, {"open_s": round(opened, 3), "first_ms": round(first * 1000, 1)}


def _timed(reader: IndexReader, questions: Rows, allowed: Pmids | None, limit: int = 10) -> tuple[list[Pmids], Times]:
    answers, seconds, own = [], [], []
    selection = None if allowed is None else Selection(lambda sql: sql.pmids(allowed.tolist()))
    for place in range(len(questions)):
        begun, busy = time.perf_counter(), time.thread_time()
        with reader.view() as view:
            answers.append(view.nearest(questions[place : place + 1], limit, allowed=selection)[0][0])
        seconds.append(time.perf_counter() - begun)
        own.append(time.thread_time() - busy)
    return answers, Times(seconds, own)


def _recall(answers: list[Pmids], truth: Any, k: int) -> float:
    parts = []
    for found, true in zip(answers, truth, strict=True):
        best = true[:k][true[:k] >= 0]
        parts.append(len(np.intersect1d(found[:k], best)) / max(len(best), 1))
    return round(float(np.mean(parts)), 4)


def update(folder: Path, real: Path, count: int) -> dict[str, Any]:
    """Commit a day's records, some of them revisions, find one of them, and merge while searches go on."""
    _, rest = read_real(real, QUESTIONS)
    # Blocks beyond those of the index; the revised keep what they are about, so the true answers stay nearly the same.
    rows = Generator(rest, folder / "near.npy").block(10**6, UPDATE)
    revised = np.sort(np.random.default_rng(9).choice(count, REVISED, replace=False)) + 1
    pmids = np.concatenate([revised, np.arange(count + 1, count + 1 + UPDATE - REVISED)])
    reader = IndexReader(folder)
    with reader.view() as view:
        old = view.store.vectors(revised.tolist())
    rows[:REVISED] = old[1][np.argsort(old[0])]
    writer = IndexWriter(folder)
    before = _written()
    begun = time.perf_counter()
    insert(writer.store.connection, pmids, rows, writer.store.change() + 1)
    committed = time.perf_counter() - begun
    with reader.view() as view:
        found = view.nearest(rows[-1:], 1)[0][0]
    findable = time.perf_counter() - begun
    asked: list[float] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            asked.extend(_timed(reader, rows[-1:], None)[1].passed)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    merging = time.perf_counter()
    writer.merge_if_due()
    merged = time.perf_counter() - merging
    done.set()
    thread.join()
    writer.close()
    reader.close()
    _learn(folder, pmids[REVISED:], rows[REVISED:])
    return {
        "records": UPDATE,
        "found_before_the_merge": bool(found[0] == pmids[-1]),
        "commit_s": round(committed, 2),
        "findable_s": round(findable, 2),
        "merge_s": round(merged, 2),
        "written_mb": round((_written() - before) / 1e6, 1),
        "segments": [part.count for part in read_manifest(folder).vector_segments],
        "while_merging": {**quantiles(asked), "questions": len(asked)} if asked else {},
    }


def _learn(folder: Path, pmids: Pmids, rows: Rows) -> None:
    """Put new vectors among the true answers, so that what is asked afterwards is held against what is true then."""
    truth = dict(np.load(folder / "truth.npz"))
    nearest = Nearest(np.load(folder / "questions.npy"))
    nearest.ids, nearest.scores = truth["all"], truth["scores"]
    nearest.see(pmids, rows)
    np.savez(folder / "truth.npz", **{**truth, "all": nearest.ids, "scores": nearest.scores})


def _written() -> int:
    """Return how many bytes this process has written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def _resident() -> dict[str, float]:
    """Return the memory of this process: its own, and the pages of files that it has mapped."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "own": round(int(fields["RssAnon"].split()[0]) / 1024),
        "of files": round(int(fields["RssFile"].split()[0]) / 1024),
    }


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
