"""Reading an index folder: a consistent view of SQLite, Faiss and what is pending between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from search.errors import IndexCorruptError, IndexFolderError
from search.storage.folder.faiss_index import TIES, VectorIndex
from search.storage.folder.saved_files import SavedFolder
from search.storage.folder.segments import Segment, open_segment
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_conditions import Condition, Conditions
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.folder.tantivy_index import LexicalIndex, PendingLexical, tokens_of_unmerged, unmerged_tokens
from search.storage.folder.tantivy_tokens import TantivyTokens
from search.storage.manifest import LexicalPart, Manifest, read_manifest
from search.storage.rows import Pmids, Vectors

__all__ = ["IndexReader", "Pending", "View"]

_NO_PMIDS: Pmids = np.empty(0, np.int64)

#: PMIDs and scores of each query, both (queries, asked); PMID -1 fills short rows.
_Answer: TypeAlias = tuple[Pmids, Vectors]

#: Up to so many PMIDs that a filter leaves are all compared, which is exact and costs no more than asking an index.
_FEW = 500

#: Up to so many pending vectors are kept in memory.
_KEPT_PENDING = 20_000

#: So many are looked at whether they pass a filter, before all that pass it are listed.
_PROBED = 1_000
_LOOKED_AT_FIRST = 128


class Pending:
    """What was committed after the changes that the derived parts cover; each kind is read when it is first needed."""

    def __init__(self, store: StoreReader, manifest: Manifest, upto: int, lexical: LexicalIndex | None) -> None:
        self._store = store
        self._lexical_base = lexical
        self._vectors_since = manifest.vector_change
        self._words_since = manifest.lexical_part.change if manifest.lexical_part else 0
        self.generation = manifest.generation
        self.upto = upto
        self._kept_vectors: list[tuple[Pmids, Vectors]] | None = None
        self._outdated_in: dict[str, Pmids] = {}

    def vectors(self) -> Iterable[tuple[Pmids, Vectors]]:
        """Return, in batches, PMIDs and vectors that no segment knows of.

        As many as there are between merges stay in memory; more, as after an import that was cut off, are read anew.
        """
        if self._kept_vectors is None:
            if self._store.count_vectors_since(self._vectors_since) > _KEPT_PENDING:
                return self._store.vector_batches(since=self._vectors_since, upto=self.upto)
            self._kept_vectors = [self._store.vectors_since(self._vectors_since)]
        return self._kept_vectors

    @cached_property
    def outdated_vectors(self) -> Pmids:
        """PMIDs, ascending, whose vectors in Faiss are no longer true."""
        return self._store.vectors_changed_since(self._vectors_since)

    def outdated_in(self, segment: Segment) -> Pmids:
        """PMIDs, ascending, whose vectors in a segment are no longer true."""
        if segment.part.file not in self._outdated_in:
            self._outdated_in[segment.part.file] = np.union1d(segment.outdated, self.outdated_vectors)
        return self._outdated_in[segment.part.file]

    @cached_property
    def words(self) -> PendingLexical:
        """The articles that tantivy does not know of."""
        return PendingLexical(self._store.articles_since(self._words_since), self._lexical_base)

    @cached_property
    def tokens(self) -> Any:
        """An index in memory with the tokens of the articles that tantivy does not know of."""
        return unmerged_tokens(self._store.articles_since(self._words_since))

    @cached_property
    def outdated_words(self) -> Pmids:
        """PMIDs, ascending, whose words in tantivy are no longer true."""
        return self._store.changed_since(self._words_since)


@dataclass(frozen=True)
class View:
    """One state of an index, for as long as `IndexReader.view` holds it."""

    manifest: Manifest
    change: int
    store: StoreReader
    segments: tuple[Segment, ...]
    lexical: LexicalIndex | None
    waiting: Pending

    def pending(self) -> int:
        """Return how many vectors and deletions no segment knows of."""
        return len(self.waiting.outdated_vectors)

    def structure(self) -> str:
        """Return what vectors are searched with."""
        kinds = [f"{part.kind} of {part.count:,}" for part in self.manifest.vector_segments]
        return ", ".join(kinds) or "none yet: all vectors are compared"

    @property
    def tokens(self) -> TantivyTokens:
        """The tokens of all articles, which strategies ask for."""
        if self.lexical is None:
            return tokens_of_unmerged(self.waiting.tokens)
        return self.lexical.tokens(self.waiting.outdated_words, self.waiting.tokens)

    def select(self, condition: Callable[[Conditions], Condition]) -> Selection:
        """Return the articles that pass a condition."""
        return Selection(self.store, condition)

    def added_since(self, change: int) -> Selection:
        """Return the articles that were first added after a change number."""
        return Selection.of(self.store.added_since(change))

    def listed(self, pmids: Pmids) -> Selection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        return Selection.of(pmids)

    def both(self, one: Selection, other: Selection) -> Selection:
        """Return the articles of both selections."""
        return one.both(other)

    def count(self, selection: Selection) -> int:
        """Return how many articles a selection has."""
        return len(selection.pmids)

    def newest(self, selection: Selection, limit: int) -> list[int]:
        """Return up to `limit` PMIDs of a selection, those of the latest date of publication first."""
        return self.store.newest(selection.pmids, limit)

    def words_nearest(self, question: str, limit: int, *, allowed: Selection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for the words of a question, and these scores, best first."""
        found = self.waiting.words.scores(question)
        if allowed is not None and found:
            passing = allowed.passing(np.array(list(found), np.int64))
            found = {pmid: found[pmid] for pmid in passing.tolist()}
        if self.lexical is not None:
            pmids, scores = self._words_settled(self.lexical, question, limit, allowed)
            found.update(zip(pmids.tolist(), scores.tolist(), strict=True))
        best = sorted(found.items(), key=lambda item: (-item[1], -item[0]))[:limit]
        return np.array([pmid for pmid, _ in best], np.int64), np.array([score for _, score in best], np.float32)

    def _words_settled(
        self, lexical: LexicalIndex, question: str, limit: int, allowed: Selection | None
    ) -> tuple[Pmids, Vectors]:
        """Return PMIDs and scores of what tantivy holds: of its very best what passes, if that is enough."""
        outdated = self.waiting.outdated_words
        if allowed is not None and not allowed.is_listed and limit <= _PROBED // 2:
            pmids, scores = lexical.search(question, _PROBED, excluded=outdated)
            keep = np.isin(pmids, allowed.passing(pmids))
            if keep.sum() >= limit or len(pmids) < _PROBED:
                return pmids[keep], scores[keep]
        listed = None if allowed is None else allowed.pmids
        return lexical.search(question, limit, allowed=listed, excluded=outdated)

    def words_scores(self, question: str, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for a question; one that shares no word with it is left out."""
        wanted = np.unique(pmids)
        found = self.waiting.words.scores(question, wanted)
        if self.lexical is not None:
            settled = np.setdiff1d(wanted, self.waiting.outdated_words)
            found.update(self.lexical.scores(question, settled))
        return found

    def nearest(self, queries: Vectors, limit: int, *, allowed: Selection | None = None) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest articles and their exact cosines, best first.

        `queries` is (n, dimension) float32 with unit rows; `allowed` restricts the answer. Equal cosines are in order
        of PMID, the newest first.
        """
        found = self._candidates(queries, limit, allowed)
        wanted = np.unique(np.concatenate([*found, _NO_PMIDS]))
        pmids, vectors = self.store.vectors(wanted.tolist())
        place = {int(pmid): row for row, pmid in enumerate(pmids)}
        answers = []
        for query, candidates in zip(queries, found, strict=True):
            rows = np.array([place[int(pmid)] for pmid in candidates if int(pmid) in place], np.int64)
            scores = vectors[rows] @ query
            best = np.lexsort((-pmids[rows], -scores))[:limit]
            answers.append((pmids[rows[best]], scores[best]))
        return answers

    def _candidates(self, queries: Vectors, limit: int, allowed: Selection | None) -> list[Pmids]:
        """Return candidates for each query: from each segment what is still true, and what is pending."""
        found = None if allowed is None or allowed.is_listed else self._probed(queries, limit, allowed)
        if found is None:
            listed = None if allowed is None else allowed.pmids
            if listed is not None and len(listed) <= _FEW:
                return [listed] * len(queries)
            found = _joined(
                (segment.index, self._search(segment, queries, segment.index.candidates(limit), listed))
                for segment in self.segments
            )
        found = found or [[] for _ in queries]
        for pending, vectors in self.waiting.vectors():
            keep = np.arange(len(pending))
            if allowed is not None:
                keep = np.flatnonzero(np.isin(pending, allowed.passing(pending)))
            scores = queries @ vectors[keep].T
            for row, line in zip(found, scores, strict=True):
                row.append(pending[keep[np.argsort(-line, kind="stable")[: limit + TIES]]])
        return [np.concatenate([*row, _NO_PMIDS]) for row in found]

    def _search(self, segment: Segment, queries: Vectors, asked: int, allowed: Pmids | None = None) -> _Answer:
        asked = min(asked, segment.index.count)
        return segment.index.search(queries, asked, allowed=allowed, excluded=self.waiting.outdated_in(segment))

    def _probed(self, queries: Vectors, limit: int, allowed: Selection) -> list[list[Pmids]] | None:
        """Return of the very nearest in each segment what passes a filter; None if that is not enough."""
        answers = []
        for segment in self.segments:
            asked = segment.index.candidates(limit)
            if asked > _PROBED // 2:
                return None
            pmids, scores = self._search(segment, queries, _PROBED)
            needed = asked if segment.index.exact else max(2 * limit, limit + TIES)
            passing = _only(pmids, allowed) if segment.index.count <= _PROBED else _enough(pmids, needed, allowed)
            if passing is None:
                return None
            answers.append((segment.index, (passing, scores)))
        return _joined(answers)


def _only(pmids: Pmids, allowed: Selection) -> Pmids:
    """Return the PMIDs with -1 in place of those that do not pass a filter."""
    passing: Pmids = np.where(np.isin(pmids, allowed.passing(np.unique(pmids[pmids >= 0]))), pmids, -1)
    return passing


def _enough(pmids: Pmids, needed: int, allowed: Selection) -> Pmids | None:
    """Return what passes a filter in each row, as far as it was looked at; None if it is not so many as needed.

    The first of each row tell whether it is worth looking at the rest.
    """
    passing = np.full_like(pmids, -1)
    for start, stop in ((0, _LOOKED_AT_FIRST), (_LOOKED_AT_FIRST, pmids.shape[1])):
        passing[:, start:stop] = _only(pmids[:, start:stop], allowed)
        fewest = int((passing >= 0).sum(axis=1).min(initial=needed))
        if fewest >= needed:
            return passing
        if 2 * fewest * pmids.shape[1] < needed * stop:
            break
    return None


def _joined(answers: Iterable[tuple[VectorIndex, _Answer]]) -> list[list[Pmids]]:
    """Return, for each query, what exact indexes found, and of all that approximate ones found the best."""
    found: list[list[Pmids]] = []
    rough: list[_Answer] = []
    for index, (pmids, scores) in answers:
        if index.exact:
            found.append([row[row >= 0] for row in pmids])
        else:
            rough.append((pmids, scores))
    if rough:
        most = max(pmids.shape[1] for pmids, _ in rough)
        pmids = np.concatenate([some for some, _ in rough], axis=1)
        scores = np.concatenate([some for _, some in rough], axis=1)
        best = np.argsort(-np.where(pmids >= 0, scores, -np.inf), axis=1)[:, :most]
        found.append([row[row >= 0] for row in np.take_along_axis(pmids, best, axis=1)])
    return [list(rows) for rows in zip(*found, strict=True)]


class IndexReader:
    """An index folder open for reading; safe to use from several threads, one answer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self.manifest = read_manifest(folder)
        self.store = self._open_store()
        self._segments: tuple[Segment, ...] = ()
        self._lexical: LexicalIndex | None = None
        self._stamp = (0, 0, 0)
        self._tables_checked = False
        self._pending: Pending | None = None
        try:
            self._load_parts()
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self.store.close()
            self._segments, self._lexical = (), None

    @property
    def name(self) -> str:
        """What the index is called in messages."""
        return str(self.folder)

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
        """Hold one state of the index: the last commit of its writer when the view was taken."""
        with self._lock:
            # The manifest first: a state of SQLite that is taken later holds every change it covers.
            if self._manifest_stamp() != self._stamp:
                self._load_parts()
            self._check_tables()
            with self.store.snapshot() as change:
                yield View(self.manifest, change, self.store, self._segments, self._lexical, self._pending_at(change))

    def _pending_at(self, change: int) -> Pending:
        known = self._pending
        if known is None or (known.generation, known.upto) != (self.manifest.generation, change):
            known = self._pending = Pending(self.store, self.manifest, change, self._lexical)
        return known

    def _open_store(self) -> StoreReader:
        path = self.folder / "articles.db"
        if not path.exists():
            raise IndexCorruptError(f"{path} is missing: restore it from a copy, nothing else holds the articles")
        store = StoreReader(path)
        dimension = int(store.settings().get("dimension", 0))
        if dimension != self.manifest.dimension:
            store.close()
            raise IndexCorruptError(
                f"{path} holds vectors of {dimension} dimensions and the manifest says {self.manifest.dimension}: "
                "they are not of one index"
            )
        return store

    def _load_parts(self) -> None:
        """Read the manifest and open what it names; once more if a writer swapped it in between."""
        while True:
            stamp = self._manifest_stamp()
            manifest = read_manifest(self.folder)
            covered = max(manifest.vector_change, manifest.lexical_part.change if manifest.lexical_part else 0)
            if covered > self.store.change():
                raise IndexCorruptError(
                    f"{self.folder / 'articles.db'} is older than the search structures beside it: restore both from "
                    "the same copy, or rebuild them with `search repair`"
                )
            try:
                dimension = manifest.dimension
                segments = tuple(open_segment(self.folder, part, dimension) for part in manifest.vector_segments)
                lexical = _open_lexical(self.folder, manifest.lexical_part) if manifest.lexical_part else None
                break
            except IndexCorruptError:
                if self._manifest_stamp() == stamp:
                    raise
        self.manifest, self._segments, self._lexical = manifest, segments, lexical
        self._stamp, self._pending = stamp, None

    def _check_tables(self) -> None:
        """Raise StoreError unless the tables are of this version. A writer may have brought them up to date since."""
        if not self._tables_checked:
            self.store.check_schema()
            self._tables_checked = True

    def _manifest_stamp(self) -> tuple[int, int, int]:
        try:
            status = (self.folder / "manifest.json").stat()
        except OSError as error:
            raise IndexFolderError(f"{self.folder}: {error.strerror}") from error
        return status.st_mtime_ns, status.st_ino, status.st_size


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
