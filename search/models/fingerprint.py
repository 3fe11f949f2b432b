"""What a model is, as a short hash: weights, tokenizer, pooling, prompts - wherever its folder lies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from search.errors import ModelError
from search.files import cache_folder, write_atomically

__all__ = ["WEIGHT_SUFFIXES", "model_fingerprint"]

#: Files that hold weights.
WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin"})
#: Other files that decide what a text is turned into: configurations, vocabularies, merges, SentencePiece models.
_CONFIG_SUFFIXES = frozenset({".json", ".txt", ".model", ".tiktoken"})
#: Folders and files beside the model that sentence-transformers does not read.
_IGNORED_FOLDERS = frozenset({"onnx", "openvino", "eval", "checkpoints"})
_IGNORED_FILES = frozenset({"data_config.json", "train_script.json", "training_args.bin", "optimizer.bin"})
#: Keys that say where and with what a file was written, not what the model does.
_INCIDENTAL_KEYS = frozenset({"__version__", "_name_or_path", "name_or_path", "transformers_version"})


class _Remembered(msgspec.Struct):
    """A fingerprint and the state of the files (name, size, mtime in ns) from which it was computed."""

    files: list[tuple[str, int, int]]
    fingerprint: str


def model_fingerprint(folder: Path) -> str:
    """Return 32 hex digits that change when the weights, the tokenizer, the pooling or the prompts change.

    Hashing the weights takes a second per GB, so the result is remembered by path, sizes and times of change.
    Raises ModelError if the folder holds no model.
    """
    files = _model_files(folder)
    state = [(str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    place = hashlib.blake2b(str(folder.resolve()).encode(), digest_size=16).hexdigest()
    memory = cache_folder() / "fingerprints" / f"{place}.json"
    try:
        remembered = msgspec.json.decode(memory.read_bytes(), type=_Remembered)
        if remembered.files == state:
            return remembered.fingerprint
    except (OSError, msgspec.MsgspecError):
        pass
    fingerprint = _hash_files(folder, files)
    write_atomically(memory, msgspec.json.encode(_Remembered(state, fingerprint)))
    return fingerprint


def _model_files(folder: Path) -> list[Path]:
    """Return the files of a model in a fixed order: those in its root and in the folders of its modules."""
    folders = [folder, *(child for child in folder.iterdir() if child.is_dir() and child.name not in _IGNORED_FOLDERS)]
    found = [
        file
        for place in folders
        for file in place.iterdir()
        if file.suffix in WEIGHT_SUFFIXES | _CONFIG_SUFFIXES and file.name not in _IGNORED_FILES and file.is_file()
    ]
    if not any(file.suffix in WEIGHT_SUFFIXES for file in found):
        raise ModelError(
            f"{folder} holds no model: there is no model.safetensors or pytorch_model.bin in it. "
            "Give the folder in which sentence-transformers or transformers saved a model."
        )
    return sorted(found, key=lambda file: str(file.relative_to(folder)))


def _hash_files(folder: Path, files: list[Path]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for file in files:
        total.update(str(file.relative_to(folder)).encode() + b"\0")
        total.update(_content_hash(file))
    return total.hexdigest()


def _content_hash(file: Path) -> bytes:
    if file.suffix == ".json" and file.name != "tokenizer.json":
        try:
            content = json.loads(file.read_bytes())
        except ValueError:
            pass
        else:
            plain = json.dumps(_without_incidental(content), sort_keys=True)
            return hashlib.blake2b(plain.encode("utf-8", "surrogatepass")).digest()
    digest = hashlib.blake2b()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.digest()


def _without_incidental(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: value for key, value in content.items() if key not in _INCIDENTAL_KEYS}
    return content
