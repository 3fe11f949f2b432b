"""Vectors by the million that lie among each other as real ones do, made from some thousands of real ones.

A vector is a point between a real one (the anchor) and one of its 16 nearest, up to half the way, plus up to .75 of the
difference of two other real neighbours: a step of a real direction and length. Questions are real vectors, held out.
Run as a program it prints how near the nearest, tenth and hundredth are to a question, by the number of vectors, for
the made and the real; docs/benchmarks tells what that shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scripts.benchmarks.timing import report
from search.storage.folder.sqlite_reader import StoreReader

__all__ = ["Generator", "Nearest", "read_real"]

Rows = npt.NDArray[np.float32]

#: Neighbours of an anchor that are mixed with it, how far at most, and the length of the step at most.
_NEAR, _MIX, _STEP = 16, 0.5, 0.75
#: Neighbours whose differences are taken as steps.
_STEPS_FROM = 64

BLOCK = 25_000


def read_real(index: Path, questions: int) -> tuple[Rows, Rows]:
    """Return so many vectors of an index as questions, and the others; always the same for the same index."""
    store = StoreReader(index / "articles.db")
    rows = np.concatenate([vectors for _, vectors in store.vector_batches()])
    store.close()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order[:questions]], rows[order[questions:]]


class Generator:
    """Makes vectors from real ones, block by block; a block is the same whenever it is made.

    `remembered` is a file for what takes long to find out about the real ones.
    """

    def __init__(self, real: Rows, remembered: Path | None = None) -> None:
        self._real = real
        if remembered is None or not remembered.exists():
            self._near = _neighbours(real, _STEPS_FROM)
        else:
            self._near = np.load(remembered)
        if remembered is not None:
            np.save(remembered, self._near)

    def block(self, number: int, size: int = BLOCK) -> Rows:
        """Return the block of this number, (size, dimension) with unit rows rounded to float16."""
        random = np.random.default_rng([1, number])
        real, near = self._real, self._near
        anchors = random.integers(0, len(real), size)
        mix = (_MIX * random.random(size, np.float32))[:, None]
        rows = (1 - mix) * real[anchors] + mix * real[near[anchors, random.integers(0, _NEAR, size)]]
        others = random.integers(0, len(real), size)
        step = (_STEP * random.random(size, np.float32))[:, None]
        rows += step * (real[others] - real[near[others, random.integers(0, near.shape[1], size)]])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype(np.float16).astype(np.float32)

    def blocks(self, count: int) -> Iterator[Rows]:
        """Yield `count` vectors in blocks."""
        for number, start in enumerate(range(0, count, BLOCK)):
            yield self.block(number, min(BLOCK, count - start))


class Nearest:
    """Keeps the nearest of all rows that it is shown, exactly, for each question."""

    def __init__(self, questions: Rows, keep: int = 100) -> None:
        self._questions = questions
        self.scores = np.full((len(questions), keep), -2, np.float32)
        self.ids = np.full((len(questions), keep), -1, np.int64)

    def see(self, ids: npt.NDArray[np.int64], rows: Rows) -> None:
        """Compare some more rows."""
        self.take(ids, self._questions @ rows.T)

    def take(self, ids: npt.NDArray[np.int64], found: Rows) -> None:
        """Take the cosines of all questions to some more rows, (questions, rows)."""
        keep = self.scores.shape[1]
        # Only what beats the worst that is kept matters: few, after the first blocks.
        for place, line in enumerate(found):
            better = np.flatnonzero(line > self.scores[place, -1])
            if not len(better):
                continue
            scores = np.concatenate([self.scores[place], line[better]])
            best = np.argsort(-scores, kind="stable")[:keep]
            self.scores[place], self.ids[place] = (
                scores[best],
                np.concatenate([self.ids[place], ids[better]])[best],
            )

    def curve(self) -> dict[str, float]:
        """Return the median cosine to the nearest, the tenth and the hundredth."""
        middle = np.median(self.scores, axis=0)
        return {"nearest": round(float(middle[0]), 3), "10th": round(float(middle[9]), 3),
                "100th": round(float(middle[-1]), 3)}  # fmt: skip


def _neighbours(rows: Rows, count: int) -> npt.NDArray[np.int32]:
    """Return the places of the nearest of each row, nearest first, (n, count)."""
    found = np.empty((len(rows), count), np.int32)
    for start in range(0, len(rows), 1000):
        scores = rows[start : start + 1000] @ rows.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -2
        best = np.argpartition(-scores, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        found[start : start + 1000] = np.take_along_axis(best, order, axis=1)
    return found


def main() -> None:
    """Print the curves of the real and the made vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("indexes/pubmed"), help="an index of real articles")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    questions, real = read_real(options.real, 1000)
    curves: dict[str, dict[int, dict[str, float]]] = {"real": {}, "made": {}}
    for name, blocks in (("real", _cut(real)), ("made", _cut_blocks(Generator(real), options.n))):
        nearest, seen = Nearest(questions), 0
        for rows in blocks:
            nearest.see(np.arange(seen, seen + len(rows)), rows)
            seen += len(rows)
            curves[name][seen] = nearest.curve()
    report("neighbours", {"questions": len(questions), "median_cosine": curves})


def _cut(real: Rows) -> Iterator[Rows]:
    """Cut the real ones so that each cut doubles what has been seen."""
    whole = len(real)
    ends = [whole // 32, whole // 16, whole // 8, whole // 4, whole // 2, whole]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        yield real[start:end]


def _cut_blocks(generator: Generator, count: int) -> Iterator[Rows]:
    """Join blocks so that each cut doubles what has been seen."""
    due, held = BLOCK, []
    seen = 0
    for rows in generator.blocks(count):
        held.append(rows)
        seen += len(rows)
        if seen >= due or seen == count:
            yield from [np.concatenate(held)]
            held, due = [], due * 2


if __name__ == "__main__":
    main()
