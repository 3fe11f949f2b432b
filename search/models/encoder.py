"""From texts to unit vectors, with whatever runs the model best on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.fingerprint import model_fingerprint
from search.models.presets import BUILTIN, resolve_model
from search.models.static import StaticBackend, static_folder
from search.models.tokens import checked_texts
from search.models.vectors import normalize

__all__ = ["PRECISIONS", "Encoder", "Kind", "load_encoder"]

Kind = Literal["document", "query"]

#: What can be asked to be computed in; `auto` is the fastest on this processor that keeps cosines of .999.
PRECISIONS = ("auto", "fp32", "bf16", "int8")
_BACKENDS = ("auto", "openvino", "torch")


class _Backend(Protocol):
    """What runs a model."""

    name: str
    dimension: int
    max_length: int

    @property
    def precision(self) -> str:
        """What is computed in."""
        ...

    def embed(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts as the model gives them, float32 (texts, dimension)."""
        ...


class Encoder:
    """An embedding model, found and fingerprinted when it is made, loaded when it is first used.

    `model` is `builtin`, a preset (`pubmedbert`, `medcpt`), a folder that sentence-transformers or transformers saved,
    or a name on the Hugging Face hub. The first use on a machine compiles the model, which takes some seconds.
    Raises ModelError if the model is not there or cannot be loaded.

    >>> encoder = Encoder("builtin")
    >>> encoder.encode(["aspirin and colorectal cancer"]).shape
    (1, 384)
    """

    def __init__(self, model: str | Path = BUILTIN, *, precision: str = "auto", backend: str = "auto") -> None:
        _check_option("precision", precision, PRECISIONS)
        _check_option("backend", backend, _BACKENDS)
        self._folders = resolve_model(model)
        self._precision = precision
        self._wanted_backend = backend
        self.name = self._folders.name
        self._fingerprints = {
            "document": model_fingerprint(self._folders.document),
            "query": model_fingerprint(self._folders.query),
        }

    def __repr__(self) -> str:
        return f"Encoder({self.name!r})"

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that stand for the weights, tokenizer, pooling and prompts of the model."""
        parts = [self._fingerprints["document"], self._fingerprints["query"], self._folders.pooling or ""]
        if parts[0] == parts[1] and not parts[2]:
            return parts[0]
        return hashlib.blake2b(" ".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def dimension(self) -> int:
        """The number of dimensions of a vector."""
        return self._document_backend.dimension

    @property
    def max_length(self) -> int:
        """The number of tokens of a document, special tokens included, beyond which text is cut off."""
        return self._document_backend.max_length

    @property
    def backend(self) -> str:
        """What runs the model on this machine: `openvino`, `torch` or `static`."""
        return self._document_backend.name

    @property
    def precision(self) -> str:
        """What is computed in: `fp32`, `bf16`, `fp16` or `int8`; `auto` may change it at the first large job."""
        return self._document_backend.precision

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> npt.NDArray[np.float32]:
        """Return the vectors of the texts, float32 (texts, dimension), each of unit length, in the order given.

        Text beyond `max_length` tokens is ignored; an empty text has a vector too. A vector does not depend on the
        texts beside it. Raises ModelError if `texts` is not a sequence of strings.
        """
        _check_option("kind", kind, ("document", "query"))
        checked = checked_texts(texts)
        backend = self._query_backend if kind == "query" else self._document_backend
        if not checked:
            return np.empty((0, backend.dimension), np.float32)
        return normalize(backend.embed(checked, kind))

    @cached_property
    def _document_backend(self) -> _Backend:
        return self._load(self._folders.document, self._fingerprints["document"])

    @cached_property
    def _query_backend(self) -> _Backend:
        if self._folders.query == self._folders.document:
            return self._document_backend
        return self._load(self._folders.query, self._fingerprints["query"])

    def _load(self, folder: Path, fingerprint: str) -> _Backend:
        from search.models.torch_models import TorchBackend, cuda_is_available

        pooling = self._folders.pooling
        if self._wanted_backend == "torch":
            return TorchBackend(folder, pooling)
        if (table := static_folder(folder)) is not None:
            return StaticBackend(table)
        if self._wanted_backend == "auto" and cuda_is_available():
            return TorchBackend(folder, pooling)
        from search.models.compile import compiled_encoder
        from search.models.openvino_model import OpenVinoBackend

        key = f"{fingerprint}-{pooling}" if pooling else fingerprint
        compiled, spec = compiled_encoder(folder, key, pooling, self._precision)
        if spec.torch_reason is None:
            return OpenVinoBackend(compiled, spec, self._precision)
        if self._wanted_backend == "openvino":
            raise ModelError(
                f"the model {self.name} does not run on OpenVINO ({spec.torch_reason}). Use the backend torch or auto."
            )
        return TorchBackend(folder, pooling)


def load_encoder(model: str | Path = BUILTIN, *, precision: str = "auto", backend: str = "auto") -> Encoder:
    """Return the encoder of a model, loaded and ready; see Encoder for what can be named and what is raised."""
    encoder = Encoder(model, precision=precision, backend=backend)
    _ = encoder.dimension
    return encoder


def _check_option(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ModelError(f"{name} {value!r} is not known; it is one of {', '.join(known)}.")
