"""Encoding on the processor against SentenceTransformer.encode, and how near the vectors are to its."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
from typing import Any

import numpy as np

from scripts.benchmarks.timing import data_folder, in_turn, ratio, report
from search.models import Encoder
from search.models.presets import resolve_model


def main() -> None:
    """Encode random abstracts with both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    texts = _texts(options.texts)
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(resolve_model("builtin").document), device="cpu")
    ours = Encoder("builtin", precision=options.precision)
    vectors: dict[str, Any] = {}

    def theirs_run() -> None:
        vectors["theirs"] = reference.encode(texts, show_progress_bar=False)

    def ours_run() -> None:
        vectors["ours"] = ours.encode(texts)

    seconds = in_turn({"SentenceTransformer": theirs_run, "ours": ours_run}, options.runs)
    theirs = vectors["theirs"] / np.linalg.norm(vectors["theirs"], axis=1, keepdims=True)
    cosines = (theirs * vectors["ours"]).sum(axis=1)
    tokens = [len(reference.tokenizer.encode(text)) for text in texts]
    report(
        "encode",
        {
            "texts": len(texts),
            "mean_tokens_before_the_cut": round(statistics.mean(tokens)),
            "precision": options.precision,
            "backend": ours.backend,
            "texts_per_second": {
                name: round(len(texts) / statistics.median(runs), 1) for name, runs in seconds.items()
            },
            "times_as_fast": ratio(seconds["SentenceTransformer"], seconds["ours"]),
            "lowest_cosine": round(float(cosines.min()), 6),
        },
    )


def _texts(count: int) -> list[str]:
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        records = [json.loads(line) for line in stream]
    return [f"{record['title']} {record['abstract']}" for record in random.Random(0).sample(records, count)]


if __name__ == "__main__":
    main()
