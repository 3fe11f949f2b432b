"""Static vectors of very many articles, in an index folder of the program itself: merged, opened and asked."""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.neighbours import Generator, Nearest, Rows
from scripts.benchmarks.scale import _resident, aside
from scripts.benchmarks.timing import quantiles, report
from search.article import TEXT_RULE
from search.models.static_vectors import builtin_static
from search.storage.folder.folder_manifest import read_manifest
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.manifest import Manifest

QUESTIONS = 200
#: So many candidates are looked for, as a search does, and the best of them are compared with the true ones.
ASKED, DEPTH = 200, 64


def main() -> None:
    """Make the folder, and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=lambda text: int(text.replace("_", "")), default=1_000_000, help="how many")
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--folder", type=Path, default=Path("indexes/static-codes"), help="where the index is made")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    try:
        figures = {
            "fill": aside(fill, options.folder, options.real, options.n),
            "build": aside(build, options.folder),
            "ask": aside(ask, options.folder),
        }
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    report("static_codes", {"articles": options.n, "questions": QUESTIONS, **figures})


def fill(folder: Path, real: Path, count: int) -> dict[str, Any]:
    """Make the folder with static vectors alone, in between real ones, and find the true answers meanwhile."""
    store = StoreReader(real / "articles.db")
    rows = np.concatenate([vectors for _, vectors in store.vector_batches(kind="static")])
    store.close()
    order = np.random.default_rng(0).permutation(len(rows))
    questions, rest = rows[order[:QUESTIONS]], rows[order[QUESTIONS:]]
    made = Manifest(
        model="made", fingerprint="made", dimension=384, text_rule=TEXT_RULE, vectors="float16",
        static=builtin_static().fingerprint,
    )  # fmt: skip
    create_folder(folder, made)
    nearest, start = Nearest(questions, DEPTH), 0
    connection = sqlite3.connect(folder / "articles.db", isolation_level=None)
    for change, block in enumerate(Generator(rest).blocks(count), start=2):
        codes = np.round(block * (127 / np.abs(block).max(axis=1, keepdims=True))).astype(np.int8)
        pmids = np.arange(start + 1, start + len(block) + 1)
        start += len(block)
        insert(connection, pmids, codes, change)
        stored = codes.astype(np.float32)
        nearest.see(pmids, stored / np.linalg.norm(stored, axis=1, keepdims=True))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    np.savez(folder / "truth.npz", questions=questions, pmids=nearest.ids)
    return {"database_mb": round((folder / "articles.db").stat().st_size / 1e6, 1)}


def insert(connection: sqlite3.Connection, pmids: Any, codes: Any, change: int) -> None:
    """Commit static vectors without articles, as one change."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO static_vectors VALUES (?, ?, ?)",
        [(pmid, change, code.tobytes()) for pmid, code in zip(pmids.tolist(), codes, strict=True)],
    )
    connection.execute("UPDATE counter SET change = ?", [change])
    connection.execute("COMMIT")


def build(folder: Path) -> dict[str, Any]:
    """Merge all of them."""
    writer = IndexWriter(folder)
    writer.merge()
    (part,) = writer.manifest.segments("static")
    writer.close()
    return {"kind": part.kind, "faiss_mb": round(part.size / 1e6, 1)}


def ask(folder: Path) -> dict[str, Any]:
    """Open, and ask all questions on one thread, one by one; the first round is not counted."""
    kept = np.load(folder / "truth.npz")
    begun = time.perf_counter()
    reader = IndexReader(folder)
    opened = time.perf_counter()
    _nearest(reader, kept["questions"][:1])
    first = time.perf_counter()
    for question in kept["questions"]:
        _nearest(reader, question[None])
    found, passed, own = [], [], []
    for question in kept["questions"]:
        start, busy = time.perf_counter(), time.thread_time()
        found.append(_nearest(reader, question[None]))
        passed.append(time.perf_counter() - start)
        own.append(time.thread_time() - busy)
    recall = np.mean([len(np.intersect1d(a, b)) / DEPTH for a, b in zip(found, kept["pmids"], strict=True)])
    resident = _resident()
    reader.close()
    return {
        "segments": [part.count for part in read_manifest(folder).segments("static")],
        "open_s": round(opened - begun, 3),
        "first_ms": round((first - opened) * 1000, 1),
        f"recall@{DEPTH}": round(float(recall), 4),
        "passed": quantiles(passed),
        "of the processor": quantiles(own),
        "resident_mb": resident,
    }


def _nearest(reader: IndexReader, question: Rows) -> Any:
    with reader.view() as view:
        return view.static_nearest(question, ASKED)[0][0][:DEPTH]


if __name__ == "__main__":
    main()
