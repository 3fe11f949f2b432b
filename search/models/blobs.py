"""OpenVINO's own cache of graphs that are ready to run, guarded against files that were changed after it wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from search.files import write_cached

__all__ = ["blob_folder"]

_FOLDER = "blobs"
_RECORD = "blobs.json"
_LOCK = "blobs.lock"


@contextmanager
def blob_folder(model: Path) -> Iterator[Path | None]:
    """Yield the folder of a compiled model for OpenVINO's `CACHE_DIR`, or None where nothing can be kept.

    OpenVINO notices a blob that was cut off, but not one whose numbers were changed; so sizes and times of change are
    recorded beside them, and a blob that is not as recorded is deleted before it can be read. That holds of a blob
    another process is still writing too, so one at a time is let in.
    """
    from filelock import FileLock

    lock = FileLock(model / _LOCK)
    try:
        if not model.is_dir():
            raise FileNotFoundError(model)
        lock.acquire()
    except OSError:
        yield None
        return
    try:
        blobs = model / _FOLDER
        recorded = _recorded(model)
        for name, state in _states(blobs).items():
            if recorded.get(name) != state:
                (blobs / name).unlink(missing_ok=True)
        yield blobs
        after = _states(blobs)
        if after != recorded:
            write_cached(model / _RECORD, msgspec.json.encode(after))
    finally:
        lock.release()


def _recorded(model: Path) -> dict[str, tuple[int, int]]:
    try:
        return msgspec.json.decode((model / _RECORD).read_bytes(), type=dict[str, tuple[int, int]])
    except (OSError, msgspec.MsgspecError):
        return {}


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    try:
        files = [(file.name, file.stat()) for file in folder.iterdir()]
    except OSError:
        return {}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in files}
