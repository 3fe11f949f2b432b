"""Is an index whole? Every part is read and held against the others; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from search.article import embedding_text, text_hash
from search.errors import SearchError
from search.files import checksum, folder_checksum
from search.storage.folder.saved_files import SavedFolder
from search.storage.folder.segments import open_segment
from search.storage.folder.sqlite_audit import UNIT, audit
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.tantivy_index import LexicalIndex
from search.storage.manifest import LexicalPart, Manifest, read_manifest
from search.storage.rows import Pmids, Vectors, unpack

__all__ = ["Checked", "check_articles", "check_vectors", "verify"]


class Checked(Protocol):
    """What is asked of a store, a folder's or another, to check what it holds."""

    def document_rows(self) -> Iterator[tuple[int, bytes, bytes, bytes | None, bool]]:
        """Yield PMID, stored document, hash of the text, hash of the vector's text, and whether it is stale."""
        ...

    def vector_batches(self) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield all vectors."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many articles there are."""
        ...


def verify(folder: Path) -> Iterator[str]:
    """Yield what is wrong with an index, a sentence each that says what to do; nothing if it is whole.

    Reads every byte: SQLite's own check, every row against the document it was made from, the checksum of every vector,
    and the checksums and PMIDs of the derived parts. Raises IndexFolderError if the folder is no index.
    """
    manifest = read_manifest(folder)
    try:
        store = StoreReader(folder / "articles.db")
    except SearchError as error:
        yield str(error)
        return
    try:
        with store.snapshot():
            yield from audit(store)
            yield from _faiss(folder, manifest, store)
            yield from _tantivy(folder, manifest, store)
            yield from _saved(folder)
    except SearchError as error:
        yield str(error)
    finally:
        store.close()


def _saved(folder: Path) -> Iterator[str]:
    saved = SavedFolder(folder)
    for name in saved.names():
        try:
            saved.read(name)
        except (ValueError, OSError) as error:
            yield f"the saved search {name!r} is damaged ({error}); save it again"


def check_articles(store: Checked) -> Iterator[str]:
    """Yield what is wrong with articles: documents, the hashes of their texts, and those of their vectors' texts."""
    documents = 0
    for pmid, document, made_from, vector_hash, stale in store.document_rows():
        documents += 1
        try:
            article = unpack(document)
        except Exception as error:
            yield f"PMID {pmid}: its record cannot be read ({error}); add it again"
            continue
        if article.pmid != pmid:
            yield f"PMID {pmid}: its record says PMID {article.pmid}; add both again"
        if text_hash(embedding_text(article)) != made_from:
            yield f"PMID {pmid}: its text is not the one that was stored; add it again"
        if not stale and vector_hash != made_from:
            yield f"PMID {pmid}: its vector was made from another text; add it again"
    counted = store.counts()["articles"]
    if documents != counted:
        yield f"there are {counted:,} articles and {documents:,} records of them; restore the index from a copy"


def check_vectors(store: Checked) -> Iterator[str]:
    """Yield which vectors are not of unit length."""
    for pmids, vectors in store.vector_batches():
        lengths = np.linalg.norm(vectors, axis=1)
        for place in np.flatnonzero(~(np.abs(lengths - 1) < UNIT)):
            yield f"PMID {pmids[place]}: its vector has length {lengths[place]:.3f}, not 1; delete and add it again"


def _faiss(folder: Path, manifest: Manifest, store: StoreReader) -> Iterator[str]:
    since = 0
    for part in manifest.vector_segments:
        path = folder / part.file
        if part.since < since:
            yield f"manifest.json: {part.file} and the segment before it overlap; `search repair` rebuilds both"
        since = part.change
        if not path.exists() or checksum(path) != part.checksum:
            yield f"{path} is missing or damaged; `search repair` rebuilds it"
            continue
        segment = open_segment(folder, part, manifest.dimension)
        expected = store.vector_pmids(since=part.since, upto=part.change)
        pending = store.vectors_changed_since(manifest.vector_change)
        held = np.setdiff1d(segment.index.pmids(), np.union1d(segment.outdated, pending))
        if not np.array_equal(held, expected):
            yield f"{path} does not hold the vectors of articles.db; `search repair` rebuilds it"
    yield from _in_no_segment(folder, manifest, store)


def _in_no_segment(folder: Path, manifest: Manifest, store: StoreReader) -> Iterator[str]:
    covered = sum(store.count_vectors_since(part.since, part.change) for part in manifest.vector_segments)
    if covered != store.count_vectors_since(0, manifest.vector_change):
        yield f"{folder}: some vectors of articles.db are in no segment; `search repair` rebuilds them"


def _tantivy(folder: Path, manifest: Manifest, store: StoreReader) -> Iterator[str]:
    part = manifest.lexical_part
    if part is None:
        return
    path = folder / part.folder
    if not path.is_dir() or not _is_whole(path, part):
        yield f"{path} is missing or damaged; `search repair` rebuilds it"
        return
    if LexicalIndex(path).count != part.count:
        yield f"{path} does not hold as many articles as the manifest says; `search repair` rebuilds it"


def _is_whole(path: Path, part: LexicalPart) -> bool:
    if not part.checksums:
        return folder_checksum(path) == part.checksum
    files = {file.name: checksum(file) for file in path.iterdir() if file.suffix != ".lock"}
    return files == part.checksums
