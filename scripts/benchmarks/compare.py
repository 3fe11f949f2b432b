"""Recall, latency, memory and building of other vector indexes on the vectors that `scale` makes, asked in turn.

Building takes long and asking is what others' work disturbs: `--steps build --folder F` on a busy machine, then
`--steps ask --folder F` on a quiet one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.benchmarks.neighbours import Generator, Nearest, Rows, read_real
from scripts.benchmarks.timing import quantiles, ratio, report

Ids = npt.NDArray[np.int64]
#: Given a question, (1, dimension), and how many are wanted: the rows that are nearest, best first.
Ask = Callable[[Rows, int], Ids]

LIMIT = 10
#: Candidates that a packed-bit index is asked for before their exact comparison.
RESCORED = 400
#: Questions are asked so often, in turn; the first round is not counted.
ROUNDS = 3


class Candidate(NamedTuple):
    """A kind of index: `build` makes it in a folder, `load` opens it there; `library` is what both import."""

    build: Callable[[Rows, Path], None]
    load: Callable[[Path, int], Ask]
    library: str


def build_ours(rows: Rows, folder: Path) -> None:
    """Build an index folder of the program."""
    from scripts.benchmarks.scale import insert, new_folder
    from search.storage.folder.folder_writer import IndexWriter

    new_folder(folder, rows.shape[1])
    writer = IndexWriter(folder)
    for change, start in enumerate(range(0, len(rows), 25_000), start=2):
        block = rows[start : start + 25_000]
        insert(writer.store.connection, np.arange(start + 1, start + len(block) + 1), block, change)
    writer.merge()
    writer.close()


def load_ours(folder: Path, dimension: int) -> Ask:
    """Ask as a search does: candidates, then exact cosines from SQLite."""
    from search.storage.folder.folder_reader import IndexReader

    reader = IndexReader(folder)

    def ask(question: Rows, limit: int) -> Ids:
        with reader.view() as view:
            return view.nearest(question, limit)[0][0] - 1

    return ask


def build_txtai(rows: Rows, folder: Path) -> None:
    """Build what txtai builds with Faiss where nothing is configured."""
    from txtai.ann import ANNFactory

    index = ANNFactory.create({"backend": "faiss", "dimensions": rows.shape[1]})
    index.index(rows)
    index.save(str(folder / "index"))
    (folder / "config.json").write_text(json.dumps(index.config, default=str))


def load_txtai(folder: Path, dimension: int) -> Ask:
    """Load it as txtai does."""
    from txtai.ann import ANNFactory

    index = ANNFactory.create({**json.loads((folder / "config.json").read_text()), "backend": "faiss"})
    index.load(str(folder / "index"))
    return lambda question, limit: np.array([found for found, _ in index.search(question, limit)[0]])


def build_flat(rows: Rows, folder: Path) -> None:
    """Keep every vector in float32."""
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    faiss.write_index(index, str(folder / "index"))


def load_flat(folder: Path, dimension: int) -> Ask:
    """Compare every vector."""
    import faiss

    index = faiss.read_index(str(folder / "index"))
    return lambda question, limit: index.search(question, limit)[1][0]


def build_bits(rows: Rows, folder: Path) -> None:
    """Keep one bit a dimension of every vector, and every vector in float16."""
    import faiss

    mean = rows[:100_000].mean(axis=0)
    index = faiss.IndexBinaryFlat(rows.shape[1])
    stored = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float16, rows.shape)
    for start in range(0, len(rows), 25_000):
        block = rows[start : start + 25_000]
        index.add(np.packbits(block > mean, axis=1))
        stored[start : start + len(block)] = block
    faiss.write_index_binary(index, str(folder / "index"))
    np.save(folder / "mean.npy", mean)


def load_bits(folder: Path, dimension: int) -> Ask:
    """Compare the bits of all, and the best of them exactly, from float16 in memory."""
    import faiss

    index = faiss.read_index_binary(str(folder / "index"))
    mean, stored = np.load(folder / "mean.npy"), np.load(folder / "rows.npy")

    def ask(question: Rows, limit: int) -> Ids:
        found = index.search(np.packbits(question > mean, axis=1), RESCORED)[1][0]
        return found[np.argsort(-(stored[found].astype(np.float32) @ question[0]))[:limit]]

    return ask


def build_hnswlib(rows: Rows, folder: Path) -> None:
    """Build a graph with hnswlib's defaults (M 16, 200 while building)."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows))
    index.add_items(rows, num_threads=os.cpu_count() or 1)
    index.save_index(str(folder / "index"))


def load_hnswlib(folder: Path, dimension: int) -> Ask:
    """Search it with ef 100."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=dimension)
    index.load_index(str(folder / "index"))
    index.set_ef(100)
    return lambda question, limit: index.knn_query(question, limit, num_threads=1)[0][0].astype(np.int64)


def build_usearch(rows: Rows, folder: Path) -> None:
    """Build a graph with usearch's defaults."""
    from usearch.index import Index

    index = Index(ndim=rows.shape[1], metric="ip")
    index.add(np.arange(len(rows)), rows, threads=os.cpu_count() or 1)
    index.save(str(folder / "index"))


def load_usearch(folder: Path, dimension: int) -> Ask:
    """Load it into memory."""
    from usearch.index import Index

    index = Index(ndim=dimension, metric="ip")
    index.load(str(folder / "index"))
    return lambda question, limit: np.array(index.search(question[0], limit, threads=1).keys, np.int64)


