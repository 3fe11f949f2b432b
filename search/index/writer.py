"""Writing an index folder: making it, holding its lock, and merging what is pending into a new generation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from search.errors import IndexFolderError
from search.index import ann
from search.index.checksum import checksum, folder_checksum, sample_checksum
from search.index.lexical import LexicalWriter
from search.index.lock import WriterLock
from search.index.manifest import LexicalPart, Manifest, VectorPart, fsync_folder, read_manifest, write_manifest
from search.store import NlmLedger, StoreReader, StoreWriter, Vectors

__all__ = ["IndexWriter", "create_folder"]

#: Merge once so much is pending: a search compares all of it, and up to here that is faster than Faiss is exact.
_MERGE_AT_LEAST = 5_000
_MERGE_AT_SHARE = 0.05


def create_folder(folder: Path, manifest: Manifest) -> None:
    """Make an empty index. Raises IndexFolderError if the folder holds anything else already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        left = [entry.name for entry in folder.iterdir() if entry.name not in _LEFT_BY_CREATION]
    except OSError as error:
        raise IndexFolderError(f"{folder}: {error.strerror}; an index cannot be made there") from error
    if left:
        raise IndexFolderError(f"{folder} is not empty (it holds {left[0]}); give a new or empty folder")
    lock = WriterLock(folder)
    lock.acquire()
    try:
        store = StoreWriter(folder / "articles.db")
        if store.change() > 1:
            store.close()
            raise IndexFolderError(
                f"{folder} holds an articles.db with articles but no manifest.json; restore it from a copy"
            )
        store.set_vector_format(manifest.dimension, manifest.vectors)
        store.close()
        fsync_folder(folder)
        write_manifest(folder, manifest)
    finally:
        lock.release()


#: What a creation that was interrupted leaves behind; the manifest comes last.
_LEFT_BY_CREATION = {"articles.db", "articles.db-wal", "articles.db-shm", "writer.lock", "manifest.json.new"}


class IndexWriter:
    """The one writer of an index folder, from construction to `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._lock = WriterLock(folder)
        self._lock.acquire()
        try:
            # Again: the last writer may have finished in between.
            self.manifest = read_manifest(folder)
            self.store = StoreWriter(folder / "articles.db")
            self._remove_leftovers()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Close the store and give the lock back."""
        self.store.close()
        self._lock.release()

    @property
    def ledger(self) -> NlmLedger:
        """What the index remembers of NLM."""
        return NlmLedger(self.store)

    def pending(self) -> int:
        """Return how many vectors and deletions the Faiss index does not know of."""
        since = self.manifest.vector_part.change if self.manifest.vector_part else 0
        return self.store.count_vectors_since(since) + len(self.store.deleted_since(since))

    def merge_if_due(self) -> bool:
        """Merge if so much is pending that searches would feel it."""
        held = self.manifest.vector_part.count if self.manifest.vector_part else 0
        if self.pending() < max(_MERGE_AT_LEAST, _MERGE_AT_SHARE * held):
            return False
        self.merge()
        return True

    def merge(self, *, anew: bool = False) -> None:
        """Bring the derived parts up to SQLite as the next generation, and switch to it.

        `anew` uses nothing of the parts that are there, which may be damaged. Readers go on with the generation they
        have; a crash leaves the old one in force, and the new files are removed by the next writer.
        """
        generation = self.manifest.generation + 1
        base = None if anew else self.manifest.lexical_part
        reader = StoreReader(self.folder / "articles.db")
        try:
            with reader.snapshot() as change:
                vectors = _build_vectors(self.folder, generation, reader, change)
                lexical = _build_lexical(self.folder, generation, reader, change, base)
        finally:
            reader.close()
        self._switch(
            msgspec.structs.replace(self.manifest, generation=generation, vector_part=vectors, lexical_part=lexical)
        )

    def _switch(self, manifest: Manifest) -> None:
        write_manifest(self.folder, manifest)
        self.manifest = manifest
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove files of other generations. A reader that has one open keeps it until it closes it."""
        vectors, lexical = self.manifest.vector_part, self.manifest.lexical_part
        keep = {vectors.file if vectors else "", lexical.folder if lexical else ""}
        for path in self.folder.glob("vectors-*.faiss*"):
            if path.name not in keep:
                path.unlink(missing_ok=True)
        for path in self.folder.glob("lexical-*"):
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def _build_vectors(folder: Path, generation: int, store: StoreReader, change: int) -> VectorPart:
    count = store.counts()["vectors"]
    dimension = int(store.settings()["dimension"])
    sample = _training_sample(store, ann.training_size(count), count)
    index = ann.build(store.vector_batches(), count, sample, dimension)
    path = folder / f"vectors-{generation}.faiss"
    temporary = path.with_suffix(".faiss.new")
    index.write(temporary)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)
    fsync_folder(folder)
    return VectorPart(
        file=path.name,
        kind=ann.choose(count),
        change=change,
        count=index.count,
        size=path.stat().st_size,
        checksum=checksum(path),
        sample=sample_checksum(path),
    )


def _build_lexical(
    folder: Path, generation: int, store: StoreReader, change: int, base: LexicalPart | None
) -> LexicalPart:
    path = folder / f"lexical-{generation}"
    writer = LexicalWriter(path, folder / base.folder if base else None)
    if base is None:
        writer.add(store.articles())
    else:
        writer.remove(store.changed_since(base.change).tolist())
        writer.add(store.articles_since(base.change))
    count = writer.finish()
    fsync_folder(path)
    fsync_folder(folder)
    return LexicalPart(
        folder=path.name,
        change=change,
        count=count,
        sizes={file.name: file.stat().st_size for file in sorted(path.iterdir()) if file.suffix != ".lock"},
        checksum=folder_checksum(path),
    )


def _training_sample(store: StoreReader, size: int, count: int) -> Vectors | None:
    """Draw vectors evenly over all PMIDs: they follow time, and so do topics."""
    if not size:
        return None
    step = count / size

    def rows() -> Iterator[Vectors]:
        seen = 0
        for _, vectors in store.vector_batches():
            places = np.arange(seen, seen + len(vectors))
            yield vectors[np.floor(places / step) != np.floor((places - 1) / step)]
            seen += len(vectors)

    return np.concatenate(list(rows()))
