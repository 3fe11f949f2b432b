"""Reading an index folder: a consistent view of SQLite, Faiss and tantivy, and of unmerged changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search.errors import IndexCorruptError, IndexFolderError
from search.storage.bm25 import Terms
from search.storage.conditions import Condition, Conditions
from search.storage.folder.folder_manifest import (
    DATABASE,
    KINDS,
    MANIFEST,
    FolderManifest,
    Kind,
    LexicalPart,
    read_manifest,
)
from search.storage.folder.saved_files import SavedFolder
from search.storage.folder.segments import Segment, open_segment, segment_dimension
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.tantivy_index import LexicalIndex, UnmergedLexical, tokens_of_unmerged, unmerged_tokens
from search.storage.folder.tantivy_tokens import TantivyTokens
from search.storage.folder.vector_search import UnmergedVectors, VectorSearch
from search.storage.members import are_among, distinct
from search.storage.rows import Pmids, Vectors
from search.storage.store import ranked

__all__ = ["IndexReader", "Unmerged", "View"]

#: So many of the best by words are looked at whether they pass a filter, before all that pass it are listed.
_PROBED = 1_000


class Unmerged:
    """What was committed after the changes that the search indexes cover, up to one change.

    Each kind is read when it is first needed, from any store that is in the state of that change, and then kept.
    """

    def __init__(self, manifest: FolderManifest, upto: int, lexical: LexicalIndex | None) -> None:
        self._lexical = lexical
        self.of = {kind: UnmergedVectors(kind, manifest.covered(kind), upto) for kind in KINDS}
        self._words_since = manifest.lexical_part.change if manifest.lexical_part else 0
        self.generation = manifest.generation
        self.upto = upto
        self._lock = threading.Lock()
        self._words: UnmergedLexical | None = None
        self._changed_words: Pmids | None = None
        self._tokens: Any = None

    def words(self, store: StoreReader) -> UnmergedLexical:
        """Return the words of the articles that tantivy does not have."""
        with self._lock:
            if self._words is None:
                self._words = UnmergedLexical(store.articles_since(self._words_since), self._lexical)
            return self._words

    def tokens(self, store: StoreReader) -> Any:
        """Return an index in memory with the tokens of the articles that tantivy does not have."""
        with self._lock:
            if self._tokens is None:
                self._tokens = unmerged_tokens(store.articles_since(self._words_since))
            return self._tokens

    def changed_words(self, store: StoreReader) -> Pmids:
        """Return the PMIDs, ascending, whose words in tantivy are no longer true."""
        if self._changed_words is None:
            self._changed_words = store.changed_since(self._words_since)
        return self._changed_words


@dataclass(frozen=True)
class View:
    """One state of an index, for as long as `IndexReader.view` holds it."""

    manifest: FolderManifest
    change: int
    store: StoreReader
    vector_search: VectorSearch
    static_search: VectorSearch
    lexical: LexicalIndex | None
    waiting: Unmerged

    @property
    def tokens(self) -> TantivyTokens:
        """The words and exact values of all articles, which strategies search."""
        unmerged = self.waiting.tokens(self.store)
        if self.lexical is None:
            return tokens_of_unmerged(unmerged)
        return self.lexical.tokens(self.waiting.changed_words(self.store), unmerged)

    def unmerged(self) -> int:
        """Return how many vectors and deletions are in no segment yet."""
        return len(self.waiting.of["vectors"].changed(self.store))

    def vector_index(self) -> str:
        """Return what vectors are searched with."""
        kinds = [f"{part.kind} of {part.count:,}" for part in self.manifest.vector_segments]
        return ", ".join(kinds) or "compared one by one"

    def select(self, condition: Callable[[Conditions], Condition]) -> Selection:
        """Return the articles that pass a condition, which is made of the conditions that the store has."""
        return Selection(condition)

    def listed(self, pmids: Pmids) -> Selection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        return Selection.listed(pmids)

    def count(self, selection: Selection) -> int:
        """Return how many articles a selection has."""
        return len(selection.pmids(self.store))

    def newest(self, selection: Selection, limit: int) -> list[int]:
        """Return up to `limit` PMIDs of a selection, those of the latest date of publication first."""
        return self.store.newest(selection.pmids(self.store), limit)

    def bm25(self, terms: Terms, limit: int, *, allowed: Selection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for some terms, and these scores, best first."""
        scores = self.waiting.words(self.store).scores(terms)
        if allowed is not None and scores:
            passing = allowed.passing(np.array(list(scores), np.int64), self.store)
            scores = {pmid: scores[pmid] for pmid in passing.tolist()}
        if self.lexical is not None:
            merged, values = self._bm25_merged(self.lexical, terms, limit, allowed)
            scores.update(zip(merged.tolist(), values.tolist(), strict=True))
        best = sorted(scores.items(), key=lambda item: (-item[1], -item[0]))[:limit]
        return np.array([pmid for pmid, _ in best], np.int64), np.array([score for _, score in best], np.float32)

    def _bm25_merged(
        self, lexical: LexicalIndex, terms: Terms, limit: int, allowed: Selection | None
    ) -> tuple[Pmids, Vectors]:
        """Return PMIDs and scores of what tantivy has: of its very best what passes, if that is enough."""
        outdated = self.waiting.changed_words(self.store)
        if allowed is not None and not allowed.is_listed and limit <= _PROBED // 2:
            pmids, scores = lexical.search(terms, _PROBED, excluded=outdated)
            keep = np.isin(pmids, allowed.passing(pmids, self.store))
            if keep.sum() >= limit or len(pmids) < _PROBED:
                return pmids[keep], scores[keep]
        listed = None if allowed is None else allowed.pmids(self.store)
        return lexical.search(terms, limit, allowed=listed, excluded=outdated)

    def idf(self, words: Iterable[str]) -> dict[str, float]:
        """Return the inverse document frequency, in titles and abstracts, of words as they are indexed."""
        weights = self.waiting.words(self.store).idf([("text", word) for word in words])
        return {word: value for (_, word), value in weights.items()}

    def bm25_scores(self, terms: Terms, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for some terms; articles with none of the terms are left out."""
        scored = distinct(pmids)
        scores = self.waiting.words(self.store).scores(terms, scored)
        if self.lexical is not None:
            merged = scored[~are_among(scored, self.waiting.changed_words(self.store))]
            scores.update(self.lexical.scores(terms, merged))
        return scores

    def nearest(self, queries: Vectors, limit: int, *, allowed: Selection | None = None) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest articles and their exact cosines, best first.

        `queries` is (n, dimension) float32 with unit rows; `allowed` restricts the answer. Equal cosines are in order
        of PMID, the newest first.
        """
        candidates = self.vector_search.candidates(queries, limit, self.store, allowed)
        return ranked(queries, candidates, self.store.vectors, limit)

    def static_nearest(
        self, queries: Vectors, limit: int, *, allowed: Selection | None = None
    ) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest static vectors and these cosines, best first.

        `queries` is (n, dimension of static vectors) float32 with unit rows.
        """
        candidates = self.static_search.candidates(queries, limit, self.store, allowed)
        return ranked(queries, candidates, self.store.static_vectors, limit)


class _Stamp(NamedTuple):
    """By what a change of the manifest is noticed, or of the file that the database is in."""

    modified: int
    manifest: int
    size: int
    database: int


@dataclass(frozen=True)
class _Parts:
    """What a manifest names, open."""

    stamp: _Stamp
    manifest: FolderManifest
    segments: dict[Kind, tuple[Segment, ...]]
    lexical: LexicalIndex | None


class IndexReader:
    """An index folder open for reading, by any number of threads at once: each view has its own connection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._idle: list[StoreReader] = []
        self._closed = False
        self._unmerged: Unmerged | None = None
        self.damaged: set[int] = set()
        try:
            self._parts = self._load_parts()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files; a view that another thread still holds stays open until it ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        if os.getpid() == self._process:
            for store in idle:
                store.close()

    @property
    def name(self) -> str:
        """What the index is called in messages."""
        return str(self.folder)

    @property
    def manifest(self) -> FolderManifest:
        """What the index is."""
        return self._parts.manifest

    @property
    def saved(self) -> SavedFolder:
        """The saved searches."""
        return SavedFolder(self.folder)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file, and of each folder with all that is in it."""
        sizes = dict[str, int]()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.folder).parts[0]
                sizes[name] = sizes.get(name, 0) + path.stat().st_size
        return sizes

    @contextmanager
    def view(self) -> Iterator[View]:
        """Hold one state of the index: the last commit of its writer when the view was taken.

        Raises IndexFolderError if the index is closed.
        """
        parts, store = self._taken()
        try:
            with store.snapshot() as change:
                unmerged = self._unmerged_at(parts, change)
                searches = {kind: VectorSearch(parts.segments[kind], unmerged.of[kind]) for kind in KINDS}
                encoded, static = searches["vectors"], searches["static"]
                yield View(parts.manifest, change, store, encoded, static, parts.lexical, unmerged)
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(store)
            if not keep:
                store.close()

    def _taken(self) -> tuple[_Parts, StoreReader]:
        """Return the parts that are current and a connection to the database beside them."""
        while True:
            # The manifest first: a state of SQLite that is taken later holds every change it covers.
            parts = self._current_parts()
            with self._lock:
                store = self._idle.pop() if self._idle else None
            try:
                store = store or self._open_store(parts.manifest)
            except IndexCorruptError:
                if self._current_stamp() == parts.stamp:
                    raise
                continue
            if store.inode == parts.stamp.database:
                return parts, store
            # The whole index was replaced by another.
            store.close()

    def _current_parts(self) -> _Parts:
        with self._lock:
            if self._closed:
                raise IndexFolderError(f"{self.folder} is closed; open it again")
            if os.getpid() != self._process:
                # A forked child must not use its parent's connections, nor close them.
                self._process, self._idle = os.getpid(), []
            if self._current_stamp() != self._parts.stamp:
                self._parts = self._load_parts()
            return self._parts

    def _unmerged_at(self, parts: _Parts, change: int) -> Unmerged:
        with self._lock:
            known = self._unmerged
            if known is None or (known.generation, known.upto) != (parts.manifest.generation, change):
                known = self._unmerged = Unmerged(parts.manifest, change, parts.lexical)
            return known

    def _open_store(self, manifest: FolderManifest) -> StoreReader:
        path = self.folder / DATABASE
        store = StoreReader(path)
        store.damaged = self.damaged
        try:
            kept = store.manifest()
            if (kept.dimension, kept.created) != (manifest.dimension, manifest.created):
                raise IndexCorruptError(
                    f"{path} holds vectors of {kept.dimension} dimensions of an index made {kept.created}, and the "
                    f"manifest says {manifest.dimension}, made {manifest.created}: they are not of one index"
                )
        except BaseException:
            store.close()
            raise
        return store

    def _open_segments(self, manifest: FolderManifest, kind: Kind) -> tuple[Segment, ...]:
        dimension = segment_dimension(kind, manifest.dimension)
        return tuple(open_segment(self.folder, part, dimension) for part in manifest.segments(kind))

    def _load_parts(self) -> _Parts:
        """Read the manifest and open what it names; again if a writer replaced it in between."""
        while True:
            stamp = self._current_stamp()
            manifest = read_manifest(self.folder)
            try:
                self._check_covered(manifest)
                segments = {kind: self._open_segments(manifest, kind) for kind in KINDS}
                lexical = _open_lexical(self.folder, manifest.lexical_part) if manifest.lexical_part else None
                return _Parts(stamp, manifest, segments, lexical)
            except IndexCorruptError:
                if self._current_stamp() == stamp:
                    raise

    def _check_covered(self, manifest: FolderManifest) -> None:
        covered = max(manifest.vector_change, manifest.lexical_part.change if manifest.lexical_part else 0)
        store = self._open_store(manifest)
        if covered > store.change():
            store.close()
            raise IndexCorruptError(
                f"{store.path} is older than the search indexes beside it: restore both from the same copy, or "
                "rebuild them with `search repair`"
            )
        self._idle.append(store)

    def _current_stamp(self) -> _Stamp:
        try:
            manifest, database = (self.folder / MANIFEST).stat(), (self.folder / DATABASE).stat().st_ino
        except FileNotFoundError as error:
            read_manifest(self.folder)
            path = self.folder / DATABASE
            raise IndexCorruptError(
                f"{path} is missing: restore it from a copy, nothing else holds the articles"
            ) from error
        except OSError as error:
            raise IndexFolderError(f"{self.folder}: {error.strerror}") from error
        return _Stamp(manifest.st_mtime_ns, manifest.st_ino, manifest.st_size, database)


def _open_lexical(folder: Path, part: LexicalPart) -> LexicalIndex:
    path = folder / part.folder
    for name, size in part.sizes.items():
        file = path / name
        if not file.exists() or file.stat().st_size != size:
            raise IndexCorruptError(f"{file} is missing or not of {size} bytes; `search repair` rebuilds it")
    index = LexicalIndex(path)
    if index.count != part.count:
        raise IndexCorruptError(
            f"{path} holds {index.count} articles and the manifest says {part.count}; `search repair` rebuilds it"
        )
    return index
