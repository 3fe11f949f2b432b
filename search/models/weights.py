"""The weights of a model folder as arrays, read without torch: safetensors, or the archive that torch.save writes."""

from __future__ import annotations

import json
import mmap
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WEIGHT_SUFFIXES", "read_weights", "weight_files"]

#: Files that hold weights.
WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin"})

_SAFETENSORS, _TORCH = "model.safetensors", "pytorch_model.bin"
#: bfloat16 is read as the upper half of a float32.
_SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
_TORCH_TYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ByteStorage": "u1", "BoolStorage": "u1",
}  # fmt: skip
_LONGEST_HEADER = 100_000_000


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights of one module: safetensors where there are any, else torch's; [] if none.

    Raises ValueError where an index names a file that is not in the folder.
    """
    for name in (_SAFETENSORS, _TORCH):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            files = [folder / part for part in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))]
            absent = [file.name for file in files if not file.is_file()]
            if absent:
                raise ValueError(f"the weights are incomplete: {', '.join(absent)} is missing")
            return files
    return []


def read_weights(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a module by name; whatever was saved in 16 or 64 bits comes as float32.

    float32 tensors of safetensors are views of the mapped file. Raises ValueError or OSError for files that are
    damaged or hold anything but tensors.
    """
    tensors: dict[str, npt.NDArray[Any]] = {}
    for file in weight_files(folder):
        tensors.update(_read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file))
    return tensors


def _read_safetensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
        if length > min(_LONGEST_HEADER, file.stat().st_size - 8):
            raise ValueError(f"{file.name} is not a safetensors file, or is incomplete")
        header = json.loads(stream.read(length))
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        if last > len(data):
            raise ValueError(f"{file.name} was cut off")
        dtype = _SAFETENSORS_TYPES.get(entry["dtype"])
        if dtype is None:
            raise ValueError(f"{file.name} holds numbers of the type {entry['dtype']}")
        flat = np.frombuffer(data, dtype, (last - first) // np.dtype(dtype).itemsize, first)
        tensors[name] = _single(flat, entry["dtype"] == "BF16").reshape(entry["shape"])
    return tensors


def _single(flat: npt.NDArray[Any], is_bfloat16: bool) -> npt.NDArray[Any]:
    if is_bfloat16:
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32) if flat.dtype.kind == "f" and flat.dtype.itemsize != 4 else flat


class _TensorUnpickler(pickle.Unpickler):
    """Reads what torch.save writes for a dictionary of tensors, and nothing else: no code of the file is run."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")):
            return _tensor if name == "_rebuild_tensor_v2" else _parameter
        if module == "torch" and name in _TORCH_TYPES:
            return name
        raise ValueError(f"it holds {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: Any) -> Any:
        _, storage, key, *_ = pid
        flat = np.frombuffer(self._archive.read(f"{self._root}/data/{key}"), _TORCH_TYPES[storage])
        return _single(flat, storage == "BFloat16Storage")


def _tensor(flat: npt.NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    if min(strides, default=0) < 0 or offset + sum(
        (size - 1) * stride for size, stride in zip(shape, strides, strict=True)
    ) >= max(1, flat.size):
        raise ValueError("a tensor reaches beyond its storage")
    step = flat.dtype.itemsize
    view = np.lib.stride_tricks.as_strided(flat[offset:], shape, [stride * step for stride in strides], writeable=False)
    return np.ascontiguousarray(view)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _read_torch(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if name is None:
                raise ValueError(f"{file.name} is not an archive of torch")
            loaded = _TensorUnpickler(archive, name.rpartition("/")[0]).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{file.name} holds no dictionary of tensors")
    return {str(key): value for key, value in loaded.items() if isinstance(value, np.ndarray)}
