"""Run a compiled model with OpenVINO: neither torch nor transformers is imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.models.spec import GRAPH, TOKENIZER, CompiledSpec
from search.models.tokens import TextTokenizer, Tokens, pad_batch, plan_batches

__all__ = ["OpenVinoBackend"]

#: Tokens and texts of one batch: large enough to keep the arithmetic busy, small enough for the processor's caches.
_BATCH_TOKENS = 2048
_BATCH_TEXTS = 32
#: Texts that are tokenized together and sorted by length; bounds memory and leaves hardly any padding.
_WINDOW = 2048
#: From this many tokens on, batches run side by side, one a core; below, one runs on all cores.
_SIDE_BY_SIDE_TOKENS = 4096


class OpenVinoBackend:
    """A compiled model on the CPU, for use from several threads."""

    name = "openvino"

    def __init__(self, folder: Path, spec: CompiledSpec, precision: str) -> None:
        self.dimension = spec.dimension
        self.max_length = spec.max_length["document"]
        self._folder = folder
        self._spec = spec
        self._precision = precision
        self._tokenizer = TextTokenizer(folder / TOKENIZER, spec.truncation_side)
        self._queues: dict[int, Any] = {}
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts as the model gives them, float32 (texts, dimension)."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        with self._lock:
            for start, tokens in self._tokenized(texts, kind):
                vectors[start : start + len(tokens)] = self._infer(tokens)
        return vectors

    def _tokenized(self, texts: Sequence[str], kind: str) -> Iterator[tuple[int, list[Tokens]]]:
        """Yield the tokens of each window of texts; the next window is tokenized while one is computed with."""
        prompt = self._spec.prompts[kind]
        max_length = self._spec.max_length[kind]

        def tokenize(start: int) -> list[Tokens]:
            return self._tokenizer.encode([prompt + text for text in texts[start : start + _WINDOW]], max_length)

        if len(texts) <= _WINDOW:
            yield 0, tokenize(0)
            return
        with ThreadPoolExecutor(1, "tokenize") as pool:
            ahead = pool.submit(tokenize, 0)
            for start in range(0, len(texts), _WINDOW):
                tokens = ahead.result()
                ahead = pool.submit(tokenize, start + _WINDOW)
                yield start, tokens

    def _infer(self, texts: Sequence[Tokens]) -> npt.NDArray[np.float32]:
        lengths = [len(tokens) for tokens in texts]
        streams = _available_cores() if sum(lengths) >= _SIDE_BY_SIDE_TOKENS else 1
        queue = self._queue(streams)
        vectors = np.empty((len(texts), self.dimension), np.float32)

        def keep(request: Any, positions: npt.NDArray[np.intp]) -> None:
            vectors[positions] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        for positions in plan_batches(lengths, _BATCH_TOKENS, _BATCH_TEXTS):
            inputs = pad_batch([texts[position] for position in positions], self._spec.pad_id, self._spec.padding_side)
            queue.start_async({name: inputs[name] for name in self._spec.inputs}, positions)
        queue.wait_all()
        return vectors

    def _queue(self, streams: int) -> Any:
        """Return a queue of inference requests over `streams` streams, compiled for this processor on first use."""
        if streams not in self._queues:
            import openvino

            options = {
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": _available_cores(),
                "INFERENCE_PRECISION_HINT": "bf16" if self._precision == "bf16" else "f32",
            }
            compiled = openvino.Core().compile_model(str(self._folder / GRAPH), "CPU", options)
            # One request more than there are streams: the next batch is ready when a stream becomes free.
            self._queues[streams] = openvino.AsyncInferQueue(compiled, streams + 1 if streams > 1 else 1)
        return self._queues[streams]


def _available_cores() -> int:
    return len(os.sched_getaffinity(0))
