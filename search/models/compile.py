"""Compile a model once: torch -> OpenVINO, so that torch is not needed to run it.

The whole sentence-transformers pipeline is traced (transformer, pooling, dense layers, ...) as it loads from the
model's own files, with the tokenizer it uses; so nothing of any model's layout is repeated here. What comes out is
compared with sentence-transformers on a few texts before it is kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.files import new_folder
from search.models.probes import PROBES
from search.models.spec import (
    GRAPH,
    TOKENIZER,
    CompiledSpec,
    compiled_folder,
    read_spec,
    write_spec,
)

__all__ = ["compile_encoder", "compile_reranker", "compiled_encoder", "compiled_reranker"]

_KINDS = ("query", "document")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
#: A compiled model must agree so well with sentence-transformers: cosine of vectors, difference of scores.
_PROBE_COSINE = 0.9999
_PROBE_DIFFERENCE = 1e-3
#: Exit status of the compiling process whose last line on stderr is a ModelError's message.
_MODEL_ERROR = 3


class _NotConvertible(Exception):
    """The model runs on torch but not, or not equally, on OpenVINO."""


def compiled_encoder(folder: Path, key: str, pooling: str | None, precision: str) -> tuple[Path, CompiledSpec]:
    """Return the compiled form of the embedding model in `folder`, made now if the cache has none that is sound.

    `key` stands for the model in the cache. `precision` `int8` gives the int8 form, anything else the float32 form.
    Raises ModelError if the model cannot be loaded.
    """
    plain, spec = _compiled("encoder", folder, compiled_folder(key, "fp32"), pooling or "")
    if precision != "int8" or spec.torch_reason is not None:
        return plain, spec
    return _compiled("int8", plain, compiled_folder(key, "int8"), "")


def compiled_reranker(folder: Path, key: str) -> tuple[Path, CompiledSpec]:
    """Return the compiled form of the cross-encoder in `folder`; as `compiled_encoder`."""
    return _compiled("reranker", folder, compiled_folder(key, "fp32-reranker"), "")


def _compiled(task: str, folder: Path, target: Path, pooling: str) -> tuple[Path, CompiledSpec]:
    spec = read_spec(target)
    if spec is None:
        if "torch" in sys.modules:
            _TASKS[task](folder, target, pooling)
        else:
            _compile_apart(task, folder, target, pooling)
        spec = read_spec(target)
    if spec is None:
        raise ModelError(f"the compiled model in {target} cannot be read back. Delete that folder and try again.")
    return target, spec


def _compile_apart(task: str, folder: Path, target: Path, pooling: str) -> None:
    """Compile in a process of its own: torch and transformers take 1 GB and seconds that this one then does not pay."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "search.models.compile", task, str(folder.resolve()), str(target), pooling]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        if done.returncode == _MODEL_ERROR and lines:
            raise ModelError(lines[-1])
        reason = lines[-1] if lines else f"the process ended with status {done.returncode}"
        raise ModelError(f"compiling the model in {folder} failed: {reason}.")


def compile_encoder(folder: Path, target: Path, pooling: str = "") -> None:
    """Compile the embedding model in `folder` into the folder `target`; imports torch.

    `pooling` is for a plain transformers folder that needs another than the mean. A model that does not convert, or
    not to the same vectors, gets a description that names torch as what runs it. Raises ModelError if the model cannot
    be loaded.
    """
    from search.models.torch_models import load_sentence_transformer, prompt_for, quiet

    model = load_sentence_transformer(folder, pooling or None)
    spec = CompiledSpec(
        dimension=int(model.truncate_dim or model.get_embedding_dimension()),
        prompts={kind: prompt_for(model, kind) for kind in _KINDS},
    )
    with quiet(), new_folder(target) as work:
        try:
            longest = int(model.max_seq_length)
            spec.max_length = {kind: int(getattr(model[0], f"{kind}_length", None) or longest) for kind in _KINDS}
            features = model.preprocess(["an example", "another, longer example"])
            _convert(_embedding_pipeline(model, spec.dimension), model.tokenizer, features, spec, work)
            _check_vectors(model, spec, work)
        except Exception as error:  # whatever torch.jit and OpenVINO raise: the model runs on torch then
            _leave_to_torch(spec, work, error)
        write_spec(work, spec)


