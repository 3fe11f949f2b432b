"""Encoding on the processor against SentenceTransformer.encode: rate, share of the arithmetic there is, and cosine."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.timing import CLOCKS, data_folder, in_turn, ratio, report
from search.models import Encoder
from search.models.presets import resolve_model

THEIRS = "SentenceTransformer"


def main() -> None:
    """Encode random abstracts with SentenceTransformer and in each precision, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--precisions", default="auto", help="such as auto,int8 (which needs nncf)")
    parser.add_argument("--clock", default="passed", choices=CLOCKS, help="processor: where others are at work")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    texts = random_texts(options.texts)
    from sentence_transformers import SentenceTransformer

    folder = resolve_model(options.model).document
    reference = SentenceTransformer(str(folder), device="cpu")
    encoders = {name: Encoder(options.model, precision=name) for name in options.precisions.split(",")}
    vectors: dict[str, Any] = {}

    def run(name: str) -> Callable[[], None]:
        def encode() -> None:
            vectors[name] = encoders[name].encode(texts)

        return encode

    def theirs() -> None:
        vectors[THEIRS] = reference.encode(texts, show_progress_bar=False)

    seconds = in_turn({THEIRS: theirs, **{name: run(name) for name in encoders}}, options.runs, options.clock)
    lengths = [min(len(reference.tokenizer.encode(text)), reference.max_seq_length) for text in texts]
    work = statistics.mean(gigaflop(folder, length) for length in lengths)
    peak = peak_gigaflops(options.clock)
    rows = {}
    for name, runs in seconds.items():
        rate = len(texts) / statistics.median(runs)
        rows[name] = {"texts_per_second": round(rate, 1), "share_of_peak": round(rate * work / peak, 3)}
        if name in encoders:
            rows[name] |= {"precision": encoders[name].precision, "backend": encoders[name].backend}
            rows[name] |= {"times_as_fast": ratio(seconds[THEIRS], runs), **_cosines(vectors[THEIRS], vectors[name])}
    report(
        "encode",
        {
            "model": options.model,
            "texts": len(texts),
            "mean_tokens": round(statistics.mean(lengths)),
            "clock": options.clock,
            "cores": len(os.sched_getaffinity(0)),
            "gigaflop_a_text": round(work, 2),
            "peak_gigaflops": round(peak),
            "times_as_fast_at_the_peak": round(peak / work / rows[THEIRS]["texts_per_second"], 2),
            "encoders": rows,
        },
    )


def gigaflop(folder: Path, tokens: int) -> float:
    """Return the floating-point operations, in billions, that a BERT does for a text without padding.

    Eight products of hidden x hidden and four of hidden x intermediate a token and layer, and four of hidden for each
    pair of tokens; a multiplication and an addition count as two.
    """
    config = json.loads((folder / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layer = tokens * (8 * hidden**2 + 4 * hidden * inner) + 4 * tokens**2 * hidden
    return float(layer * config["num_hidden_layers"]) / 1e9


def peak_gigaflops(clock: str = "passed") -> float:
    """Return the best rate of large float32 products on all cores: what arithmetic the machine has."""
    rows = np.random.default_rng(0).standard_normal((2048, 2048)).astype(np.float32)
    seconds = in_turn({"product": lambda: rows @ rows}, 10, clock)["product"]
    return float(2 * len(rows) ** 3 / min(seconds) / 1e9)


def random_texts(count: int) -> list[str]:
    """Return titles with abstracts, drawn from the real records."""
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        records = [json.loads(line) for line in stream]
    return [f"{record['title']} {record['abstract']}" for record in random.Random(0).sample(records, count)]


def _cosines(theirs: Any, ours: Any) -> dict[str, float]:
    cosines = (theirs * ours).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    return {"lowest_cosine": round(float(cosines.min()), 6), "mean_cosine": round(float(cosines.mean()), 6)}


if __name__ == "__main__":
    main()
