"""Segments: Faiss files of the vectors of some changes, each with the PMIDs in it that are no longer true.

A segment is never written again. What is revised or deleted later is listed in a small file beside it, and a new list
is a new file; so a daily update writes what is new, whatever the size of what is there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from search.errors import IndexCorruptError
from search.files import digest, fsync_folder, replace_file, sample_digest
from search.models.static_vectors import static_dimension
from search.storage.folder import faiss_index as ann
from search.storage.folder.faiss_index import VectorIndex
from search.storage.folder.folder_manifest import KINDS, Kind, Outdated, VectorSegment
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.rows import Pmids, Vectors

__all__ = [
    "SEGMENT_FILES",
    "Segment",
    "open_segment",
    "replaceable",
    "segment_dimension",
    "with_outdated",
    "write_segment",
]

#: What the files of segments are called, for finding those that are left over.
SEGMENT_FILES = tuple(f"{kind}-*" for kind in KINDS)

#: A segment is merged with what is newer once that is a quarter of it, so each is a quarter of the one before it.
_TIER = 4

#: Segments that together are no larger are made one: building them takes less time than asking many.
_SMALL = 20_000

#: Training vectors are looked up so many at a time.
_SAMPLE_BLOCK = 10_000

_NO_PMIDS: Pmids = np.empty(0, np.int64)


@dataclass(frozen=True)
class Segment:
    """A segment that is open, and the PMIDs in it, ascending, whose vectors are no longer true."""

    part: VectorSegment
    index: VectorIndex
    outdated: Pmids


def segment_dimension(kind: Kind, dimension: int) -> int:
    """Return the dimension of the vectors of one kind, in an index whose model's have `dimension`."""
    return dimension if kind == "vectors" else static_dimension(dimension)


def replaceable(segments: tuple[VectorSegment, ...], newer: int) -> int:
    """Return where the segments begin that should become one together with so many newer vectors.

    The number of segments if none should.
    """
    first = len(segments)
    total = newer
    for place in range(len(segments) - 1, -1, -1):
        part = segments[place]
        if part.live + total > _SMALL and part.live > _TIER * total and part.live * 2 > part.count:
            break
        first, total = place, total + part.live
    return first


def open_segment(folder: Path, part: VectorSegment, dimension: int) -> Segment:
    """Open a segment in a time that does not depend on its size; a kind that is not memory-mapped is read aside.

    Its length and a sample of its bytes are compared with the manifest, as is all of its list of outdated PMIDs. Raises
    IndexCorruptError if they do not fit; what a sample misses, the first search or `verify` finds.
    """
    path = folder / part.file
    _check_file(path, part)
    index = VectorIndex.read(path, part.kind, (part.count, dimension))
    return Segment(part, index, _read_outdated(folder, part.outdated) if part.outdated else _NO_PMIDS)


def write_segment(
    folder: Path,
    number: int,
    store: StoreReader,
    kind: Kind,
    since: int,
    change: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> VectorSegment | None:
    """Build the segment of the vectors of one kind of the changes after `since` up to `change`, durable on disk.

    None if there are none, or if `stopped` says so meanwhile. `store` holds a snapshot.
    """
    count = store.count_vectors_since(since, change, kind)
    if not count:
        return None
    dimension = segment_dimension(kind, store.dimension)
    sample = _training_sample(store, kind, since, change, ann.training_size(count, dimension))

    def batches() -> Iterator[tuple[Pmids, Vectors]]:
        for batch in store.vector_batches(kind=kind, since=since, upto=change):
            if stopped():
                return
            yield batch

    index = ann.build(batches(), count, sample, dimension)
    if stopped():
        return None
    path = folder / f"{kind}-{number}.faiss"
    temporary = path.with_suffix(".faiss.new")
    index.write(temporary)
    _settle(temporary, path)
    return VectorSegment(
        file=path.name,
        kind=ann.choose(count, dimension),
        since=since,
        change=change,
        count=index.count,
        size=path.stat().st_size,
        checksum=digest(path),
        sample=sample_digest(path),
    )


def with_outdated(folder: Path, number: int, part: VectorSegment, changed: Pmids) -> VectorSegment:
    """Return a segment whose list of outdated PMIDs holds those of `changed` (ascending) that are in it as well."""
    known = _read_outdated(folder, part.outdated) if part.outdated else _NO_PMIDS
    newer = np.setdiff1d(changed, known)
    if len(newer):
        newer = VectorIndex.read(folder / part.file, part.kind).holds(newer)
    if not len(newer):
        return part
    path = folder / f"{Path(part.file).stem}-outdated-{number}.pmids"
    temporary = path.with_suffix(".pmids.new")
    pmids = np.union1d(known, newer)
    temporary.write_bytes(pmids.astype("<i8").tobytes())
    _settle(temporary, path)
    return msgspec.structs.replace(part, outdated=Outdated(path.name, len(pmids), digest(path)))


def _settle(temporary: Path, path: Path) -> None:
    """Give a finished file its name, so that it is there after a power cut."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    replace_file(temporary, path)
    fsync_folder(path.parent)


def _read_outdated(folder: Path, outdated: Outdated) -> Pmids:
    path = folder / outdated.file
    if not path.exists():
        raise IndexCorruptError(f"{path} is missing; `search repair` rebuilds it")
    if path.stat().st_size != outdated.count * 8 or digest(path) != outdated.checksum:
        raise IndexCorruptError(f"{path} is not the file the manifest describes; `search repair` rebuilds it")
    return np.fromfile(path, "<i8").astype(np.int64)


def _check_file(path: Path, part: VectorSegment) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise IndexCorruptError(f"{path} is missing; `search repair` rebuilds it") from None
    if size != part.size:
        raise IndexCorruptError(
            f"{path} has {size} bytes and the manifest says {part.size}; `search repair` rebuilds it"
        )
    if sample_digest(path) != part.sample:
        raise IndexCorruptError(f"{path} is not the file the manifest describes; `search repair` rebuilds it")


def _training_sample(store: StoreReader, kind: Kind, since: int, change: int, size: int) -> Vectors | None:
    """Draw vectors evenly over all PMIDs: they follow time, and so do topics."""
    if not size:
        return None
    pmids = store.vector_pmids(since, change, kind)
    look_up = store.vectors if kind == "vectors" else store.static_vectors
    chosen = pmids[np.arange(size) * len(pmids) // size]
    blocks = [look_up(block.tolist())[1] for block in np.array_split(chosen, math.ceil(size / _SAMPLE_BLOCK))]
    return np.concatenate(blocks)
