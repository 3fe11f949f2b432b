"""What a compiled model is: a folder of the cache that runs without torch, and the file that describes it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec

from search.files import cache_folder, digest

__all__ = [
    "GRAPH",
    "SPEC",
    "TOKENIZER",
    "TRACE_FAILED",
    "WEIGHTS",
    "CompiledSpec",
    "compiled_folder",
    "read_spec",
    "write_spec",
]

GRAPH = "model.xml"
WEIGHTS = "model.bin"
TOKENIZER = "tokenizer.json"
SPEC = "spec.json"

#: Exit status of the process that traces a model, if the last line on its stderr is a ModelError's message.
TRACE_FAILED = 3

#: Raised when a change here makes the folders written before it useless.
_FORMAT = 3


class _File(msgspec.Struct):
    """The state of a file of the folder when it was complete."""

    size: int
    mtime_ns: int
    digest: str


class CompiledSpec(msgspec.Struct, kw_only=True):
    """How a compiled model is fed and what it gives.

    `max_length` and `prompts` are by kind of text (`query`, `document`; `pair` for a cross-encoder). `cosine` is the
    lowest to float32 that was seen when an int8 form was made. A graph that is not `padded` takes texts of one length
    at a time. Where `torch_reason` says why the model did not convert, there is no graph and torch runs the model.
    `weights` has, by name, the offset in bytes and the shape of each float32 tensor in the file of weights.
    """

    dimension: int
    max_length: dict[str, int] = {}
    prompts: dict[str, str] = {}
    inputs: list[str] = []
    pad_id: int = 0
    padding_side: str = "right"
    padded: bool = True
    truncation_side: str = "right"
    cosine: float | None = None
    torch_reason: str | None = None
    weights: dict[str, tuple[int, tuple[int, ...]]] = {}
    files: dict[str, _File] = {}


def compiled_folder(fingerprint: str, precision: str) -> Path:
    """Return where the cache keeps the model of this fingerprint, compiled by the OpenVINO that is installed."""
    release = ".".join(_openvino_version().split(".")[:2])
    return cache_folder() / "models" / f"{fingerprint}-{precision}-{_FORMAT}.{release}"


def _openvino_version() -> str:
    spec = importlib.util.find_spec("openvino")
    for folder in Path(spec.origin).parents[1].glob("openvino-[0-9]*.dist-info") if spec and spec.origin else []:
        return folder.name.removesuffix(".dist-info").partition("-")[2]
    from importlib.metadata import version  # takes 20 ms

    return version("openvino")


def write_spec(folder: Path, spec: CompiledSpec) -> None:
    """Write the description of a folder that is complete but for it."""
    spec.files = {name: _state(folder / name) for name in (GRAPH, WEIGHTS, TOKENIZER) if (folder / name).exists()}
    (folder / SPEC).write_bytes(msgspec.json.encode(spec))


def read_spec(folder: Path) -> CompiledSpec | None:
    """Read the description of a compiled model; None if there is none or a file of the folder is not as it was written.

    Sizes and times of change are compared; the content is hashed only where a time differs, as after a copy.
    """
    try:
        spec = msgspec.json.decode((folder / SPEC).read_bytes(), type=CompiledSpec)
        sound = all(_unchanged(folder / name, state) for name, state in spec.files.items())
    except (OSError, msgspec.MsgspecError):
        return None
    return spec if sound else None


def _state(file: Path) -> _File:
    status = file.stat()
    return _File(status.st_size, status.st_mtime_ns, digest(file))


def _unchanged(file: Path, state: _File) -> bool:
    status = file.stat()
    if status.st_size != state.size:
        return False
    return status.st_mtime_ns == state.mtime_ns or digest(file) == state.digest
