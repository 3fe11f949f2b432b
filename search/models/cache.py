"""The cache folder: where it is, and folders that appear in it complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import ModelError

__all__ = ["cache_folder", "new_folder", "write_atomically"]


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
