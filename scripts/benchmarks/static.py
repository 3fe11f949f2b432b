"""A static model in Model2Vec's layout, of the size of those that are published: documents a second on one core."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np

from scripts.benchmarks.encode import random_texts
from scripts.benchmarks.timing import in_turn, report
from search.models import Encoder
from search.models.presets import resolve_model


def main() -> None:
    """Encode random abstracts, each of them for the first time and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    core = sorted(os.sched_getaffinity(0))[0]
    os.sched_setaffinity(0, {core})
    os.environ["RAYON_NUM_THREADS"] = "1"
    texts = random_texts(options.texts)
    with tempfile.TemporaryDirectory() as place:
        folder = make_static(Path(place), options.dimension)
        # A new encoder has seen no word yet; one that has encoded a year of PubMed knows nearly all.
        known = Encoder(folder)
        seconds = in_turn(
            {"first": lambda: Encoder(folder).encode(texts), "again": lambda: known.encode(texts)},
            options.runs,
            "processor",
        )
    rates = {name: round(len(texts) / statistics.median(runs)) for name, runs in seconds.items()}
    report(
        "static",
        {
            "texts": len(texts),
            "dimension": options.dimension,
            "cores": len(os.sched_getaffinity(0)),
            "documents_a_second": rates,
            "spread": {name: [round(len(texts) / max(runs)), round(len(texts) / min(runs))]
                       for name, runs in seconds.items()},
        },
    )  # fmt: skip


def make_static(folder: Path, dimension: int) -> Path:
    """Write a table of random rows for the vocabulary of all-MiniLM-L6-v2 (30,522 tokens) as Model2Vec saves it."""
    from safetensors.numpy import save_file

    source = resolve_model("minilm").document
    shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
    words = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    table = np.random.default_rng(0).standard_normal((words, dimension)).astype(np.float32)
    save_file({"embeddings": table}, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    return folder


if __name__ == "__main__":
    main()
