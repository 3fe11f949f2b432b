"""What systems do differently, in one place: files written completely or not at all, links, the clock, the cores."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

import msgspec

from search.errors import ModelError

__all__ = [
    "available_cores",
    "cache_folder",
    "digest",
    "fsync_folder",
    "link_or_copy",
    "new_folder",
    "replace_file",
    "sample_digest",
    "sealed",
    "today",
    "unsealed",
    "utc_now",
    "write_atomically",
    "write_cached",
    "written_output",
]

_CHECKSUM = "checksum"

_BLOCK = 1 << 20
_SAMPLE_BLOCK = 1 << 16
_SAMPLES = 64

#: Windows refuses to replace a file while another process has it open, and cannot flush a folder.
_WINDOWS = os.name == "nt"
_TRIES, _PAUSE_SECONDS = 40, 0.025


def utc_now() -> str:
    """Return the time in UTC to the second: `2026-11-28T12:00:00+00:00`."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def today() -> int:
    """Return the day in UTC as yyyymmdd."""
    return int(datetime.now(timezone.utc).strftime("%Y%m%d"))


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system lets a folder be flushed."""
    if _WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(source: Path, target: Path) -> None:
    """Give a file the name of another. Where a reader has that one open, Windows refuses; so try again for a second.

    Raises OSError.
    """
    for tries_left in reversed(range(_TRIES if _WINDOWS else 1)):
        try:
            source.replace(target)
        except PermissionError:
            if not tries_left:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def link_or_copy(source: Path, target: Path, *, symbolic: bool = False) -> None:
    """Give a file a second name: by a link where system and disk have one, else by a copy. Raises OSError."""
    try:
        if symbolic:
            target.symlink_to(source.absolute())
        else:
            os.link(source, target)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a small file so that a crash or a reader finds the old content or the new one, never a part of it.

    `mode` is that of a new file, less the umask. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        replace_file(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextmanager
def written_output(path: Path) -> Iterator[TextIO]:
    """Write the file that a user named: a crash leaves what was there, or all of the new content.

    A device or a pipe is written as it is, and a link keeps leading to its file. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{target.name}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        replace_file(temporary, target)
        fsync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sealed(content: dict[str, Any]) -> bytes:
    """Return a JSON object as it is written: indented, with the checksum of the rest as its last key."""
    return msgspec.json.format(msgspec.json.encode({**content, _CHECKSUM: _checksum(content)}), indent=2)


def unsealed(data: bytes) -> Any:
    """Return the JSON that `sealed` made. Raises ValueError if it is damaged."""
    content = msgspec.json.decode(data)
    if not isinstance(content, dict) or content.pop(_CHECKSUM, None) != _checksum(content):
        raise ValueError("its checksum does not match")
    return content


def _checksum(content: dict[str, Any]) -> str:
    """Return the BLAKE2b-64 of a JSON object, whatever the order of its keys and the spaces between them."""
    return hashlib.blake2b(msgspec.json.encode(content, order="sorted"), digest_size=8).hexdigest()


def digest(path: Path, kind: str = "blake2b") -> str:
    """Return the digest of a file: BLAKE2b-128, or another that `hashlib.new` knows by name. Raises OSError."""
    total = hashlib.blake2b(digest_size=16) if kind == "blake2b" else hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def sample_digest(path: Path) -> str:
    """Return the BLAKE2b-128 of the first, the last and 62 evenly spaced blocks of 64 KiB of a file.

    A file cut short, or swapped for another, does not pass; a flipped bit in a large file may, and `digest` finds it.
    """
    total = hashlib.blake2b(digest_size=16)
    last = max(0, path.stat().st_size - _SAMPLE_BLOCK)
    with path.open("rb") as stream:
        for offset in sorted({last * number // (_SAMPLES - 1) for number in range(_SAMPLES)}):
            stream.seek(offset)
            total.update(stream.read(_SAMPLE_BLOCK))
    return total.hexdigest()


def cache_folder() -> Path:
    """Return the folder of what can be made again: `SEARCH_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("SEARCH_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("pubmed-semantic-search", appauthor=False)


def write_cached(path: Path, data: bytes) -> None:
    """Write a file of the cache, with the folders above it. Raises ModelError if the cache cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
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
        f"cannot write the cache at {path}: {error.strerror or error}. "
        "Free some space or set SEARCH_CACHE to a folder that can be written."
    )
