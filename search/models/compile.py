"""Compile a model once into a folder of the cache, from which OpenVINO runs it.

The graphs of BERT-like models are built from their weights. Others are traced by torch in a process of their own, where
it is installed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from search.errors import ModelError
from search.extras import install_command
from search.files import cache_folder, new_folder
from search.models.encoders import Unsupported
from search.models.graph import build_encoder, build_reranker, padding_token, position_limit
from search.models.layout import Layout, cannot_load
from search.models.runtime import openvino
from search.models.spec import GRAPH, TOKENIZER, TRACE_FAILED, CompiledSpec, compiled_folder, read_spec, write_spec
from search.models.tokenizer_files import TokenizerFiles, truncation_side

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["compiled_encoder", "compiled_reranker"]


def compiled_encoder(layout: Layout, key: str, precision: str) -> tuple[Path, CompiledSpec]:
    """Return the compiled form of an embedding model, made now if the cache has none that is sound.

    `key` stands for the model in the cache. `precision` `int8` gives the int8 form, anything else the float32 form.
    Raises ModelError if the model cannot be loaded, or needs packages that are not installed.
    """
    target = compiled_folder(key, "fp32")
    spec = _cached(target, lambda: _compile("encoder", layout, target, build_encoder))
    if precision != "int8" or spec.torch_reason is not None:
        return target, spec
    coarse = compiled_folder(key, "int8")
    return coarse, _cached(coarse, lambda: _quantize(target, spec, coarse))


def compiled_reranker(layout: Layout, key: str) -> tuple[Path, CompiledSpec]:
    """Return the compiled form of a cross-encoder; as `compiled_encoder`."""
    target = compiled_folder(key, "fp32-reranker")
    return target, _cached(target, lambda: _compile("reranker", layout, target, build_reranker))


def _cached(target: Path, compile_now: Callable[[], None]) -> CompiledSpec:
    spec = read_spec(target)
    if spec is None:
        # One process compiles, the others wait for it: a folder must not be replaced while it is read.
        with _lock(target):
            spec = read_spec(target)
            if spec is None:
                compile_now()
                spec = read_spec(target)
    if spec is None:
        raise ModelError(f"the compiled model in {target} cannot be read back. Delete that folder and try again.")
    return spec


def _lock(target: Path) -> FileLock:
    from filelock import FileLock

    folder = cache_folder() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"cannot write the model cache at {folder}: {error.strerror}. "
            "Set SEARCH_CACHE to a folder that can be written."
        ) from error
    return FileLock(folder / f"{target.name}.lock")


def _compile(task: str, layout: Layout, target: Path, build: Callable[[Layout], Any]) -> None:
    try:
        _build(layout, target, build)
    except Unsupported as reason:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelError(
                f"the model in {layout.folder} needs the extra `models`, that is torch and sentence-transformers "
                f"({reason}): {install_command('models')}"
            ) from reason
        _trace(task, layout, target)


def _build(layout: Layout, target: Path, build: Callable[[Layout], Any]) -> None:
    """Build the graph from the weights; raises Unsupported where it is not known how."""
    try:
        tokenizer = TokenizerFiles(layout).to_json()
        if tokenizer is None:
            raise Unsupported("its folder holds no tokenizer.json")
        graph = build(layout)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(layout.folder, error) from error
    limit = position_limit(layout.config)
    spec = CompiledSpec(
        dimension=graph.outputs[0].get_partial_shape()[1].get_length(),
        max_length={kind: min(length, limit or length) for kind, length in layout.max_length.items()},
        prompts=layout.prompts,
        inputs=[name for graph_input in graph.inputs for name in graph_input.get_names()],
        pad_id=padding_token(layout.config),
        truncation_side=truncation_side(layout),
    )
    with new_folder(target) as work:
        (work / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        openvino().save_model(graph, str(work / GRAPH), compress_to_fp16=False)
        spec.weights = _named_constants(work / GRAPH)
        write_spec(work, spec)


def _named_constants(graph: Path) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return the offset and the shape of each float32 constant of a saved graph, by its name."""
    from xml.etree import ElementTree

    constants = {}
    for layer in ElementTree.parse(graph).iter("layer"):
        data = layer.find("data")
        if layer.get("type") == "Const" and data is not None and data.get("element_type") == "f32":
            shape = tuple(int(size) for size in data.get("shape", "").split(",") if size.strip())
            constants[layer.get("name", "")] = int(data.get("offset", 0)), shape
    return constants


def _trace(task: str, layout: Layout, target: Path) -> None:
    """Trace the model with torch in a separate process, because torch takes 1 GB of memory."""
    if "torch" in sys.modules:
        from search.models.trace import trace

        trace(task, layout, target)
        return
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "search.models.trace"]
    request = msgspec.msgpack.encode((task, layout, target), enc_hook=str)
    done = subprocess.run(command, env=environment, input=request, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if done.returncode == TRACE_FAILED and lines:
            raise ModelError(lines[-1])
        reason = lines[-1] if lines else f"the process ended with status {done.returncode}"
        raise ModelError(f"compiling the model in {layout.folder} failed: {reason}.")


def _quantize(folder: Path, spec: CompiledSpec, target: Path) -> None:
    from search.models.quantize import quantize_model

    quantize_model(folder, spec, target)
