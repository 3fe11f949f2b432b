"""Kinds of Faiss index on the vectors that `scale` makes: recall of the candidates, by cells looked into and number."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from scripts.benchmarks.neighbours import Generator, Nearest, Rows, read_real
from scripts.benchmarks.timing import quantiles, report

CANDIDATES = (100, 200, 400, 800)
SHARES = (128, 64, 32, 16, 8)


def main() -> None:
    """Build each kind, write it, open it memory-mapped, and ask on one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="+", help="Faiss factory strings such as IVF1024,RaBitQfs")
    parser.add_argument("--n", type=lambda text: int(text.replace("_", "")), default=100_000, help="how many vectors")
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    questions, real = read_real(options.real, options.questions)
    generator, nearest, seen = Generator(real), Nearest(questions), 0
    for rows in generator.blocks(options.n):
        nearest.see(np.arange(seen, seen + len(rows)), rows)
        seen += len(rows)
    figures = {kind: measure(kind, generator, options.n, questions, nearest.ids) for kind in options.kinds}
    report("kinds", {"vectors": options.n, "questions": len(questions), "median_cosine": nearest.curve(), **figures})


def measure(
    kind: str, generator: Generator, count: int, questions: Rows, truth: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Return what building took, the size, and a row for each number of cells and candidates."""
    begun = time.perf_counter()
    index = faiss.index_factory(questions.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical, index.cp.niter = True, 10
    wanted, blocks = index.nlist * 50, []
    for rows in generator.blocks(count):
        blocks.append(rows[:: max(1, count // wanted)])
    index.train(np.concatenate(blocks))
    seen = 0
    for rows in generator.blocks(count):
        index.add_with_ids(rows, np.arange(seen, seen + len(rows)))
        seen += len(rows)
    built = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "index.faiss"
        faiss.write_index(index, str(path))
        opened = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        faiss.omp_set_num_threads(1)
        rows_found = [
            _ask(opened, questions, truth, cells, number)
            for cells in sorted({max(1, index.nlist // share) for share in SHARES})
            for number in CANDIDATES
        ]
        size = path.stat().st_size
    faiss.omp_set_num_threads(0)
    return {"build_s": round(built, 1), "bytes_a_vector": round(size / count, 1), "search": rows_found}


def _ask(index: Any, questions: Rows, truth: npt.NDArray[np.int64], cells: int, number: int) -> dict[str, float]:
    parameters = faiss.SearchParametersIVF(nprobe=cells)
    ten, hundred, seconds = 0, 0, []
    for place in range(len(questions)):
        begun = time.perf_counter()
        _, found = index.search(questions[place : place + 1], number, params=parameters)
        seconds.append(time.perf_counter() - begun)
        ten += len(np.intersect1d(found, truth[place, :10]))
        hundred += len(np.intersect1d(found, truth[place]))
    return {"cells": cells, "candidates": number, "recall@10": round(ten / len(questions) / 10, 4),
            "recall@100": round(hundred / len(questions) / 100, 4), **quantiles(seconds)}  # fmt: skip


if __name__ == "__main__":
    main()
