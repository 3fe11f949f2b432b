"""Cross-encoders: read a question and a text together and say how well the text answers it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.fingerprint import model_fingerprint
from search.models.openvino_model import OpenVinoModel
from search.models.presets import find_folder
from search.models.spec import CompiledSpec
from search.models.tokens import TextTokenizer, Tokens, checked_texts

__all__ = ["OpenVinoScorer", "Reranker", "load_reranker"]


class _Scorer(Protocol):
    """What runs a cross-encoder."""

    name: str

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the score of each pair, float32 (pairs,)."""
        ...


class OpenVinoScorer:
    """A compiled cross-encoder on the CPU."""

    name = "openvino"

    def __init__(self, folder: Path, spec: CompiledSpec, *, keep_ready: bool = True) -> None:
        self._model = OpenVinoModel(folder, spec, "fp32", keep_ready=keep_ready)

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the score of each pair, float32 (pairs,)."""
        max_length = self._model.spec.max_length["pair"]

        def tokenize(tokenizer: TextTokenizer, start: int, stop: int) -> list[Tokens]:
            return tokenizer.encode_pairs(pairs[start:stop], max_length)

        return self._model.run(len(pairs), tokenize)[:, 0]


class _TorchScorer:
    """A cross-encoder on torch: on a GPU, or where it does not convert."""

    name = "torch"

    def __init__(self, folder: Path) -> None:
        import torch

        from search.models.torch_models import load_cross_encoder

        self._model: Any = load_cross_encoder(folder, "cuda" if torch.cuda.is_available() else "cpu")

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        from search.models.torch_models import quiet

        with quiet():
            scores = self._model.predict(list(pairs), show_progress_bar=False)
        return np.asarray(scores, np.float32).reshape(-1)


class Reranker:
    """A cross-encoder: a folder that sentence-transformers' CrossEncoder saved, or a name on the Hugging Face hub.

    Found and fingerprinted when it is made, loaded when it is first used. Raises ModelError if it is not there, cannot
    be loaded, or gives several labels rather than one score.
    """

    def __init__(self, model: str | Path, *, backend: str = "auto") -> None:
        if backend not in ("auto", "openvino", "torch"):
            raise ModelError(f"backend {backend!r} is not known; it is one of auto, openvino, torch.")
        self.name = str(model)
        self._folder = find_folder(self.name)
        self._wanted_backend = backend
        self.fingerprint = model_fingerprint(self._folder)

    def __repr__(self) -> str:
        return f"Reranker({self.name!r})"

    @property
    def backend(self) -> str:
        """What runs the model on this machine: `openvino` or `torch`."""
        return self._scorer.name

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return how well each text answers the query, float32 (texts,), higher is better, as CrossEncoder.predict.

        Raises ModelError if `texts` is not a sequence of strings.
        """
        checked = checked_texts(texts)
        [question] = checked_texts([query])
        if not checked:
            return np.empty(0, np.float32)
        return self._scorer.score([(question, text) for text in checked])

    @cached_property
    def _scorer(self) -> _Scorer:
        from search.models.torch_models import cuda_is_available

        if self._wanted_backend == "torch" or (self._wanted_backend == "auto" and cuda_is_available()):
            return _TorchScorer(self._folder)
        from search.models.compile import compiled_reranker

        compiled, spec = compiled_reranker(self._folder, self.fingerprint)
        if spec.torch_reason is None:
            return OpenVinoScorer(compiled, spec)
        if self._wanted_backend == "openvino":
            raise ModelError(f"the reranker {self.name} does not run on OpenVINO ({spec.torch_reason}). Use auto.")
        return _TorchScorer(self._folder)


def load_reranker(model: str | Path, *, backend: str = "auto") -> Reranker:
    """Return the reranker of a model, loaded and ready; see Reranker for what can be named and what is raised."""
    reranker = Reranker(model, backend=backend)
    _ = reranker.backend
    return reranker
