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
from search.models.layout import Layout, read_reranker_layout
from search.models.presets import find_reranker
from search.models.tokens import checked_texts

__all__ = ["Reranker", "load_reranker"]


class _Scorer(Protocol):
    """What runs a cross-encoder."""

    name: str

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Return the score of each pair, float32 (pairs,)."""
        ...


class _TorchScorer:
    """A cross-encoder on torch: on a GPU, or where it does not convert."""

    name = "torch"

    def __init__(self, layout: Layout) -> None:
        import torch

        from search.models.torch_models import load_cross_encoder

        self._model: Any = load_cross_encoder(layout, "cuda" if torch.cuda.is_available() else "cpu")

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        from search.models.torch_models import logits

        return logits(self._model, pairs)


class Reranker:
    """A cross-encoder: a preset, a folder that sentence-transformers' CrossEncoder saved, or a name on the hub.

    Found and fingerprinted when it is made, loaded when it is first used. Raises ModelError if it is not there, cannot
    be loaded, or gives several labels rather than one score.
    """

    def __init__(self, model: str | Path, *, backend: str = "auto") -> None:
        if backend not in ("auto", "openvino", "torch"):
            raise ModelError(f"backend {backend!r} is not known; it is one of auto, openvino, torch.")
        self.name = str(model)
        self._layout = read_reranker_layout(find_reranker(self.name))
        self._backend_choice = backend
        self.fingerprint = model_fingerprint(self._layout)

    def __repr__(self) -> str:
        return f"Reranker({self.name!r})"

    @property
    def backend(self) -> str:
        """What runs the model on this machine: `openvino` or `torch`."""
        return self._scorer.name

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return how well each text answers the query, float32 (texts,): logits, higher is better.

        Raises ModelError if `texts` is not a sequence of strings.
        """
        checked_texts([query, *texts] if not isinstance(texts, str) else texts)
        if not texts:
            return np.empty(0, np.float32)
        return self._scorer.score([(query, text) for text in texts])

    @cached_property
    def _scorer(self) -> _Scorer:
        from search.models.torch_models import cuda_is_available

        if self._backend_choice == "torch" or (self._backend_choice == "auto" and cuda_is_available()):
            return _TorchScorer(self._layout)
        from search.models.compile import compiled_reranker
        from search.models.openvino_model import OpenVinoScorer

        compiled, spec = compiled_reranker(self._layout, self.fingerprint)
        if spec.torch_reason is None:
            return OpenVinoScorer(compiled, spec)
        if self._backend_choice == "openvino":
            raise ModelError(f"the reranker {self.name} does not run on OpenVINO ({spec.torch_reason}). Use auto.")
        return _TorchScorer(self._layout)


def load_reranker(model: str | Path, *, backend: str = "auto") -> Reranker:
    """Return the reranker of a model, loaded and ready; see Reranker for what can be named and what is raised."""
    reranker = Reranker(model, backend=backend)
    _ = reranker.backend
    return reranker
