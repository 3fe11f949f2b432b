"""Compile a model once: torch -> OpenVINO, so that torch is not needed to run it.

The whole sentence-transformers pipeline is traced (transformer, pooling, dense layers, ...) as it loads from the
model's own files, with the tokenizer it uses; so nothing of any model's layout is repeated here. What comes out is
compared with sentence-transformers on a few texts before it is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.cache import new_folder
from search.models.spec import GRAPH, TOKENIZER, CompiledSpec, compiled_folder, read_spec, write_spec

__all__ = ["compile_model", "compiled_model"]

KINDS = ("query", "document")

#: Texts on which a compiled model must agree with sentence-transformers: short, long, odd.
_PROBES = [
    "Aspirin",
    "Does taking aspirin lower the risk of bowel cancer?",
    "Efficacy of once-weekly 2.4 mg semaglutide in adults with overweight: a randomised, double-blind trial (STEP 2).",
    "β-Catenin–TCF4 Signalling & naïve CD4+ T-cells, IL-1β ≥ 5 µg/mL; p < .05",
    " ".join(f"In group {n} the mean change in systolic blood pressure was {n % 17} mm Hg." for n in range(60)),
    "",
]
_PROBE_COSINE = 0.9999


class _NotConvertible(Exception):
    """The model runs on torch but not, or not equally, on OpenVINO."""


def compiled_model(folder: Path, fingerprint: str, pooling: str | None) -> tuple[Path, CompiledSpec]:
    """Return the compiled form of the model in `folder`, made now if the cache has none that is sound.

    Raises ModelError if the model cannot be loaded.
    """
    target = compiled_folder(fingerprint, "fp32")
    spec = read_spec(target)
    if spec is None:
        if "torch" in sys.modules:
            compile_model(folder, target, pooling)
        else:
            _compile_apart(folder, target, pooling)
        spec = read_spec(target)
    if spec is None:
        raise ModelError(f"the compiled model in {target} cannot be read back. Delete that folder and try again.")
    return target, spec


def _compile_apart(folder: Path, target: Path, pooling: str | None) -> None:
    """Compile in a process of its own: torch and transformers take 1 GB and seconds that this one then does not pay."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "search.models.compile", str(folder), str(target), pooling or ""]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        if done.returncode == _EXPECTED_FAILURE and lines:
            raise ModelError(lines[-1])
        reason = lines[-1] if lines else f"the process ended with status {done.returncode}"
        raise ModelError(f"compiling the model in {folder} failed: {reason}.")


def compile_model(folder: Path, target: Path, pooling: str | None = None) -> None:
    """Compile the model in `folder` into the folder `target`; imports torch.

    A model that does not convert, or not to the same vectors, gets a description that names torch as its backend.
    Raises ModelError if the model cannot be loaded.
    """
    from search.models.torch_models import load_sentence_transformer, prompt_for, quiet

    model = load_sentence_transformer(folder, pooling)
    with quiet(), new_folder(target) as work:
        spec = CompiledSpec(
            dimension=int(model.truncate_dim or model.get_embedding_dimension()),
            max_length={},
            prompts={kind: prompt_for(model, kind) for kind in KINDS},
            inputs=[],
        )
        try:
            _convert(model, spec, work)
        except Exception as error:  # whatever torch.jit and OpenVINO raise: the model runs on torch then
            spec.torch_reason = f"{type(error).__name__}: {error}"[:500]
            for file in work.iterdir():
                file.unlink()
        write_spec(work, spec)


def _convert(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Write graph and tokenizer of `model` into `work`, complete `spec`; raises whatever keeps it from converting."""
    import openvino

    tokenizer = model.tokenizer
    longest = int(model.max_seq_length)
    first = model[0]
    lengths = {kind: getattr(first, f"{kind}_length", None) or longest for kind in KINDS}
    spec.max_length = {kind: int(length) for kind, length in lengths.items()}
    spec.pad_id = int(tokenizer.pad_token_id or 0)
    spec.padding_side = tokenizer.padding_side
    spec.truncation_side = tokenizer.truncation_side
    (work / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")

    features = model.preprocess(["an example", "another, longer example"])
    example = {name: features[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in features}
    spec.inputs = list(example)
    graph = openvino.convert_model(_traceable(model, spec.dimension), example_input=example)
    openvino.save_model(graph, str(work / GRAPH), compress_to_fp16=False)
    _check_against(model, spec, work)


def _traceable(model: Any, dimension: int) -> Any:
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

    return Pipeline()


def _check_against(model: Any, spec: CompiledSpec, work: Path) -> None:
    """Raise _NotConvertible unless the compiled model gives the vectors of sentence-transformers on the probes."""
    from search.models.openvino_backend import OpenVinoBackend

    backend = OpenVinoBackend(work, spec, "fp32")
    reference: dict[str, Callable[..., npt.NDArray[Any]]] = {
        "query": model.encode_query,
        "document": model.encode_document,
    }
    for kind, encode in reference.items():
        ours = backend.embed(_PROBES, kind)
        theirs = encode(_PROBES, show_progress_bar=False)
        scale = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine = (ours * theirs).sum(axis=1) / np.maximum(scale, 1e-12)
        if not (cosine >= _PROBE_COSINE).all():
            raise _NotConvertible(f"the {kind} vectors differ from sentence-transformers': cosine {cosine.min():.5f}")


_EXPECTED_FAILURE = 3


def _main(arguments: list[str]) -> int:
    folder, target, pooling = arguments
    try:
        compile_model(Path(folder), Path(target), pooling or None)
    except ModelError as error:
        sys.stderr.write("\n" + " ".join(str(error).split()) + "\n")
        return _EXPECTED_FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
