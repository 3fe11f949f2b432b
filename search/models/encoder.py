"""From texts to unit vectors, with whatever runs the model best on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from search.config import ModelConfig, PromptsConfig
from search.errors import ModelError
from search.models.fingerprint import model_fingerprint
from search.models.layout import KINDS, Layout, read_layout
from search.models.precision import remember_speed
from search.models.presets import BUILTIN, resolve_model
from search.models.static import StaticBackend, static_folder
from search.models.tokens import Text, checked_texts
from search.models.vectors import normalize

if TYPE_CHECKING:
    from search.models.static_vectors import TokenIds

__all__ = ["PRECISIONS", "Encoder", "Kind", "load_encoder"]

Kind = Literal["document", "query"]

#: The precisions a model can be computed in; `auto` is the fastest on this processor that keeps cosines of .999.
PRECISIONS = ("auto", "fp32", "bf16", "int8")
#: From so many documents on, a job says how fast the model is.
_LARGE_JOB = 256
#: Tokens that a model's tokenizer puts around a text.
_SPECIAL_TOKENS = 2
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

    def embed(self, texts: Sequence[Text], kind: str) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts as the model gives them, float32 (texts, dimension)."""
        ...


class Encoder:
    """An embedding model, found and fingerprinted when it is made, loaded when it is first used.

    `model` is a preset (`builtin`, `pubmedbert`, ...; `search models` lists them), a folder that sentence-transformers
    or transformers saved, a name on the Hugging Face hub, or a ModelConfig, which also says how the model is used. The
    first use on a machine compiles the model, which takes some seconds. Raises ModelError if the model is not there,
    cannot be loaded, or is not an embedding model. `brief` is for a process that encodes a few questions and ends: they
    do not wait for OpenVINO to be ready, where the model is a BERT.

    >>> encoder = Encoder("builtin")
    >>> encoder.encode(["aspirin and colorectal cancer"]).shape
    (1, 384)
    """

    def __init__(
        self,
        model: str | Path | ModelConfig = BUILTIN,
        *,
        precision: str = "auto",
        backend: str = "auto",
        brief: bool = False,
    ) -> None:
        folders = resolve_model(model)
        precision = folders.choices.precision or precision
        _check_option("precision", precision, PRECISIONS)
        _check_option("backend", backend, _BACKENDS)
        self._precision = precision
        self._backend_choice = backend
        self._brief = brief
        self.name = folders.name
        self.revision = folders.revision
        #: Whether a document may be given as a pair, (title, abstract), and is then read as one.
        self.pairs = folders.choices.pairs
        paths = {"document": folders.document, "query": folders.query}
        self._same_folder = folders.document == folders.query
        layouts = {path: _layout(path, folders.choices) for path in set(paths.values())}
        self._layouts: dict[str, Layout] = {kind: layouts[path] for kind, path in paths.items()}
        self._fingerprints = {kind: model_fingerprint(layout) for kind, layout in self._layouts.items()}

    def __repr__(self) -> str:
        return f"Encoder({self.name!r})"

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that stand for what decides the vectors: weights, tokenizer, pooling, prompts, lengths, ..."""
        if self._same_folder and not self.pairs:
            return self._fingerprints["document"]
        joined = " ".join([self._fingerprints["document"], self._fingerprints["query"], str(self.pairs)])
        return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()

    @cached_property
    def settings(self) -> ModelConfig:
        """How the model is used, in effect: what its files say, and what was chosen in their place."""
        document, query = self._layouts["document"], self._layouts["query"]
        return ModelConfig(
            name=self.name,
            revision=self.revision,
            pooling="+".join(document.pooling) or None,
            prompts=PromptsConfig(query=query.prompts["query"], document=document.prompts["document"]),
            max_length={"query": query.max_length["query"], "document": document.max_length["document"]},
            dimension=document.dimension,
            pairs=self.pairs,
        )

    @property
    def notes(self) -> list[str]:
        """What a user should know of the model: an assumption about its files, or that it runs on torch."""
        notes = list(dict.fromkeys(note for layout in self._layouts.values() for note in layout.notes))
        return notes + [reason for reason in [getattr(self._document_backend, "reason", None)] if reason]

    @property
    def dimension(self) -> int:
        """The number of dimensions of a vector."""
        return self._document_backend.dimension

    @property
    def max_length(self) -> int:
        """The number of tokens of a document, special tokens included, beyond which text is cut off."""
        return self._document_backend.max_length

    @cached_property
    def tokens(self) -> TokenIds | None:
        """What finds the tokens of a document as the model does, as many as it reads; None if its files do not tell."""
        from search.models.static_vectors import MOST_TOKENS, TokenIds
        from search.models.tokenizer_files import TokenizerFiles

        try:
            content = TokenizerFiles(self._layouts["document"]).to_json()
            if content is None:
                return None
            return TokenIds(content, min(self.max_length, MOST_TOKENS) - _SPECIAL_TOKENS)
        except Exception:  # tokenizers raises its own; a model that torch runs may read other files
            return None

    @property
    def backend(self) -> str:
        """What runs the model on this machine: `openvino`, `torch` or `static`."""
        return self._document_backend.name

    @property
    def precision(self) -> str:
        """What is computed in: `fp32`, `bf16`, `fp16` or `int8`; `auto` may change it at the first large job."""
        return self._document_backend.precision

    def encode(self, texts: Sequence[Text], kind: Kind = "document") -> npt.NDArray[np.float32]:
        """Return the vectors of the texts, float32 (texts, dimension), each of unit length, in the order given.

        Text beyond `max_length` tokens is ignored; an empty text has a vector too. A vector does not depend on the
        texts beside it. Raises ModelError if `texts` is not a sequence of strings (or of pairs, where `pairs` is true).
        """
        _check_option("kind", kind, KINDS)
        checked = checked_texts(texts, pairs=self.pairs)
        backend = self._query_backend if kind == "query" else self._document_backend
        if not checked:
            return np.empty((0, backend.dimension), np.float32)
        start = perf_counter()
        vectors = normalize(backend.embed(checked, kind))
        if kind == "document" and len(checked) >= _LARGE_JOB:
            remember_speed(self.fingerprint, round(len(checked) / (perf_counter() - start), 2))
        return vectors

    @cached_property
    def _document_backend(self) -> _Backend:
        return self._load("document")

    @cached_property
    def _query_backend(self) -> _Backend:
        return self._document_backend if self._same_folder else self._load("query")

    def _load(self, kind: str) -> _Backend:
        from search.models.torch_models import TorchBackend, cuda_is_available

        layout = self._layouts[kind]
        if self._backend_choice == "torch":
            return TorchBackend(layout)
        if (table := static_folder(layout)) is not None:
            return StaticBackend(table, layout)
        if self._backend_choice == "auto" and cuda_is_available():
            return TorchBackend(layout)
        from search.models.compile import compiled_encoder
        from search.models.numpy_model import numpy_bert
        from search.models.openvino_model import OpenVinoBackend

        compiled, spec = compiled_encoder(layout, self._fingerprints[kind], self._precision)
        if spec.torch_reason is None:
            few = numpy_bert(layout, compiled, spec) if self._brief else None
            return OpenVinoBackend(compiled, spec, self._precision, few=few)
        if self._backend_choice == "openvino":
            raise ModelError(
                f"the model {self.name} does not run on OpenVINO ({spec.torch_reason}). Use the backend torch or auto."
            )
        return TorchBackend(layout, f"it runs on torch, since it does not run on OpenVINO ({spec.torch_reason})")


def _layout(folder: Path, choices: ModelConfig) -> Layout:
    lengths = choices.max_length
    prompts = choices.prompts
    said = {"query": prompts.query, "document": prompts.document}
    return read_layout(
        folder,
        pooling=choices.pooling,
        prompts={kind: prompt for kind, prompt in said.items() if prompt is not None},
        max_length=dict.fromkeys(KINDS, lengths) if isinstance(lengths, int) else lengths,
        dimension=choices.dimension,
    )


def load_encoder(
    model: str | Path | ModelConfig = BUILTIN,
    *,
    precision: str = "auto",
    backend: str = "auto",
    brief: bool = False,
) -> Encoder:
    """Return the encoder of a model, loaded and ready; see Encoder for what can be named and what is raised."""
    encoder = Encoder(model, precision=precision, backend=backend, brief=brief)
    _ = encoder.dimension
    return encoder


def _check_option(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ModelError(f"{name} {value!r} is not known; it is one of {', '.join(known)}.")
