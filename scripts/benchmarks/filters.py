"""Searches with filters that 1 article in 2 ... 1 in 100,000 passes, against the search without: time and recall."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from scripts.benchmarks.timing import quantiles, report
from search.article import Article, MeshHeading
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters, MeshTerm
from search.retrieval.request import SearchOptions
from search.storage.backend import Selection, View
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter, create_folder
from search.storage.manifest import Manifest
from search.storage.rows import Vectors, prepare

SHARES = (2, 10, 100, 1_000, 10_000, 100_000)
DIMENSION, TOPICS, BATCH, QUESTIONS, LIMIT = 384, 2_000, 5_000, 60, 10


def made_vectors(random: np.random.Generator, count: int, centres: Vectors) -> Vectors:
    """Return unit vectors around the centres of topics: two of a topic have a cosine of about .55."""
    spread = random.standard_normal((count, DIMENSION)) * (0.9 / np.sqrt(DIMENSION))
    vectors = centres[random.integers(0, len(centres), count)] + spread
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def build(folder: Path, count: int, random: np.random.Generator, centres: Vectors) -> None:
    """Make an index of articles; every `n`th of them has the MeSH heading `One in n`."""
    create_folder(
        folder, Manifest(model="made", fingerprint="made", dimension=DIMENSION, text_rule="made", vectors="float16")
    )
    writer = IndexWriter(folder)
    for start in range(1, count + 1, BATCH):
        pmids = range(start, min(start + BATCH, count + 1))
        rows = [prepare(_article(pmid)) for pmid in pmids]
        writer.store.apply(writer.store.plan(rows), made_vectors(random, len(rows), centres))
    writer.merge()
    writer.close()


def _article(pmid: int) -> Article:
    headings = tuple(MeshHeading(f"One in {share}") for share in SHARES if pmid % share == share // 2)
    return Article(pmid=pmid, title=f"Article {pmid}", mesh_headings=headings)


def measure(
    reader: IndexReader, questions: Vectors, filters: Filters, truth: Truth
) -> tuple[list[float], list[float], float]:
    """Return seconds with a filter seen for the first time and seen before, and the share of the true top that came."""
    first: list[float] = []
    again: list[float] = []
    found: list[set[int]] = []
    for row in range(len(questions)):
        options = SearchOptions(limit=LIMIT, mode="semantic", filters=filters, fold=False)
        engine = Engine(reader, lambda texts, kind, r=row: questions[r : r + 1])  # type: ignore[misc]
        for seconds in (first, again):
            begun = time.perf_counter()
            (hits,) = engine.search(["a question"], options)
            seconds.append(time.perf_counter() - begun)
        found.append({hit.pmid for hit in hits})
    with reader.view() as view:
        true = truth.top(questions, engine.allowed(view, filters))
    shares = [len(ours & theirs) / max(len(theirs), 1) for ours, theirs in zip(found, true, strict=True)]
    return first, again, statistics.mean(shares)


class Truth:
    """The articles nearest to a question among some, by comparing all."""

    def __init__(self, view: View, count: int) -> None:
        self._pmids, self._vectors = view.store.vectors(range(1, count + 1))

    def top(self, questions: Vectors, allowed: Selection | None) -> list[set[int]]:
        """Return the PMIDs of the nearest to each question."""
        scores = questions @ self._vectors.T
        if allowed is not None:
            scores[:, ~np.isin(self._pmids, allowed.pmids)] = -2
            best = np.argsort(-scores, axis=1, kind="stable")[:, : min(LIMIT, len(allowed.pmids))]
        else:
            best = np.argsort(-scores, axis=1, kind="stable")[:, :LIMIT]
        return [set(self._pmids[row].tolist()) for row in best]


def main() -> None:
    """Measure in turn over the filters, so that a slow moment is everyone's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=200_000)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    print(options)
    random = np.random.default_rng(0)
    centres = made_vectors(random, TOPICS, np.zeros((1, DIMENSION), np.float32))
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        build(folder, options.articles, random, centres)
        reader = IndexReader(folder)
        questions = made_vectors(random, QUESTIONS, centres)
        with reader.view() as view:
            print(view.vector_index())
            truth = Truth(view, options.articles)
        for name, filters in kinds().items():
            base = statistics.median(measure(reader, questions, Filters(), truth)[1])
            first, again, found = measure(reader, questions, filters, truth)
            figures[name] = {
                "first": quantiles(first), "again": quantiles(again), "true top found": round(found, 4),
                "first / unfiltered": round(statistics.median(first) / base, 2),
                "again / unfiltered": round(statistics.median(again) / base, 2),
            }  # fmt: skip
        reader.close()
    report("filters", {"articles": options.articles, **figures})


def kinds() -> dict[str, Filters]:
    """Return the filters by what share they let pass."""
    return {
        "none": Filters(),
        **{f"1 in {n:,}": Filters(mesh=(MeshTerm(f"One in {n}"),)) for n in SHARES},
    }


if __name__ == "__main__":
    main()