def compile_reranker(folder: Path, target: Path, pooling: str = "") -> None:
    """Compile the cross-encoder in `folder` into the folder `target`; as `compile_encoder`."""
    from search.models.torch_models import load_cross_encoder, quiet

    model = load_cross_encoder(folder)
    spec = CompiledSpec(dimension=1)
    with quiet(), new_folder(target) as work:
        try:
            tokenizer = model.tokenizer
            spec.max_length = {"pair": int(model.max_length or tokenizer.model_max_length)}
            features = tokenizer(["a question"] * 2, ["an answer", "another one"], padding=True, return_tensors="pt")
            _convert(_scoring_pipeline(model), tokenizer, features, spec, work)
            _check_scores(model, spec, work)
        except Exception as error:  # as above
            _leave_to_torch(spec, work, error)
        write_spec(work, spec)


def _convert(pipeline: Any, tokenizer: Any, features: Any, spec: CompiledSpec, work: Path) -> None:
    """Write graph and tokenizer into `work`, complete `spec`; raises whatever keeps the model from converting."""
    import openvino

    spec.pad_id = int(tokenizer.pad_token_id or 0)
    spec.padding_side = tokenizer.padding_side
    spec.truncation_side = tokenizer.truncation_side
    (work / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    example = {name: features[name] for name in _INPUTS if name in features}
    spec.inputs = list(example)
    graph = openvino.convert_model(pipeline, example_input=example)
    openvino.save_model(graph, str(work / GRAPH), compress_to_fp16=False)


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
    """Wrap a cross-encoder as a module from tensors to scores (pairs, 1), its activation applied."""
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.model
            self.activation = model.activation_fn

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
        ) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                features["token_type_ids"] = token_type_ids
            scores: torch.Tensor = self.activation(self.model(**features, return_dict=True).logits)
            return scores

    return Pipeline().eval()


def _check_vectors(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Raise _NotConvertible unless the compiled model gives the vectors of sentence-transformers on the probes."""
    from search.models.openvino_model import OpenVinoBackend

    backend = OpenVinoBackend(work, spec, "fp32", keep_ready=False)
    kinds = {"query": model.encode_query, "document": model.encode_document}
    if spec.prompts["query"] == spec.prompts["document"] and spec.max_length["query"] == spec.max_length["document"]:
        del kinds["query"]
    for kind, encode in kinds.items():
        ours = backend.embed(PROBES, kind)
        theirs: npt.NDArray[np.float32] = encode(list(PROBES), show_progress_bar=False)
        scale = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine = (ours * theirs).sum(axis=1) / np.maximum(scale, 1e-12)
        if not (cosine >= _PROBE_COSINE).all():
            raise _NotConvertible(f"the {kind} vectors differ from sentence-transformers': cosine {cosine.min():.5f}")


def _check_scores(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Raise _NotConvertible unless the compiled cross-encoder gives the scores of sentence-transformers."""
    from search.models.reranker import OpenVinoScorer

    pairs = [(first, second) for first in PROBES[:2] for second in PROBES]
    ours = OpenVinoScorer(work, spec, keep_ready=False).score(pairs)
    theirs: npt.NDArray[np.float32] = model.predict(pairs, show_progress_bar=False)
    difference = float(np.abs(ours - theirs).max())
    if not difference <= _PROBE_DIFFERENCE:
        raise _NotConvertible(f"the scores differ from sentence-transformers' by {difference:.5f}")


def _quantize(folder: Path, target: Path, pooling: str) -> None:
    from search.models.quantize import quantize_model
    from search.models.torch_models import quiet

    spec = read_spec(folder)
    if spec is None:
        raise ModelError(f"the compiled model in {folder} has just been damaged or deleted. Try again.")
    with quiet():
        quantize_model(folder, spec, target)


_TASKS = {"encoder": compile_encoder, "reranker": compile_reranker, "int8": _quantize}


def _main(arguments: list[str]) -> int:
    task, folder, target, pooling = arguments
    try:
        _TASKS[task](Path(folder), Path(target), pooling)
    except ModelError as error:
        sys.stderr.write("\n" + " ".join(str(error).split()) + "\n")
        return _MODEL_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
