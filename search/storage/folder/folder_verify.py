"""Check an index folder: every part is read and compared with the others; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from search.errors import SearchError
from search.files import digest
from search.storage.folder.folder_manifest import (
    DATABASE,
    KINDS,
    FolderManifest,
    Kind,
    LexicalPart,
    read_manifest,
)
from search.storage.folder.saved_files import SavedFolder
from search.storage.folder.segments import open_segment, segment_dimension
from search.storage.folder.sqlite_reader import StoreReader, term_list, vector_checksum
from search.storage.folder.tantivy_index import LexicalIndex
from search.storage.store import UNIT
from search.storage.verify import Problem, check_articles, row_problem, vector_problem

__all__ = ["check_database", "verify"]

_BATCH = 1000


def verify(folder: Path) -> Iterator[str]:
    """Yield the problems of an index, a sentence each that says what to do; nothing if there are no problems.

    Reads every byte: SQLite's own check, every row against the document it was made from, the checksum of every vector,
    and the checksums and PMIDs of the search indexes. Raises IndexFolderError if the folder is not an index.
    """
    manifest = read_manifest(folder)
    try:
        store = StoreReader(folder / DATABASE)
    except SearchError as error:
        yield str(error)
        return
    try:
        with store.snapshot():
            for problem in check_database(store):
                yield problem.text
            for kind in KINDS:
                yield from _faiss(folder, manifest, store, kind)
            yield from _tantivy(folder, manifest, store)
            yield from _saved(folder)
    except SearchError as error:
        yield str(error)
    except (TypeError, ValueError, AttributeError) as error:
        yield f"{store.path} is damaged, a value is not of its kind ({error}); restore it from a copy"
    except OSError as error:
        yield f"{error.filename}: {error.strerror}; what comes after it was not checked"
    finally:
        store.close()


def check_database(store: StoreReader) -> Iterator[Problem]:
    """Yield the problems of the database."""
    for text in store.integrity_problems():
        yield Problem(f"{store.path} is damaged ({text}); restore it from a copy")
    yield from check_articles(store)
    yield from _vectors(store)
    yield from _links(store)
    yield from _names(store)


def _vectors(store: StoreReader) -> Iterator[Problem]:
    """Compare every vector with its checksum."""
    for pmid, text_hash, stored, checksum in store.rows("SELECT pmid, text_hash, vector, checksum FROM vectors"):
        vector = store.read_vector(stored)
        if vector is None:
            yield vector_problem(pmid, f"is not of {store.dimension} dimensions")
            continue
        length = float(np.linalg.norm(vector))
        if not abs(length - 1) < UNIT:
            yield vector_problem(pmid, f"has length {length:.3f}, not 1")
        elif checksum != vector_checksum(pmid, text_hash, stored):
            yield vector_problem(pmid, "is not the one that was stored")


def _links(store: StoreReader) -> Iterator[Problem]:
    """Compare the list of the articles of each term with the list of the terms of each article."""
    count = 0
    cursor = store.rows("SELECT pmid, terms FROM articles ORDER BY pmid")
    while rows := cursor.fetchmany(_BATCH):
        links = {(pmid, number // 2, number % 2) for pmid, terms in rows for number in term_list(terms)}
        count += len(links)
        listed = json.dumps([(pmid, term) for pmid, term, _ in links])
        there = store.rows(
            "SELECT l.pmid, l.term, l.major FROM json_each(?) AS w CROSS JOIN article_terms AS l "
            "ON l.term = json_extract(w.value, '$[1]') AND l.pmid = json_extract(w.value, '$[0]')",
            [listed],
        )
        for pmid in sorted({pmid for pmid, _, _ in links - set(there)}):
            yield row_problem(pmid, "it is not found by its MeSH headings, types or languages")
    more = store.one("SELECT count(*) FROM article_terms") - count
    if more > 0:
        yield Problem(f"{more:,} headings, types or languages belong to no article; `search repair` removes them")


def _names(store: StoreReader) -> Iterator[Problem]:
    """Compare the names that journals are found by with the journals."""
    names = {(key, number) for number, keys in store.rows("SELECT id, keys FROM journals") for key in keys.split("\n")}
    if names != set(store.rows("SELECT key, journal FROM journal_keys")):
        yield Problem(f"{store.path}: the names of journals are damaged; `search repair` makes them again")


def _saved(folder: Path) -> Iterator[str]:
    saved = SavedFolder(folder)
    for name in saved.names():
        try:
            saved.read(name)
        except (ValueError, OSError) as error:
            yield f"the saved search {name!r} is damaged ({error}); save it again"


def _faiss(folder: Path, manifest: FolderManifest, store: StoreReader, kind: Kind) -> Iterator[str]:
    since = 0
    for part in manifest.segments(kind):
        path = folder / part.file
        if part.since < since:
            yield f"manifest.json: {part.file} and the segment before it overlap; `search repair` rebuilds both"
        since = part.change
        if not path.exists() or digest(path) != part.checksum:
            yield f"{path} is missing or damaged; `search repair` rebuilds it"
            continue
        segment = open_segment(folder, part, segment_dimension(kind, manifest.dimension))
        expected = store.vector_pmids(part.since, part.change, kind)
        unmerged = store.vectors_changed_since(manifest.covered(kind), kind)
        held = np.setdiff1d(segment.index.pmids(), np.union1d(segment.outdated, unmerged))
        if not np.array_equal(held, expected):
            yield f"{path} does not hold the vectors of {DATABASE}; `search repair` rebuilds it"
    covered = sum(store.count_vectors_since(part.since, part.change, kind) for part in manifest.segments(kind))
    if covered != store.count_vectors_since(0, manifest.covered(kind), kind):
        yield f"{folder}: some vectors of {DATABASE} are in no segment; `search repair` rebuilds them"


def _tantivy(folder: Path, manifest: FolderManifest, store: StoreReader) -> Iterator[str]:
    part = manifest.lexical_part
    if part is None:
        return
    path = folder / part.folder
    if not path.is_dir() or not _is_undamaged(path, part):
        yield f"{path} is missing or damaged; `search repair` rebuilds it"
        return
    if LexicalIndex(path).count != part.count:
        yield f"{path} does not hold as many articles as the manifest says; `search repair` rebuilds it"


def _is_undamaged(path: Path, part: LexicalPart) -> bool:
    return {file.name: digest(file) for file in path.iterdir() if file.suffix != ".lock"} == part.checksums
