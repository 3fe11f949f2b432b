"""manifest.json: what an index folder is. It is replaced atomically, last, and never edited by hand."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from search.errors import IndexCorruptError, IndexFolderError

__all__ = ["FORMAT", "LexicalPart", "Manifest", "VectorPart", "fsync_folder", "read_manifest", "write_manifest"]

#: Version of the layout of an index folder.
FORMAT = 1

MANIFEST = "manifest.json"


class VectorPart(msgspec.Struct, frozen=True):
    """The Faiss file: which changes it covers, what it holds and its checksums."""

    file: str
    kind: str
    change: int
    count: int
    size: int
    checksum: str
    sample: str


class LexicalPart(msgspec.Struct, frozen=True):
    """The tantivy folder: which changes it covers, how many articles it holds, its files with their sizes."""

    folder: str
    change: int
    count: int
    sizes: dict[str, int]
    checksum: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an index folder is and which derived parts belong to it."""

    format: int = FORMAT
    model: str
    fingerprint: str
    dimension: int
    text_rule: str
    vectors: str
    created: str = msgspec.field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    generation: int = 0
    vector_part: VectorPart | None = None
    lexical_part: LexicalPart | None = None


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an index folder.

    Raises IndexFolderError if the folder is none or is of a newer format, IndexCorruptError if the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        what = "is not there" if not folder.exists() else "is no index: it holds no manifest.json"
        raise IndexFolderError(f"{folder} {what}; `search add FILE` makes one") from None
    except OSError as error:
        raise IndexFolderError(f"{path}: {error.strerror}") from error
    try:
        found = msgspec.json.decode(data)
        version = found.get("format") if isinstance(found, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise IndexFolderError(
                f"{folder} has index format {version} and this program reads up to {FORMAT}; update the program"
            )
        return msgspec.convert(found, Manifest)
    except msgspec.MsgspecError as error:
        raise IndexCorruptError(f"{path} is damaged ({error}); restore it from a copy") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of an index folder so that a crash leaves the old one or the new one, whole."""
    path = folder / MANIFEST
    temporary = path.with_suffix(".json.new")
    with temporary.open("wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    fsync_folder(folder)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
