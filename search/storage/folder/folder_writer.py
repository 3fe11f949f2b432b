"""Writing an index folder: creating it, holding its lock, and merging changes into a new generation."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np

from search.errors import IndexCorruptError, IndexFolderError
from search.files import digest, fsync_folder
from search.storage.folder import faiss_index as ann
from search.storage.folder.compaction import Compaction
from search.storage.folder.folder_manifest import (
    DATABASE,
    KINDS,
    FolderManifest,
    Kind,
    LexicalPart,
    VectorSegment,
    read_manifest,
    write_manifest,
)
from search.storage.folder.folder_verify import check_database
from search.storage.folder.lock import WriterLock
from search.storage.folder.segments import SEGMENT_FILES, replaceable, with_outdated, write_segment
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.sqlite_writer import StoreWriter
from search.storage.folder.tantivy_index import LexicalWriter
from search.storage.manifest import Manifest
from search.storage.nlm_ledger import NlmLedger
from search.storage.verify import mend

__all__ = ["IndexWriter", "create_folder", "restore_manifest"]

#: Merge once this many changes are unmerged, whatever the size of the index: a search compares each of them.
_MERGE_AT = 5_000

#: At the end of a run so much is worth a merge.
_MERGE_AT_THE_END = 100

#: What a creation that was interrupted leaves behind; the manifest comes last.
_LEFT_BY_CREATION = {*(f"{DATABASE}{ending}" for ending in ("", "-wal", "-shm", "-journal")), "writer.lock"}


def create_folder(folder: Path, manifest: Manifest) -> None:
    """Make an empty index. Raises IndexFolderError if the folder holds anything else already."""
    new = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in folder.iterdir() if entry.suffix != ".new"} - _LEFT_BY_CREATION
    except OSError as error:
        raise IndexFolderError(f"{folder}: {error.strerror}; an index cannot be made there") from error
    if names:
        raise IndexFolderError(f"{folder} is not empty (it holds {min(names)}); give a new or empty folder")
    lock = WriterLock(folder)
    lock.acquire()
    try:
        _create_database(folder, manifest)
        with _failures_reported(folder):
            fsync_folder(folder)
            # The folder may be as new as what is in it, and the folders above it too.
            for path in {folder, *new}:
                with suppress(PermissionError):
                    fsync_folder(path.absolute().parent)
            write_manifest(folder, FolderManifest(**msgspec.structs.asdict(manifest)))
    finally:
        lock.release()


def _create_database(folder: Path, manifest: Manifest) -> None:
    with closing(StoreWriter(folder / DATABASE, create=True)) as store:
        if not store.has_tables():
            store.create(manifest)
        elif store.change():
            raise IndexFolderError(
                f"{folder} holds an {DATABASE} with articles and no manifest.json; run `search repair`"
            )
        else:
            store.transact(lambda _: store.put_manifest(manifest))


def restore_manifest(folder: Path) -> None:
    """Make a manifest.json that is lost or damaged again from the database; nothing where it is sound.

    Raises IndexFolderError if the folder is not an index, or the database is missing.
    """
    try:
        read_manifest(folder)
        return
    except IndexCorruptError:
        pass
    except IndexFolderError:
        if not (folder / DATABASE).exists():
            raise
    with closing(StoreWriter(folder / DATABASE)) as store:
        known = msgspec.structs.asdict(store.manifest())
    numbers = [int(number) for path in folder.glob("*-*") for number in re.findall(r"-(\d+)", path.name)]
    lock = WriterLock(folder)
    lock.acquire()
    try:
        # Numbers of files that are there are not used again: a reader may have them open.
        write_manifest(folder, FolderManifest(**{**known, "generation": max([0, *numbers])}))
    finally:
        lock.release()


class IndexWriter:
    """The one writer of an index folder, from construction to `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._compaction: Compaction | None = None
        self._lock = WriterLock(folder)
        self._lock.acquire()
        try:
            # Again: the last writer may have finished in between.
            self.manifest = read_manifest(folder)
            self._number = self.manifest.generation
            self.store = StoreWriter(folder / DATABASE)
            self.store.guard = self._lock.check
            self.manifest = self._with_static(self.manifest)
        except BaseException:
            if (store := getattr(self, "store", None)) is not None:
                store.close()
            self._lock.release()
            raise
        self._remove_leftovers()

    def _with_static(self, manifest: FolderManifest) -> FolderManifest:
        """Return a manifest with what the database says of static vectors: it changes there, with all of them."""
        return msgspec.structs.replace(manifest, static=self.store.manifest().static)

    def remove_if_empty(self) -> bool:
        """Remove what an index consists of if it holds no article and no deletion; return whether it was removed."""
        if not self.store.is_empty():
            return False
        self.store.close()
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return True

    def close(self, *, wait: bool = True) -> None:
        """Close the store and give the lock back.

        A merging of segments that runs aside is waited for, or given up with `wait` False: the next writer begins it
        again.
        """
        try:
            if wait:
                self._adopt()
        finally:
            if self._compaction is not None:
                self._compaction.stop()
                self._compaction = None
            self.store.close()
            self._lock.release()

    @property
    def ledger(self) -> NlmLedger:
        """What the index remembers of NLM."""
        return NlmLedger(self.store)

    def _unmerged(self) -> int:
        """Return how many vectors and deletions, or articles if more, the search indexes do not have."""
        lexical, since = self.manifest.lexical_part, self.manifest.vector_change
        vectors = self.store.count_vectors_since(since) + len(self.store.deleted_since(since))
        return max(vectors, self.store.count_articles_since(lexical.change if lexical else 0))

    def finish_copy(self) -> None:
        """Note that the index is complete: it was made as a copy of another."""
        manifest = msgspec.structs.replace(self._with_static(self.manifest), copy_of=None)
        self.store.transact(lambda _: self.store.put_manifest(_common(manifest)))
        self._switch(manifest)

    def merge_if_due(self, *, last: bool = False) -> bool:
        """Merge if so much is unmerged that searches would feel it, and return whether it was.

        With `last`, at the end of a run, a little is enough: every process that searches would read it again.

        It becomes a small segment. Where larger ones are due to become one, that begins in a thread of its own; a later
        call or `close` makes it active.
        """
        if self._compaction is not None and self._compaction.ready:
            self._adopt()
        if self._unmerged() < (_MERGE_AT_THE_END if last else _MERGE_AT):
            return False
        self._flush()
        self._begin_compaction()
        return True

    def merge(self, *, rebuild: bool = False) -> None:
        """Bring the search indexes up to SQLite as the next generation, and switch to it.

        `rebuild` uses nothing of those that are there, which may be damaged. Readers keep the generation they have; a
        crash leaves the old one active, and the next writer removes the new files.
        """
        self._adopt()
        self._flush(rebuild=rebuild)
        while self._begin_compaction():
            self._adopt()

    def repair(self) -> list[str]:
        """Rebuild everything that can be rebuilt from the records, and return what cannot, such as damaged records."""
        left = mend(self.store, check_database(self.store))
        self.merge(rebuild=True)
        return left

    # One step ---------------------------------------------------------------------------------------------------------

    def _flush(self, *, rebuild: bool = False) -> None:
        """Write the unmerged changes as a segment, together with small ones, and as the next lexical generation."""
        number = self._next_number()
        manifest = self._with_static(self.manifest)
        with (
            self._building(),
            closing(StoreReader(self.folder / DATABASE)) as reader,
            reader.snapshot() as change,
        ):
            lexical = _build_lexical(self.folder, number, reader, change, None if rebuild else manifest.lexical_part)
            manifest = msgspec.structs.replace(manifest, generation=number, lexical_part=lexical)
            for kind in KINDS:
                segments = self._flushed(manifest, kind, number, reader, change, rebuild=rebuild)
                manifest = manifest.with_segments(kind, segments, change)
        self._switch(manifest)

    def _flushed(
        self, manifest: FolderManifest, kind: Kind, number: int, reader: StoreReader, change: int, *, rebuild: bool
    ) -> list[VectorSegment]:
        """Return the segments of one kind, with the unmerged changes among them."""
        kept = () if rebuild else self._kept(manifest, kind, reader)
        replaced = manifest.segments(kind)[len(kept) :]
        covered = manifest.covered(kind)
        since = 0 if rebuild else replaced[0].since if replaced else covered
        segment = write_segment(self.folder, number, reader, kind, since, change)
        changed = reader.vectors_changed_since(covered, kind) if kept else np.empty(0, np.int64)
        segments = [with_outdated(self.folder, number, part, changed) for part in kept]
        return [*segments, *([segment] if segment else [])]

    def _kept(self, manifest: FolderManifest, kind: Kind, store: StoreReader) -> tuple[VectorSegment, ...]:
        """Return the segments to keep beside the unmerged changes: all but a few small ones, quick to rebuild."""
        segments = manifest.segments(kind)
        total = store.count_vectors_since(manifest.covered(kind), kind=kind)
        first = replaceable(segments, total)
        busy = self._compaction.replaced[-1].change if self._compaction and self._compaction.kind == kind else 0
        while first < len(segments) and (
            segments[first].change <= busy or total + sum(part.live for part in segments[first:]) > ann.EXACT_UP_TO
        ):
            first += 1
        return segments[:first]

    # Larger ones, aside -----------------------------------------------------------------------------------------------

    def _begin_compaction(self) -> bool:
        """Begin to make one segment of several, if that is due; whether it was begun."""
        if self._compaction is not None:
            return False
        for kind in KINDS:
            segments = self.manifest.segments(kind)
            first = replaceable(segments[:-1], segments[-1].live) if len(segments) > 1 else len(segments)
            if first < len(segments) - 1:
                self._compaction = Compaction(self.folder, self._next_number(), kind, segments[first:])
                return True
        return False

    def _adopt(self) -> None:
        """Wait for the compaction that runs, if any, and replace its segments by the one it made."""
        if self._compaction is None:
            return
        compaction, self._compaction = self._compaction, None
        kind, number = compaction.kind, self._next_number()
        manifest = self.manifest
        segments = []
        with self._building():
            try:
                made = compaction.result()
            except BaseException:
                compaction.stop()
                raise
            changed = self.store.vectors_changed_since(compaction.replaced[-1].change, kind)
            for part in manifest.segments(kind):
                if part.since < compaction.replaced[0].since or part.change > compaction.replaced[-1].change:
                    segments.append(part)
                elif made is not None:
                    segments.append(with_outdated(self.folder, number, made, changed))
                    made = None
        manifest = manifest.with_segments(kind, segments)
        self._switch(msgspec.structs.replace(manifest, generation=number))

    # Files ------------------------------------------------------------------------------------------------------------

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _switch(self, manifest: FolderManifest) -> None:
        self._lock.check()
        with _failures_reported(self.folder):
            write_manifest(self.folder, manifest)
        self.manifest = manifest
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove files of other generations. A reader that has one open keeps it until it closes it."""
        lexical = self.manifest.lexical_part
        keep = {lexical.folder if lexical else ""}
        for part in self.manifest.all_segments:
            keep |= {part.file, part.outdated.file if part.outdated else ""}
        if self._compaction is not None:
            name = f"{self._compaction.kind}-{self._compaction.number}.faiss"
            keep |= {name, f"{name}.new"}
        files = [
            *(path for pattern in SEGMENT_FILES for path in self.folder.glob(pattern)),
            *self.folder.glob("lexical-*"),
            *self.folder.glob(".manifest.json.*"),
        ]
        left = [path for path in files if path.name not in keep]
        try:
            if left:
                # A process may have failed right after it made the manifest active that does without them.
                fsync_folder(self.folder)
        except OSError:
            return
        for path in left:
            # What cannot be removed now, as a file that a reader has open on Windows, is removed by the next writer.
            with suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _building(self) -> Iterator[None]:
        """Report failures, and give back the space of what was not finished: the disk may be full."""
        try:
            with _failures_reported(self.folder):
                yield
        except BaseException:
            self._remove_leftovers()
            raise


def _common(manifest: FolderManifest) -> Manifest:
    """Return what of a manifest does not depend on the folder's files."""
    return Manifest(**{name: getattr(manifest, name) for name in Manifest.__struct_fields__})


@contextmanager
def _failures_reported(folder: Path) -> Iterator[None]:
    """Turn the errors of files, Faiss (RuntimeError) and tantivy (ValueError) into one that says what to do."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise IndexFolderError(
            f"{folder}: the search indexes could not be written ({error}); what was committed is kept and "
            "can be searched; free some space or check the disk, then run the same command again"
        ) from error


def _build_lexical(
    folder: Path, generation: int, store: StoreReader, change: int, base: LexicalPart | None
) -> LexicalPart:
    path = folder / f"lexical-{generation}"
    writer = LexicalWriter(path, folder / base.folder if base else None)
    try:
        if base is None:
            writer.add(store.articles())
        else:
            writer.remove(store.changed_since(base.change).tolist())
            writer.add(store.articles_since(base.change))
        count = writer.finish()
    except BaseException:
        writer.stop()
        raise
    fsync_folder(path)
    fsync_folder(folder)
    files = sorted(file for file in path.iterdir() if file.suffix != ".lock")
    # Links to files of the generation before are not read again, whatever their size.
    known = base.checksums if base else {}
    return LexicalPart(
        folder=path.name,
        change=change,
        count=count,
        sizes={file.name: file.stat().st_size for file in files},
        checksums={
            file.name: known[file.name] if file.name in known and file.suffix != ".json" else digest(file)
            for file in files
        },
    )
