"""Run a compiled embedding model or cross-encoder with OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.files import available_cores
from search.models.blobs import blob_folder
from search.models.numpy_model import MOST_TOKENS, NumpyBert
from search.models.precision import Choice, measure, recall, remember
from search.models.runtime import openvino
from search.models.spec import GRAPH, TOKENIZER, CompiledSpec
from search.models.tokens import Text, TextTokenizer, Tokens, pad_batch, padded_length, plan_batches

__all__ = ["OpenVinoBackend", "OpenVinoModel", "OpenVinoScorer"]

#: Tokens of one batch, padding included: as many as keep the arithmetic busy and the processor's caches from spilling.
_BATCH_TOKENS = {"fp32": 512, "bf16": 4096, "int8": 4096}
_BATCH_TEXTS = 32
#: Texts that are tokenized together and sorted by length; bounds memory and leaves hardly any padding.
_WINDOW = 2048
#: From this many tokens on, batches run side by side, one a core; below, one runs on all cores.
_SIDE_BY_SIDE_TOKENS = 4096
#: With `auto`, precisions are compared once a job has so many texts that it pays, and on so many of them.
_WORTH_MEASURING = 256
_MEASURED = 32
#: Smaller jobs are those of people who ask, in a process that runs for long: they are padded so that few shapes occur.
_LARGE_JOB = 256
#: More questions than these are not few, however short they are.
_FEW_TEXTS = 32


class OpenVinoModel:
    """A compiled model on the CPU, for use from several threads.

    `precision` is `fp32`, `bf16`, `int8` (where `folder` holds the int8 graph) or `auto`: float32 until a job is large
    enough to find out, by trying, whether this processor does bfloat16 faster and well enough. With `keep_ready` the
    graph, once made ready for this processor, is kept in `folder` for the next process.
    """

    def __init__(self, folder: Path, spec: CompiledSpec, precision: str, *, keep_ready: bool = True) -> None:
        self.spec = spec
        self._folder = folder
        self._keep_ready = keep_ready
        self._undecided = precision == "auto"
        self.precision = precision
        if self._undecided:
            choice = recall(folder.name)
            self._undecided = choice is None
            self.precision = choice.precision if choice else "fp32"
        self._tokenizer = TextTokenizer(folder / TOKENIZER, spec.truncation_side)
        self._queues: dict[tuple[int, str], Any] = {}
        self._lock = threading.Lock()

    def run(
        self, count: int, tokenize: Callable[[TextTokenizer, int, int], list[Tokens]], *, mixed: bool = True
    ) -> npt.NDArray[np.float32]:
        """Return the output of the model for `count` texts, float32 (count, dimension).

        `tokenize(tokenizer, start, stop)` gives the tokens of a part of them. Padding changes the last bits of an
        output; without `mixed`, a batch holds texts of one padded length only, and an output is the same to the bit
        whatever texts are beside it.
        """
        output = np.empty((count, self.spec.dimension), np.float32)
        with self._lock:
            for start, tokens in self._tokenized(count, tokenize):
                if self._undecided and len(tokens) >= _WORTH_MEASURING:
                    self._decide(tokens)
                output[start : start + len(tokens)] = self._infer(tokens, self.precision, mixed=mixed)
        return output

    def tokenized(self, count: int, tokenize: Callable[[TextTokenizer, int, int], list[Tokens]]) -> list[Tokens]:
        """Return the tokens of `count` texts; see `run`."""
        with self._lock:
            return tokenize(self._tokenizer, 0, count)

    def _tokenized(
        self, count: int, tokenize: Callable[[TextTokenizer, int, int], list[Tokens]]
    ) -> Iterator[tuple[int, list[Tokens]]]:
        """Yield the tokens of each window of texts; the next window is tokenized while one is computed with."""
        if count <= _WINDOW:
            yield 0, tokenize(self._tokenizer, 0, count)
            return
        with ThreadPoolExecutor(1, "tokenize") as pool:
            ahead = pool.submit(tokenize, self._tokenizer, 0, _WINDOW)
            for start in range(0, count, _WINDOW):
                tokens = ahead.result()
                following = start + _WINDOW
                ahead = pool.submit(tokenize, self._tokenizer, following, min(following + _WINDOW, count))
                yield start, tokens

    def _decide(self, tokens: Sequence[Tokens]) -> None:
        """Choose the precision by running some of these texts, and remember it for this model and processor."""
        self._undecided = False
        if "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            sample = tokens[:: len(tokens) // _MEASURED][:_MEASURED]
            choice = measure(lambda precision: self._infer(sample, precision), ["fp32", "bf16"])
        else:
            choice = Choice("fp32")
        remember(self._folder.name, choice)
        self.precision = choice.precision

    def _infer(self, texts: Sequence[Tokens], precision: str, *, mixed: bool = True) -> npt.NDArray[np.float32]:
        lengths = [len(tokens) for tokens in texts]
        few_shapes = self.spec.padded and (not mixed or len(texts) < _LARGE_JOB)
        mixed = mixed and self.spec.padded
        if few_shapes:
            longest = max(self.spec.max_length.values())
            lengths = [padded_length(length, longest) for length in lengths]
        streams = available_cores() if sum(lengths) >= _SIDE_BY_SIDE_TOKENS else 1
        queue = self._queue(streams, precision)
        output = np.empty((len(texts), self.spec.dimension), np.float32)

        def keep(request: Any, positions: npt.NDArray[np.intp]) -> None:
            output[positions] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        most_tokens = _BATCH_TOKENS[precision]
        try:
            for positions in plan_batches(lengths, most_tokens, _BATCH_TEXTS, mixed=mixed, doubling=few_shapes):
                batch = [texts[position] for position in positions]
                inputs = pad_batch(batch, self.spec.pad_id, self.spec.padding_side, lengths[positions[0]])
                queue.start_async({name: inputs[name] for name in self.spec.inputs}, positions)
        finally:
            # Also where Ctrl-C comes between: a request that ends while Python ends would abort the process.
            queue.wait_all()
        return output

    def _queue(self, streams: int, precision: str) -> Any:
        """Return a queue of inference requests over `streams` streams, made ready for this processor on first use."""
        key = (streams, precision)
        if key not in self._queues:
            options: dict[str, Any] = {
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": available_cores(),
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            }
            graph = str(self._folder / GRAPH)
            if streams == 1 and self._keep_ready:
                # A single question should not wait for the graph to be made ready: OpenVINO keeps the result on disk.
                with blob_folder(self._folder) as blobs:
                    if blobs is not None:
                        options["CACHE_DIR"] = str(blobs)
                    compiled = openvino().Core().compile_model(graph, "CPU", options)
            else:
                compiled = openvino().Core().compile_model(graph, "CPU", options)
            # One request more than there are streams: the next batch is ready when a stream becomes free.
            self._queues[key] = openvino().AsyncInferQueue(compiled, streams + 1 if streams > 1 else 1)
        return self._queues[key]


class OpenVinoBackend:
    """A compiled embedding model; `few`, where there is one, encodes questions as long as they are few."""

    name = "openvino"

    def __init__(
        self,
        folder: Path,
        spec: CompiledSpec,
        precision: str,
        *,
        keep_ready: bool = True,
        few: NumpyBert | None = None,
    ) -> None:
        self._model = OpenVinoModel(folder, spec, precision, keep_ready=keep_ready)
        self._few = few
        self.dimension = spec.dimension
        self.max_length = spec.max_length["document"]

    @property
    def precision(self) -> str:
        """What is computed in: `fp32`, `bf16` or `int8`."""
        return self._model.precision

    def embed(self, texts: Sequence[Text], kind: str) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts as the model gives them, float32 (texts, dimension)."""
        prompt = self._model.spec.prompts[kind]
        max_length = self._model.spec.max_length[kind]

        def tokenize(tokenizer: TextTokenizer, start: int, stop: int) -> list[Tokens]:
            return tokenizer.encode([_prompted(prompt, text) for text in texts[start:stop]], max_length)

        if self._few is not None and kind == "query" and len(texts) <= _FEW_TEXTS:
            tokens = self._model.tokenized(len(texts), tokenize)
            if sum(map(len, tokens)) <= MOST_TOKENS:
                return self._few.embed(tokens)
        # A question gives the same answer alone and among the questions of others.
        return self._model.run(len(texts), tokenize, mixed=kind != "query")


class OpenVinoScorer:
    """A compiled cross-encoder."""

    name = "openvino"

    def __init__(self, folder: Path, spec: CompiledSpec, *, keep_ready: bool = True) -> None:
        self._model = OpenVinoModel(folder, spec, "fp32", keep_ready=keep_ready)

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the logit of each pair, float32 (pairs,)."""
        max_length = self._model.spec.max_length["pair"]

        def tokenize(tokenizer: TextTokenizer, start: int, stop: int) -> list[Tokens]:
            return tokenizer.encode(pairs[start:stop], max_length)

        return self._model.run(len(pairs), tokenize)[:, 0]


def _prompted(prompt: str, text: Text) -> Text:
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])
