"""manifest.json: what an index folder is. It is replaced atomically, last, and never edited by hand."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from search.config import ModelConfig
from search.errors import IndexCorruptError, IndexFolderError
from search.files import fsync_folder, sealed, unsealed

__all__ = [
    "FORMAT",
    "LexicalPart",
    "Manifest",
    "Outdated",
    "VectorSegment",
    "read_manifest",
    "write_manifest",
]

#: Version of the layout of an index folder. 1 had one Faiss file of all vectors; it is read, and written as 2.
FORMAT = 2

MANIFEST = "manifest.json"


class Outdated(msgspec.Struct, frozen=True):
    """A file of PMIDs, int64 and ascending, whose vectors in a segment are no longer true."""

    file: str
    count: int
    checksum: str


class VectorSegment(msgspec.Struct, frozen=True):
    """A Faiss file of the vectors that were stored by the changes after `since` and up to `change`, and its checksums.

    Every vector has the number of one change, so it is in one segment at the most, or pending.
    """

    file: str
    kind: str
    since: int
    change: int
    count: int
    size: int
    checksum: str
    sample: str
    outdated: Outdated | None = None

    @property
    def live(self) -> int:
        """How many of its vectors are still true."""
        return self.count - (self.outdated.count if self.outdated else 0)


class LexicalPart(msgspec.Struct, frozen=True):
    """The tantivy folder: which changes it covers, how many articles it holds, its files with sizes and checksums.

    `checksum` is that of the whole folder, in parts that format 1 wrote.
    """

    folder: str
    change: int
    count: int
    sizes: dict[str, int]
    checksum: str = ""
    checksums: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an index folder is and which derived parts belong to it.

    `vector_segments` are in order of their changes, without gaps; together they cover changes up to `vector_change`.
    """

    format: int = FORMAT
    model: str
    #: How the model is used: pooling, prompts, lengths, dimension, revision.
    model_settings: ModelConfig | None = None
    model_notes: tuple[str, ...] = ()
    fingerprint: str
    dimension: int
    text_rule: str
    vectors: str
    #: The index that this one is an unfinished copy of.
    copy_of: str | None = None
    created: str = msgspec.field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    generation: int = 0
    vector_change: int = 0
    vector_segments: tuple[VectorSegment, ...] = ()
    lexical_part: LexicalPart | None = None

    @property
    def used_model(self) -> str | ModelConfig:
        """The model as it is to be loaded again, used as it was when the index was made."""
        return self.model_settings or self.model


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an index folder.

    Raises IndexFolderError if the folder is none or is of a newer format, IndexCorruptError if the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        if path.exists() and not path.is_file():
            raise IndexFolderError(f"{path} is no file")
        data = path.read_bytes()
    except FileNotFoundError:
        what = "is not there" if not folder.exists() else "is no index: it holds no manifest.json"
        raise IndexFolderError(f"{folder} {what}; `search add FILE` makes one") from None
    except OSError as error:
        raise IndexFolderError(f"{path}: {error.strerror}") from error
    try:
        found = unsealed(data)
        version = found.get("format") if isinstance(found, dict) else None
        if isinstance(version, int) and version > FORMAT:
            raise IndexFolderError(
                f"{folder} has index format {version} and this program reads up to {FORMAT}; update the program"
            )
        return _with_plain_names(msgspec.convert(_upgraded(found), Manifest))
    except ValueError as error:
        # msgspec's errors are ValueErrors too.
        raise IndexCorruptError(f"{path} is damaged ({error}); restore it from a copy") from error


def _with_plain_names(manifest: Manifest) -> Manifest:
    """Return the manifest if every file it names is in the folder itself: it may come from elsewhere."""
    names = [manifest.lexical_part.folder, *manifest.lexical_part.sizes] if manifest.lexical_part else []
    for part in manifest.vector_segments:
        names += [part.file, part.outdated.file if part.outdated else part.file]
    for name in names:
        if Path(name).name != name or name == "..":
            raise ValueError(f"it names {name!r}, which is no file of the folder")
    return manifest


def _upgraded(found: Any) -> Any:
    """Return a manifest of format 1 as one of format 2: its Faiss file becomes the only segment."""
    if not isinstance(found, dict) or found.get("format") != 1:
        return found
    part = found.pop("vector_part", None)
    if isinstance(part, dict):
        found["vector_change"] = part.get("change")
        found["vector_segments"] = [{**part, "since": 0}] if part.get("count") else []
    return {**found, "format": FORMAT}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of an index folder so that a crash leaves the old one or the new one, whole."""
    path = folder / MANIFEST
    temporary = path.with_suffix(".json.new")
    with temporary.open("wb") as stream:
        stream.write(sealed(msgspec.to_builtins(manifest)))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    fsync_folder(folder)
