"""What makes small files and names safe: power cuts do not lose them, and damage is seen."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["fsync_folder", "sealed", "unsealed"]

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