CANDIDATES = {
    "this program": Candidate(build_ours, load_ours, "search.storage"),
    "txtai, Faiss": Candidate(build_txtai, load_txtai, "txtai.ann"),
    "usearch": Candidate(build_usearch, load_usearch, "usearch.index"),
    "hnswlib": Candidate(build_hnswlib, load_hnswlib, "hnswlib"),
    "Faiss flat": Candidate(build_flat, load_flat, "faiss"),
    "packed bits, flat": Candidate(build_bits, load_bits, "faiss"),
}


def main() -> None:
    """Build each in a process of its own, one after the other; then ask them all each question in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=lambda text: int(text.replace("_", "")), default=100_000, help="how many vectors")
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("indexes/compare"), help="where the indexes are made")
    parser.add_argument("--steps", default="build,ask", help="one of them, on a folder that was kept")
    parser.add_argument("--only", help="some of the kinds, separated by semicolons")
    parser.add_argument("--keep", action="store_true", help="do not remove them afterwards")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    names = options.only.split(";") if options.only else list(CANDIDATES)
    if "build" in options.steps:
        _make(options.folder, options.real, options.questions, options.n)
        for name in names:
            _build(name, options.folder)
    if "ask" in options.steps:
        report("compare", {"vectors": options.n, "questions": options.questions, **_ask_all(names, options.folder)})
    if not options.keep:
        shutil.rmtree(options.folder)


def _make(folder: Path, real_index: Path, wanted: int, count: int) -> None:
    """Write the vectors, the questions and the true answers, unless they are there."""
    if (folder / "truth.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    questions, real = read_real(real_index, wanted)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, (count, real.shape[1]))
    nearest, seen = Nearest(questions, LIMIT), 0
    for block in Generator(real).blocks(count):
        rows[seen : seen + len(block)] = block
        nearest.see(np.arange(seen, seen + len(block)), block)
        seen += len(block)
    rows.flush()
    np.save(folder / "questions.npy", questions)
    np.save(folder / "truth.npy", nearest.ids)


def _place(name: str, folder: Path) -> Path:
    return folder / name.replace(" ", "-").replace(",", "")


def _build(name: str, folder: Path) -> None:
    """Build one, unless it is there, in a process of its own; what it took is kept beside it."""
    if (_place(name, folder) / "built.json").exists():
        return
    shutil.rmtree(_place(name, folder), ignore_errors=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(name, pool.apply(_built, (name, folder)), flush=True)


def _built(name: str, folder: Path) -> dict[str, float]:
    place = _place(name, folder)
    place.mkdir()
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    before, begun = time.process_time(), time.perf_counter()
    CANDIDATES[name].build(rows, place)
    figures = {
        "build_s": round(time.perf_counter() - begun, 1),
        "build_processor_s": round(time.process_time() - before, 1),
        "build_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "disk_mb": round(sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6, 1),
    }
    (place / "built.json").write_text(json.dumps(figures))
    return figures


def _ask_all(names: list[str], folder: Path) -> dict[str, Any]:
    questions, truth = np.load(folder / "questions.npy"), np.load(folder / "truth.npy")
    workers = {name: _start(name, folder, questions.shape[1]) for name in names}
    figures: dict[str, Any] = {
        name: json.loads((_place(name, folder) / "built.json").read_text()) | worker.recv()
        for name, worker in workers.items()
    }
    rounds: dict[str, list[list[float]]] = {name: [[] for _ in range(ROUNDS)] for name in names}
    recall: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS):
        for place, question in enumerate(questions):
            for name, worker in workers.items():
                worker.send(question[None])
                found, took = worker.recv()
                rounds[name][number].append(took)
                recall[name].append(len(np.intersect1d(found, truth[place, :LIMIT])) / LIMIT)
    for worker in workers.values():
        worker.send(None)
    for name, measured in rounds.items():
        counted = measured[1:]
        figures[name] |= {"recall@10": round(statistics.mean(recall[name]), 4), **quantiles(sum(counted, []))}
        figures[name] |= {"to_this_program": ratio(sum(counted, []), sum(rounds[names[0]][1:], []))}
    return {"indexes": figures}


def _start(name: str, folder: Path, dimension: int) -> Connection:
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    context.Process(target=_serve, args=(name, folder, dimension, far), daemon=True).start()
    # One loads at a time.
    near.poll(None)
    return near


def _serve(name: str, folder: Path, dimension: int, pipe: Connection) -> None:
    import faiss

    faiss.omp_set_num_threads(1)
    # What a library takes by itself is not counted.
    importlib.import_module(CANDIDATES[name].library)
    before, begun = _memory(), time.perf_counter()
    ask = CANDIDATES[name].load(_place(name, folder), dimension)
    ask(np.full((1, dimension), dimension**-0.5, np.float32), LIMIT)
    pipe.send({"load_s": round(time.perf_counter() - begun, 2), "memory_mb": round(_memory() - before)})
    while (question := pipe.recv()) is not None:
        begun = time.perf_counter()
        found = ask(question, LIMIT)
        pipe.send((found, time.perf_counter() - begun))


def _memory() -> float:
    """Return the memory of this process that is not pages of files, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e6


if __name__ == "__main__":
    main()
