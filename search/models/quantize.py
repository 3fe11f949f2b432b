"""Turn a compiled model into one that computes with 8-bit integers: faster where the processor has VNNI or AMX."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.extras import install_command
from search.files import new_folder
from search.models.probes import calibration_texts
from search.models.runtime import openvino, openvino_converter
from search.models.spec import GRAPH, TOKENIZER, CompiledSpec, write_spec
from search.models.tokens import TextTokenizer, pad_batch

__all__ = ["quantize_model"]

_CALIBRATION_TEXTS = 64
_CHECKED_TEXTS = 16
#: Below this cosine to float32 on the check texts something is broken rather than coarse.
_BROKEN_COSINE = 0.95


def quantize_model(folder: Path, spec: CompiledSpec, target: Path) -> None:
    """Write an int8 form of the compiled model in `folder` into the folder `target`; imports nncf, which needs torch.

    Activations are calibrated on made-up abstracts. The attention itself stays in float32: it is a tenth of the work,
    and with int8 inside it OpenVINO has no fused kernel for it. Raises ModelError if nncf is not installed or the
    vectors come out wrong.
    """
    openvino_converter()
    try:
        import nncf
    except ImportError as error:
        raise ModelError(f"the precision int8 needs the Python package nncf: {install_command('int8')}") from error
    texts = calibration_texts(_CALIBRATION_TEXTS + _CHECKED_TEXTS)
    inputs = _inputs(folder, spec, texts)
    core = openvino().Core()
    graph = core.read_model(str(folder / GRAPH))
    reference = _vectors(core, graph, inputs[_CALIBRATION_TEXTS:])
    quantized = nncf.quantize(
        graph,
        nncf.Dataset(inputs[:_CALIBRATION_TEXTS]),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=_CALIBRATION_TEXTS,
        ignored_scope=nncf.IgnoredScope(types=["ScaledDotProductAttention"], validate=False),
    )
    vectors = _vectors(core, quantized, inputs[_CALIBRATION_TEXTS:])
    scale = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
    cosine = float(((vectors * reference).sum(axis=1) / scale).min())
    if not cosine >= _BROKEN_COSINE:
        raise ModelError(
            f"the model in {folder} cannot be computed in int8: cosine to float32 {cosine:.3f}. Use precision auto."
        )
    with new_folder(target) as work:
        openvino().save_model(quantized, str(work / GRAPH), compress_to_fp16=False)
        shutil.copy(folder / TOKENIZER, work / TOKENIZER)
        spec.cosine = cosine
        write_spec(work, spec)


def _inputs(folder: Path, spec: CompiledSpec, texts: list[str]) -> list[dict[str, npt.NDArray[np.int64]]]:
    """Return what the graph is fed for each text."""
    tokenizer = TextTokenizer(folder / TOKENIZER, spec.truncation_side)
    batches = (
        pad_batch([tokens], spec.pad_id, spec.padding_side)
        for tokens in tokenizer.encode(texts, spec.max_length["document"])
    )
    return [{name: batch[name] for name in spec.inputs} for batch in batches]


def _vectors(core: Any, graph: Any, inputs: list[dict[str, npt.NDArray[np.int64]]]) -> npt.NDArray[np.float32]:
    request = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return np.concatenate([request.infer(fed)[0].copy() for fed in inputs])
