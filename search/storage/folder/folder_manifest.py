"""manifest.json: what an index folder is and which files belong to it. Replaced atomically, last, never edited."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from search.errors import IndexCorruptError, IndexFolderError
from search.files import sealed, unsealed, write_atomically
from search.storage.manifest import Manifest, check_format

__all__ = [
    "DATABASE",
    "KINDS",
    "MANIFEST",
    "FolderManifest",
    "Kind",
    "LexicalPart",
    "Outdated",
    "VectorSegment",
    "read_manifest",
    "write_manifest",
]

#: The model's own vectors, or the static ones that every article has.
Kind: TypeAlias = Literal["vectors", "static"]
KINDS: tuple[Kind, ...] = ("vectors", "static")

MANIFEST = "manifest.json"
DATABASE = "articles.db"


class Outdated(msgspec.Struct, frozen=True):
    """A file of PMIDs, int64 and ascending, whose vectors in a segment are no longer true."""

    file: str
    count: int
    checksum: str


class VectorSegment(msgspec.Struct, frozen=True):
    """A Faiss file of the vectors that were stored by the changes after `since` and up to `change`, and its checksums.

    They are the model's own vectors or static ones (`Kind`).

    Every vector has the number of one change, so it is in one segment at the most, or unmerged.
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
    """The tantivy folder: which changes it covers, how many articles it holds, its files with sizes and checksums."""

    folder: str
    change: int
    count: int
    sizes: dict[str, int]
    checksums: dict[str, str]


class FolderManifest(Manifest, frozen=True, kw_only=True):
    """What an index folder is and which search indexes belong to it.

    `vector_segments` are in order of their changes, without gaps; together they cover changes up to `vector_change`. So
    it is with `static_segments`, which hold the static vectors.
    """

    vector_change: int = 0
    vector_segments: tuple[VectorSegment, ...] = ()
    static_change: int = 0
    static_segments: tuple[VectorSegment, ...] = ()
    lexical_part: LexicalPart | None = None

    @property
    def all_segments(self) -> tuple[VectorSegment, ...]:
        """The segments of both kinds."""
        return (*self.vector_segments, *self.static_segments)

    def segments(self, kind: Kind) -> tuple[VectorSegment, ...]:
        """Return the segments of one kind."""
        return self.vector_segments if kind == "vectors" else self.static_segments

    def covered(self, kind: Kind) -> int:
        """Return the last change that the segments of one kind cover."""
        return self.vector_change if kind == "vectors" else self.static_change

    def with_segments(self, kind: Kind, segments: Iterable[VectorSegment], change: int | None = None) -> FolderManifest:
        """Return the manifest with other segments of one kind; `change` is the last that they cover, if it is new."""
        covered = self.covered(kind) if change is None else change
        if kind == "vectors":
            return msgspec.structs.replace(self, vector_segments=tuple(segments), vector_change=covered)
        return msgspec.structs.replace(self, static_segments=tuple(segments), static_change=covered)


def read_manifest(folder: Path) -> FolderManifest:
    """Read the manifest of an index folder.

    Raises IndexFolderError if the folder is not an index or has another format, IndexCorruptError if the manifest is
    damaged.
    """
    path = folder / MANIFEST
    try:
        if path.exists() and not path.is_file():
            raise IndexFolderError(f"{path} is not a file")
        data = path.read_bytes()
    except FileNotFoundError:
        if (folder / DATABASE).exists():
            text = f"{folder} has an {DATABASE} and no {MANIFEST}; `search repair` makes it again"
        elif folder.exists():
            text = f"{folder} is not an index: it has no {MANIFEST}; `search add FILE` makes one"
        else:
            text = f"{folder} does not exist; `search add FILE` makes one"
        raise IndexFolderError(text) from None
    except OSError as error:
        raise IndexFolderError(f"{path}: {error.strerror}") from error
    try:
        content = unsealed(data)
        check_format(content, str(folder))
        return _with_plain_names(msgspec.convert(content, FolderManifest))
    except ValueError as error:
        # msgspec's errors are ValueErrors too.
        raise IndexCorruptError(f"{path} is damaged ({error}); `search repair` makes it again") from error


def _with_plain_names(manifest: FolderManifest) -> FolderManifest:
    """Return the manifest if every file it names is in the folder itself: it may come from elsewhere."""
    names = [manifest.lexical_part.folder, *manifest.lexical_part.sizes] if manifest.lexical_part else []
    for part in manifest.all_segments:
        names += [part.file, part.outdated.file if part.outdated else part.file]
    for name in names:
        if Path(name).name != name or name == "..":
            raise ValueError(f"it names {name!r}, which is not a file of the folder")
    return manifest


def write_manifest(folder: Path, manifest: FolderManifest) -> None:
    """Replace the manifest of an index folder so that a crash leaves the old one or the new one, complete."""
    write_atomically(folder / MANIFEST, sealed(msgspec.to_builtins(manifest)))
