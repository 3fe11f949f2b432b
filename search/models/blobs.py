"""OpenVINO's own cache of graphs that are ready to run, guarded against files that were changed after it wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from search.models.cache import write_atomically

__all__ = ["blob_folder"]

_FOLDER = "blobs"
_RECORD = "blobs.json"


@contextmanager
def blob_folder(model: Path) -> Iterator[Path]:
    """Yield the folder of a compiled model for OpenVINO's `CACHE_DIR`.

    OpenVINO notices a blob that was cut off, but not one whose numbers were changed; so sizes and times of change are
    recorded beside them, and a blob that is not as recorded is deleted before it can be read.
    """
    blobs = model / _FOLDER
    record = model / _RECORD
    try:
        recorded = msgspec.json.decode(record.read_bytes(), type=dict[str, tuple[int, int]])
    except (OSError, msgspec.MsgspecError):
        recorded = {}
    before = _states(blobs)
    for name, state in before.items():
        if recorded.get(name) != state:
            (blobs / name).unlink(missing_ok=True)
    yield blobs
    after = _states(blobs)
    if after != recorded:
        write_atomically(record, msgspec.json.encode(after))


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    try:
        files = [(file.name, file.stat()) for file in folder.iterdir()]
    except OSError:
        return {}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in files}
