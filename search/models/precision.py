"""Which arithmetic to compute in: measured once on the processor that is there, and remembered."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import numpy.typing as npt

from search.files import available_cores, cache_folder, write_cached

__all__ = ["Choice", "choose", "measure", "processor", "recall", "recall_speed", "remember", "remember_speed"]

#: A vector in a faster precision must have at least this cosine to the same vector in float32.
QUALITY_FLOOR = 0.999
#: A faster precision must be faster by this factor, so that the noise of the measurement decides nothing.
_WORTHWHILE = 1.1
_ROUNDS = 2


class Choice(msgspec.Struct, frozen=True):
    """A precision, and the evidence: texts a second and the lowest cosine to float32, of each that was tried."""

    precision: str
    texts_per_second: dict[str, float] = {}
    lowest_cosine: dict[str, float] = {}


def processor() -> str:
    """Return 16 hex digits that stand for the processor, its instruction sets and how many cores may be used."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = [f"model name {platform.machine()} {platform.processor()}"]
    known = [next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags")]
    return hashlib.blake2b(f"{known} {available_cores()}".encode(), digest_size=8).hexdigest()


def recall(model: str) -> Choice | None:
    """Return what was chosen for a compiled model (the name of its folder) on this processor, if anything was."""
    try:
        return msgspec.json.decode(_memory(model).read_bytes(), type=Choice)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(model: str, choice: Choice) -> None:
    """Keep a choice for this processor."""
    write_cached(_memory(model), msgspec.json.encode(choice))


def recall_speed(model: str) -> float | None:
    """Return how many documents a second the last large job of a model did on this processor, if there was one."""
    try:
        return msgspec.json.decode(_speed_memory(model).read_bytes(), type=float)
    except (OSError, msgspec.MsgspecError):
        return None


def remember_speed(model: str, documents_per_second: float) -> None:
    """Keep the rate of a large job."""
    write_cached(_speed_memory(model), msgspec.json.encode(documents_per_second))


def _speed_memory(model: str) -> Path:
    return cache_folder() / "speed" / f"{model}-{processor()}.json"


def _memory(model: str) -> Path:
    return cache_folder() / "precision" / f"{model}-{processor()}.json"


def measure(run: Callable[[str], npt.NDArray[np.float32]], candidates: list[str]) -> Choice:
    """Choose between `fp32` and other `candidates` by running each: `run(precision)` gives the vectors of a sample."""
    vectors = {precision: run(precision) for precision in candidates}
    seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(_ROUNDS):
        for precision in candidates:
            start = perf_counter()
            run(precision)
            seconds[precision] = min(seconds[precision], perf_counter() - start)
    texts = len(vectors["fp32"])
    cosine = {precision: _lowest_cosine(vectors["fp32"], vectors[precision]) for precision in candidates}
    return choose({precision: texts / seconds[precision] for precision in candidates}, cosine)


def choose(texts_per_second: dict[str, float], lowest_cosine: dict[str, float]) -> Choice:
    """Choose the fastest precision that keeps the quality floor and is worth its loss."""
    best = "fp32"
    for precision, rate in texts_per_second.items():
        if lowest_cosine[precision] >= QUALITY_FLOOR and rate > _WORTHWHILE * texts_per_second["fp32"]:
            best = max(best, precision, key=texts_per_second.__getitem__)
    return Choice(best, texts_per_second, lowest_cosine)


def _lowest_cosine(reference: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32]) -> float:
    scale = np.linalg.norm(reference, axis=1) * np.linalg.norm(vectors, axis=1)
    return float(((reference * vectors).sum(axis=1) / np.maximum(scale, 1e-12)).min())
