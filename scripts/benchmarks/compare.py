"""Recall, latency, memory and building of other vector indexes on the vectors that `scale` makes, asked in turn."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.benchmarks.neighbours import Generator, Nearest, Rows, read_real
from scripts.benchmarks.timing import quantiles, report

Ids = npt.NDArray[np.int64]
#: Given a question, (1, dimension), and how many are wanted: the rows that are nearest, best first.
Ask = Callable[[Rows, int], Ids]

LIMIT = 10
#: Candidates that a packed-bit index is asked for before their exact comparison.
RESCORED = 400


def ours(rows: Rows, folder: Path) -> Ask:
    """Build an index folder of the program, and ask it as a search does: candidates, then exact cosines from SQLite."""
    from scripts.benchmarks.scale import insert, new_folder
    from search.index import IndexReader, IndexWriter

    new_folder(folder, rows.shape[1])
    writer = IndexWriter(folder)
    insert(writer.store.connection, np.arange(1, len(rows) + 1), rows, writer.store.change() + 1)
    writer.merge()
    writer.close()
    reader = IndexReader(folder)

    def ask(question: Rows, limit: int) -> Ids:
        with reader.view() as view:
            return view.nearest(question, limit)[0][0] - 1

    return ask


def txtai_faiss(rows: Rows, folder: Path) -> Ask:
    """Build what txtai builds with Faiss where nothing is configured."""
    from txtai.ann import ANNFactory

    index = ANNFactory.create({"backend": "faiss", "dimensions": rows.shape[1]})
    index.index(rows)
    return lambda question, limit: np.array([found for found, _ in index.search(question, limit)[0]])


def faiss_flat(rows: Rows, folder: Path) -> Ask:
    """Compare every vector, in float32."""
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return lambda question, limit: index.search(question, limit)[1][0]


def packed_bits(rows: Rows, folder: Path) -> Ask:
    """Compare one bit a dimension of every vector, and the best of them exactly, from float16."""
    import faiss

    mean = rows.mean(axis=0)
    index = faiss.IndexBinaryFlat(rows.shape[1])
    index.add(np.packbits(rows > mean, axis=1))
    stored = rows.astype(np.float16)

    def ask(question: Rows, limit: int) -> Ids:
        found = index.search(np.packbits(question > mean, axis=1), RESCORED)[1][0]
        return found[np.argsort(-(stored[found].astype(np.float32) @ question[0]))[:limit]]

    return ask


def hnswlib(rows: Rows, folder: Path) -> Ask:
    """Build a graph with hnswlib's defaults (M 16, 200 while building), searched with ef 100."""
    import hnswlib as library

    index = library.Index(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows))
    index.add_items(rows, num_threads=os.cpu_count() or 1)
    index.set_ef(100)
    return lambda question, limit: index.knn_query(question, limit, num_threads=1)[0][0].astype(np.int64)


def usearch(rows: Rows, folder: Path) -> Ask:
    """Build a graph with usearch's defaults."""
    from usearch.index import Index

    index = Index(ndim=rows.shape[1], metric="ip")
    index.add(np.arange(len(rows)), rows, threads=os.cpu_count() or 1)
    return lambda question, limit: np.array(index.search(question[0], limit, threads=1).keys, np.int64)


CANDIDATES = {
    "this program": ours,
    "txtai, Faiss": txtai_faiss,
    "usearch": usearch,
    "hnswlib": hnswlib,
    "Faiss flat": faiss_flat,
    "packed bits, flat": packed_bits,
}


def main() -> None:
    """Build each in a process of its own, one after the other; then ask them all each question in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=lambda text: int(text.replace("_", "")), default=100_000, help="how many vectors")
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    questions, real = read_real(options.real, options.questions)
    with tempfile.TemporaryDirectory() as place:
        rows_file = Path(place) / "rows.npy"
        truth = _make(rows_file, real, questions, options.n)
        workers = {name: _start(name, rows_file, Path(place)) for name in CANDIDATES}
        figures = {name: worker.recv() for name, worker in workers.items()}
        print(figures, flush=True)
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        recall: dict[str, list[float]] = {name: [] for name in workers}
        for place_of, question in enumerate(questions):
            for name, worker in workers.items():
                worker.send(question[None])
                found, took = worker.recv()
                seconds[name].append(took)
                recall[name].append(len(np.intersect1d(found, truth[place_of, :LIMIT])) / LIMIT)
        for name, worker in workers.items():
            worker.send(None)
            figures[name] |= {"recall@10": round(statistics.mean(recall[name]), 4), **quantiles(seconds[name][5:])}
    report("compare", {"vectors": options.n, "questions": len(questions), "indexes": figures})


def _make(path: Path, real: Rows, questions: Rows, count: int) -> Ids:
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (count, real.shape[1]))
    nearest, seen = Nearest(questions, LIMIT), 0
    for block in Generator(real).blocks(count):
        rows[seen : seen + len(block)] = block
        nearest.see(np.arange(seen, seen + len(block)), block)
        seen += len(block)
    rows.flush()
    return nearest.ids


def _start(name: str, rows_file: Path, place: Path) -> Connection:
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    context.Process(target=_serve, args=(name, rows_file, place / name.replace(" ", "-"), far), daemon=True).start()
    # One builds at a time: wait until it is ready, and keep its figures for later.
    near.poll(None)
    return near


def _serve(name: str, rows_file: Path, folder: Path, pipe: Connection) -> None:
    rows = np.load(rows_file)
    before = _memory()
    begun = time.perf_counter()
    ask = CANDIDATES[name](rows, folder)
    built = time.perf_counter() - begun
    count = len(rows)
    del rows
    ask(np.zeros((1, np.load(rows_file, mmap_mode="r").shape[1]), np.float32), LIMIT)
    figures: dict[str, Any] = {"build_s": round(built, 1), "memory_mb": round(_memory() - before + _rows_mb(rows_file))}
    pipe.send({**figures, "bytes_a_vector": round(figures["memory_mb"] * 1e6 / count)})
    import faiss

    faiss.omp_set_num_threads(1)
    while (question := pipe.recv()) is not None:
        begun = time.perf_counter()
        found = ask(question, LIMIT)
        pipe.send((found, time.perf_counter() - begun))


def _memory() -> float:
    """Return the memory of this process that is not pages of files, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e6


def _rows_mb(path: Path) -> float:
    """Return the size of the vectors in memory, which were counted before and are gone after."""
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    main()
