"""A search of an index with the question encoded already: p50, p95, p99 in each mode, with and without filters."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from typing import Any

import numpy as np

from scripts.benchmarks.timing import data_folder, quantiles, report
from search import Filters, Index
from search.retrieval.engine import Engine
from search.retrieval.request import SearchOptions

QUESTIONS = 200


def main() -> None:
    """Ask the titles of random articles, in turn over all kinds of search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="indexes/pubmed")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    texts = _titles()
    with Index.open(options.index) as index:
        vectors = index.encoder.encode(texts, kind="query")
        kinds: dict[str, tuple[str, Filters]] = {
            "semantic": ("semantic", Filters()),
            "semantic, since 2010": ("semantic", Filters(year_from=2010)),
            "semantic, one heading": ("semantic", _asthma()),
            "lexical": ("lexical", Filters()),
            "hybrid": ("hybrid", Filters()),
            "hybrid, since 2010": ("hybrid", Filters(year_from=2010)),
        }
        seconds = _measure(index, texts, vectors, kinds)
        figures = {name: quantiles(runs) for name, runs in seconds.items()}
        report("query", {"articles": index.status().articles, "questions": len(texts), "milliseconds": figures})


def _asthma() -> Filters:
    from search.retrieval.filters import MeshTerm

    return Filters(mesh=(MeshTerm("Asthma"),))


def _titles() -> list[str]:
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        titles = [json.loads(line)["title"] for line in stream]
    return random.Random(0).sample(titles, QUESTIONS)


def _measure(index: Index, texts: list[str], vectors: Any, kinds: dict[str, tuple[str, Filters]]) -> dict[str, Any]:
    row = dict(zip(texts, vectors, strict=True))
    engine = Engine(index._reader, lambda texts, kind: np.stack([row[text] for text in texts]))
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for text in texts:
        for name, (mode, filters) in kinds.items():
            options = SearchOptions(limit=10, mode=mode, filters=filters)  # type: ignore[arg-type]
            begun = time.perf_counter()
            engine.search([text], options)
            seconds[name].append(time.perf_counter() - begun)
    return {name: runs[10:] for name, runs in seconds.items()}


if __name__ == "__main__":
    main()
