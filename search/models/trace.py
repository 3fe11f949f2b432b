"""Trace a model with torch into a graph of OpenVINO, from which it then runs without torch.

The whole sentence-transformers pipeline is traced (transformer, pooling, dense layers, ...) as it loads from the
model's own files. What comes out is compared with sentence-transformers on a few texts before it is kept.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.files import new_folder
from search.models.layout import UNLIMITED, Layout
from search.models.openvino_model import OpenVinoBackend, OpenVinoScorer
from search.models.probes import PROBES
from search.models.runtime import openvino, openvino_converter
from search.models.spec import GRAPH, TOKENIZER, TRACE_FAILED, CompiledSpec, write_spec
from search.models.torch_models import load_cross_encoder, load_sentence_transformer, logits, quiet

__all__ = ["trace", "trace_encoder", "trace_reranker"]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
#: A traced model must agree so well with sentence-transformers: cosine of vectors, difference of scores.
_PROBE_COSINE = 0.99999
_PROBE_DIFFERENCE = 1e-3


class _NotConvertible(Exception):
    """The model runs on torch but not, or not equally, on OpenVINO."""


def trace(task: str, layout: Layout, target: Path) -> None:
    """Compile an `encoder` or a `reranker` into the folder `target`."""
    (trace_encoder if task == "encoder" else trace_reranker)(layout, target)


def trace_encoder(layout: Layout, target: Path) -> None:
    """Compile an embedding model into the folder `target`.

    A model that does not convert, or not to the same vectors, gets a description that names torch as what runs it.
    Raises ModelError if the model cannot be loaded.
    """
    model = load_sentence_transformer(layout)
    spec = CompiledSpec(
        dimension=int(model.truncate_dim or model.get_embedding_dimension()),
        prompts=layout.prompts,
        max_length=layout.max_length,
    )
    with quiet(), new_folder(target) as work:
        try:
            features = model.preprocess(["an example", "another, longer example"])
            _convert(_embedding_pipeline(model, spec.dimension), model.tokenizer, features, spec, work)
            try:
                _check_vectors(model, spec, work)
            except _NotConvertible:
                # Some transformers give NaN for padding that attends to nothing, as far as a sliding window sees.
                spec.padded = False
                _check_vectors(model, spec, work)
        except Exception as error:  # whatever torch.jit and OpenVINO raise: the model runs on torch then
            _leave_to_torch(spec, work, error)
        write_spec(work, spec)


def trace_reranker(layout: Layout, target: Path) -> None:
    """Compile a cross-encoder into the folder `target`; as `trace_encoder`."""
    model = load_cross_encoder(layout)
    spec = CompiledSpec(dimension=1, max_length=layout.max_length)
    with quiet(), new_folder(target) as work:
        try:
            tokenizer = model.tokenizer
            features = tokenizer(["a question"] * 2, ["an answer", "another one"], padding=True, return_tensors="pt")
            _convert(_scoring_pipeline(model), tokenizer, features, spec, work)
            _check_scores(model, spec, work)
        except Exception as error:  # as above
            _leave_to_torch(spec, work, error)
        write_spec(work, spec)


def _convert(pipeline: Any, tokenizer: Any, features: Any, spec: CompiledSpec, work: Path) -> None:
    """Write graph and tokenizer into `work`, complete `spec`; raises whatever keeps the model from converting."""
    spec.pad_id = int(tokenizer.pad_token_id or 0)
    spec.padding_side = tokenizer.padding_side
    spec.truncation_side = tokenizer.truncation_side
    spec.max_length = {
        kind: min(length, int(min(tokenizer.model_max_length, UNLIMITED))) for kind, length in spec.max_length.items()
    }
    (work / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    example = {name: features[name] for name in _INPUTS if name in features}
    spec.inputs = list(example)
    graph = openvino_converter()(pipeline, example_input=example)
    openvino().save_model(graph, str(work / GRAPH), compress_to_fp16=False)


def _leave_to_torch(spec: CompiledSpec, work: Path, error: Exception) -> None:
    spec.torch_reason = f"{type(error).__name__}: {error}"[:500]
    shutil.rmtree(work)
    work.mkdir()


def _embedding_pipeline(model: Any, dimension: int) -> Any:
    """Wrap a sentence-transformers model as a module from tensors to the first `dimension` numbers of the vectors."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
        ) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                features["token_type_ids"] = token_type_ids
            vectors: torch.Tensor = self.model(features)["sentence_embedding"]
            return vectors[:, :dimension]

    return Pipeline().eval()


def _scoring_pipeline(model: Any) -> Any:
    """Wrap a cross-encoder as a module from tensors to logits (pairs, 1)."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
        ) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                features["token_type_ids"] = token_type_ids
            scores: torch.Tensor = self.model(**features, return_dict=True).logits
            return scores

    return Pipeline().eval()


def _check_vectors(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Raise _NotConvertible unless the compiled model gives the vectors of sentence-transformers on the probes.

    Both kinds are compared, since a model may send them through different parts.
    """
    backend = OpenVinoBackend(work, spec, "fp32", keep_ready=False)
    for kind, encode in {"query": model.encode_query, "document": model.encode_document}.items():
        ours = backend.embed(PROBES, kind)
        theirs: npt.NDArray[np.float32] = encode(list(PROBES), show_progress_bar=False)
        scale = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine = (ours * theirs).sum(axis=1) / np.maximum(scale, 1e-12)
        if not (cosine >= _PROBE_COSINE).all():
            raise _NotConvertible(f"the {kind} vectors differ from sentence-transformers': cosine {cosine.min():.5f}")


def _check_scores(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Raise _NotConvertible unless the compiled cross-encoder gives the scores of sentence-transformers."""
    pairs = [(first, second) for first in PROBES[:2] for second in PROBES]
    ours = OpenVinoScorer(work, spec, keep_ready=False).score(pairs)
    difference = float(np.abs(ours - logits(model, pairs)).max())
    if not difference <= _PROBE_DIFFERENCE:
        raise _NotConvertible(f"the scores differ from sentence-transformers' by {difference:.5f}")


def _main() -> int:
    request = msgspec.msgpack.decode(
        sys.stdin.buffer.read(), type=tuple[str, Layout, Path], dec_hook=lambda kind, value: kind(value)
    )
    task, layout, target = request
    try:
        trace(task, layout, target)
    except ModelError as error:
        sys.stderr.write("\n" + " ".join(str(error).split()) + "\n")
        return TRACE_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(_main())
