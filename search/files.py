"""Files and folders: written whole or not at all, checksums, and the folder of what can be remade."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from search.errors import ModelError

__all__ = [
    "cache_folder",
    "checksum",
    "folder_checksum",
    "fsync_folder",
    "new_folder",
    "sample_checksum",
    "sealed",
    "unsealed",
    "write_atomically",
]


_CHECKSUM = "checksum"


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sealed(content: dict[str, Any]) -> bytes:
    """Return what is to be written of a JSON object: indented, with the checksum of all the rest as its last key."""
    return msgspec.json.format(msgspec.json.encode({**content, _CHECKSUM: _checksum(content)}), indent=2)


def unsealed(data: bytes) -> Any:
    """Return what JSON says that `sealed` made. Raises ValueError if it is damaged.

    What has no checksum, as older versions wrote it, is taken as it is.
    """
    found = msgspec.json.decode(data)
    known = found.pop(_CHECKSUM, None) if isinstance(found, dict) else None
    if known is not None and known != _checksum(found):
        raise ValueError("its checksum is another")
    return found


def _checksum(content: dict[str, Any]) -> str:
    """Return the BLAKE2b-64 of a JSON object, whatever the order of its keys and the spaces between them."""
    return hashlib.blake2b(msgspec.json.encode(content, order="sorted"), digest_size=8).hexdigest()


_BLOCK = 1 << 20
_SAMPLE_BLOCK = 1 << 16
_SAMPLES = 64


def checksum(path: Path) -> str:
    """Return the BLAKE2b-128 of a file."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sample_checksum(path: Path) -> str:
    """Return the BLAKE2b-128 of the first, the last and 62 evenly spaced blocks of 64 KiB of a file.

    A file cut short, or swapped for another, does not pass; a flipped bit in a large file may, and `checksum` finds it.
    """
    digest = hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    last = max(0, size - _SAMPLE_BLOCK)
    with path.open("rb") as stream:
        for place in sorted({last * number // (_SAMPLES - 1) for number in range(_SAMPLES)}):
            stream.seek(place)
            digest.update(stream.read(_SAMPLE_BLOCK))
    return digest.hexdigest()


def folder_checksum(folder: Path) -> str:
    """Return the BLAKE2b-128 of the names and contents of the files of a folder, lock files left out."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        if path.suffix != ".lock":
            digest.update(f"{path.name}:{checksum(path)}\n".encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return the folder of what can be remade: `SEARCH_CACHE`, else `pubmed-semantic-search` in the user's cache."""
    if chosen := os.environ.get("SEARCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pubmed-semantic-search"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new one, never a part.

    Raises ModelError if the cache cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError as error:
        raise _not_writable(path, error) from error


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` when the block ends without an error.

    Whatever stood at `target` is replaced. If another process got there first, its folder stays and ours is dropped:
    both were made from the same input. Raises ModelError if the cache cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    except OSError as error:
        raise _not_writable(target, error) from error
    try:
        yield folder
        _swap_in(folder, target)
    except OSError as error:
        raise _not_writable(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap_in(folder: Path, target: Path) -> None:
    """Put `folder` where `target` is; a folder cannot be replaced in one step, so the old one is moved away first."""
    folder.chmod(0o755)
    if target.exists():
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".old-"))
        try:
            target.replace(old / target.name)
        except FileNotFoundError:
            pass
        finally:
            shutil.rmtree(old, ignore_errors=True)
    try:
        folder.replace(target)
    except OSError:
        if not target.is_dir():
            raise


def _not_writable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"cannot write the model cache at {path}: {error.strerror or error}. "
        "Free some space or set SEARCH_CACHE to a folder that can be written."
    )
