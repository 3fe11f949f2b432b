"""Adding articles, read, encoded and stored, against txtai.Embeddings.index with the same model and texts."""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from scripts.benchmarks.timing import CLOCKS, data_folder, in_turn, ratio, report
from search import Index
from search.models import Encoder, Kind
from search.models.presets import resolve_model


def main() -> None:
    """Index the first records with both, in turn; both models are loaded before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clock", default="passed", choices=CLOCKS, help="processor: where others are at work")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    from txtai import Embeddings

    encoder = Encoder(options.model)
    folder = resolve_model(options.model).document
    theirs = Embeddings({"path": str(folder), "content": True, "maxlength": encoder.max_length, "gpu": False})
    with tempfile.TemporaryDirectory() as place:
        part = _part(Path(place), options.texts)
        numbers, timed = itertools.count(), _Timed(encoder, options.clock)

        def ours_run() -> None:
            with Index.create(Path(place) / f"ours-{next(numbers)}", model=options.model) as index:
                index.encoder = encoder
                timed.totals.append(0.0)
                with mock.patch.object(encoder, "encode", timed.encode):
                    index.add(part)

        def theirs_run() -> None:
            theirs.index(_documents(part))
            theirs.save(str(Path(place) / f"theirs-{next(numbers)}"))

        seconds = in_turn({"txtai": theirs_run, "ours": ours_run}, options.runs, options.clock)
    report(
        "add_txtai",
        {
            "model": options.model,
            "articles": options.texts,
            "clock": options.clock,
            "articles_per_second": {
                name: round(options.texts / statistics.median(runs), 1) for name, runs in seconds.items()
            },
            "times_as_fast": ratio(seconds["txtai"], seconds["ours"]),
            "share_of_time_in_which_the_encoder_works": round(
                statistics.median(busy / whole for busy, whole in zip(timed.totals[1:], seconds["ours"], strict=True)),
                3,
            ),
        },
    )


class _Timed:
    """Adds up the seconds of an encoder, for each run."""

    def __init__(self, encoder: Encoder, clock: str) -> None:
        self._now = CLOCKS[clock]
        self._encode = encoder.encode
        self.totals: list[float] = []

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Any:
        begun = self._now()
        vectors = self._encode(texts, kind)
        self.totals[-1] += self._now() - begun
        return vectors


def _part(folder: Path, count: int) -> Path:
    part = folder / "records.jsonl"
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        part.write_text("".join(itertools.islice(stream, count)))
    return part


def _documents(part: Path) -> Iterator[tuple[int, str, None]]:
    with part.open() as stream:
        for line in stream:
            record = json.loads(line)
            yield record["pmid"], f"{record['title']} {record['abstract']}", None


if __name__ == "__main__":
    main()
