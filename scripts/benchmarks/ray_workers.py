"""Encoding what is stale with a Ray cluster of this machine against the built-in path: start and rate, in turn."""

from __future__ import annotations

import argparse
import functools
import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from scripts.benchmarks.timing import data_folder, ratio, report
from search import Index
from search.ingest.pipeline import encode_stale
from search.ingest.ray_cluster import encode_on_cluster, ray_cluster
from search.models import Encoder, load_encoder
from search.storage import backend

#: Letters beyond what any model reads of a text, and articles in PubMed.
_LONGEST, _PUBMED = 8_000, 37_000_000


def main() -> None:
    """Encode copies of one index by each path, each time in a new process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--articles", type=int, default=1_024)
    parser.add_argument("--workers", type=int, default=2, help="where there are no GPUs; there is one for each GPU")
    parser.add_argument("--longest", action="store_true", help="make every text as long as the model reads")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    # The model is compiled, and what `auto` chooses is measured, before anything is timed.
    found = load_encoder(options.model)
    found.encode(["warm"] * 256)
    by_ray = functools.partial(ray, options.workers)
    runs: dict[str, list[dict[str, float]]] = {"built-in": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        stale = Path(folder) / "stale"
        make(stale, options.model, options.articles, longest=options.longest)
        for turn, (name, path) in itertools.product(range(options.runs), (("built-in", built_in), ("ray", by_ray))):
            copy = Path(shutil.copytree(stale, Path(folder) / "copy"))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                runs[name].append(pool.apply(path, (copy, options.model)))
            shutil.rmtree(copy)
            print(f"{turn + 1} {name}: {runs[name][-1]}", file=sys.stderr)
    report(
        "ray_workers",
        {
            "model": options.model,
            "backend": found.backend,
            "precision": found.precision,
            "articles": options.articles,
            "longest_texts": options.longest,
            "workers": options.workers,
            "cores": len(os.sched_getaffinity(0)),
            **{name: summary(some, options.articles) for name, some in runs.items()},
            "ray_times_as_fast": ratio(*([run["encode_s"] for run in runs[name]] for name in runs)),
            "ray_times_as_fast_with_its_start": ratio(
                *([run["start_s"] + run["encode_s"] for run in runs[name]] for name in runs)
            ),
        },
    )


def make(folder: Path, model: str, count: int, *, longest: bool) -> None:
    """Make an index of titles with abstracts, drawn from the real records, without any vector."""
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        records = [record for record in map(json.loads, stream) if record["abstract"]]
    chosen = random.Random(0).sample(records, count)
    for record in chosen if longest else ():
        record["abstract"] = " ".join([record["abstract"]] * (_LONGEST // len(record["abstract"]) + 1))
    source = folder.with_suffix(".jsonl")
    source.write_text("".join(json.dumps(record) + "\n" for record in chosen))
    with Index.create(folder, model=model) as index:
        index.add(source, encode=False)


def built_in(folder: Path, model: str) -> dict[str, float]:
    """Encode in this process; to start is to load the model."""
    begun = time.time()
    encoder = load_encoder(model)
    ready = time.time()
    writer = backend.open_writer(folder)
    encode_stale(writer, encoder)
    return finished(writer, begun, ready, ready)


def ray(workers: int, folder: Path, model: str) -> dict[str, float]:
    """Encode by a cluster of this machine; to start is to start it, and to load the model in its first worker."""
    warnings.simplefilter("ignore")
    begun = time.time()
    marks = folder.parent / "ready"
    marks.mkdir(exist_ok=True)
    with ray_cluster("local") as cluster:
        started = time.time()
        writer = backend.open_writer(folder)
        encode_on_cluster(writer, cluster, functools.partial(noting, marks, model), workers=workers)
        ready = min(float(mark.read_text()) for mark in marks.iterdir())
        found = finished(writer, begun, started, ready)
    shutil.rmtree(marks)
    return found


def noting(marks: Path, model: str) -> Encoder:
    """Load the model on a worker, and note when that was done."""
    encoder = load_encoder(model)
    (marks / str(os.getpid())).write_text(str(time.time()))
    return encoder


def finished(writer: backend.Writer, begun: float, started: float, ready: float) -> dict[str, float]:
    """Return the seconds of a run's parts; all must have been encoded."""
    ended = time.time()
    if writer.store.counts()["stale"]:
        sys.exit("not all articles were encoded")
    writer.close()
    return {
        "cluster_s": round(started - begun, 2),
        "start_s": round(ready - begun, 2),
        "encode_s": round(ended - ready, 2),
    }


def summary(runs: list[dict[str, float]], articles: int) -> dict[str, Any]:
    """Return medians, and the rate of each run."""
    rates = [round(articles / run["encode_s"], 1) for run in runs]
    rate = statistics.median(rates)
    medians = {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}
    hours = round(_PUBMED / rate / 3600, 1)
    return {**medians, "articles_per_second": round(rate, 1), "rates": rates, "hours_for_pubmed_extrapolated": hours}


if __name__ == "__main__":
    # Workers import what they are given by its name, and `__main__` is another program there.
    from scripts.benchmarks import ray_workers

    ray_workers.main()
