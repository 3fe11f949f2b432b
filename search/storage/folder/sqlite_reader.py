"""Reading articles.db: how SQLite runs the common SQL, its vectors, and what has changed since a change number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from search.article import Article
from search.models.static_vectors import static_dimension
from search.models.vectors import normalize
from search.storage.conditions import Condition, Conditions
from search.storage.folder.folder_manifest import Kind
from search.storage.folder.sqlite_conditions import SqliteConditions
from search.storage.folder.sqlite_connection import Rows, connect, refusals
from search.storage.manifest import Manifest, check_format
from search.storage.rows import CHECKED_COLUMNS, Pmids, StoredRow, Vectors
from search.storage.store import Store

__all__ = ["StoreReader", "term_list", "vector_checksum"]

#: The tables of the kinds of vectors.
_TABLES: dict[Kind, str] = {"vectors": "vectors", "static": "static_vectors"}

_STORED = (
    f"SELECT a.pmid, d.document, a.text_hash, a.record_hash, j.keys, v.text_hash, a.stale, a.terms, "
    f"{', '.join(CHECKED_COLUMNS)} FROM articles AS a LEFT JOIN documents AS d ON d.pmid = a.pmid "
    "LEFT JOIN vectors AS v ON v.pmid = a.pmid LEFT JOIN journals AS j ON j.id = a.journal ORDER BY a.pmid"
)


class StoreReader(Store):
    """Articles and vectors as of the last commit, or within `snapshot()` as of one commit throughout."""

    AMONG: ClassVar[str] = "IN (SELECT value FROM json_each(?))"
    BYTES: ClassVar[str] = "BLOB"

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self.connection = connect(path, writable=writable)
        #: The file that it is in: the path may come to lead to another.
        self.inode = path.stat().st_ino if path.exists() else 0
        self.dimension = 0
        self.damaged = set()
        self._dtype = np.dtype(np.float16)
        try:
            if self.one("SELECT count(*) FROM sqlite_master WHERE name = 'settings'"):
                self._read_vector_format()
        except BaseException:
            self.close()
            raise

    def _read_vector_format(self) -> None:
        settings = self.settings()
        self.dimension = int(settings.get("dimension", 0))
        self._dtype = np.dtype(settings.get("vectors", "float16"))

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    @property
    def conditions(self) -> Conditions:
        """What filters are made of, in SQLite's SQL."""
        return SqliteConditions()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """Return the rows of a query. Raises StoreError, as taking rows does, if SQLite refuses."""
        with refusals(self.path):
            rows = self.connection.cursor(Rows)
            rows.path = self.path
            return rows.execute(sql, parameters)

    def stream(self, sql: str) -> Iterator[object]:
        """Yield the rows of a query in bounded memory."""
        return iter(self.rows(sql))

    def listed(self, numbers: Iterable[int]) -> str:
        """Return numbers as a JSON list."""
        return msgspec.json.encode([int(number) for number in numbers]).decode()

    def manifest(self) -> Manifest:
        """Return what the index is. Raises IndexFolderError if this program cannot read its tables."""
        text = self.settings().get("manifest") if self.has_tables() else None
        stored = json.loads(text) if text else {}
        check_format(stored, str(self.path))
        return msgspec.convert(stored, Manifest)

    def has_tables(self) -> bool:
        """Whether the tables have been made."""
        return bool(self.one("SELECT count(*) FROM sqlite_master WHERE name = 'counter'"))

    @contextmanager
    def snapshot(self) -> Iterator[int]:
        """Hold one state of the database for all reads within, and give its change number."""
        if self.connection.in_transaction:
            yield self.change()
            return
        with refusals(self.path):
            self.connection.execute("BEGIN")
        try:
            yield self.change()
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    # Filters ----------------------------------------------------------------------------------------------------------

    def passing(self, pmids: Iterable[int], condition: Condition) -> set[int]:
        """Return those of some PMIDs that meet a condition (of `CandidateConditions`)."""
        rows = self.rows(
            "SELECT a.pmid FROM json_each(?) AS listed CROSS JOIN articles AS a ON a.pmid = listed.value "
            f"WHERE {condition.sql}",
            [self.listed(pmids), *condition.parameters],
        )
        return {pmid for (pmid,) in rows}

    def newest(self, pmids: Pmids, limit: int) -> list[int]:
        """Return up to `limit` of these PMIDs, those of the latest date of publication first."""
        rows = self.rows(
            f"SELECT pmid FROM articles WHERE pmid {self.AMONG} ORDER BY date_last DESC, pmid DESC LIMIT ?",
            [self.listed(pmids.tolist()), limit],
        )
        return [pmid for (pmid,) in rows]

    # Vectors ----------------------------------------------------------------------------------------------------------

    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""
        return self._sound(self._of(pmids, "SELECT pmid, text_hash, vector, checksum FROM vectors WHERE pmid"))

    def static_vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the static vectors of these PMIDs: (n,) int64 and (n, dimension) float32, unit rows or zeros."""
        return self._static_matrix(list(self._of(pmids, "SELECT pmid, vector FROM static_vectors WHERE pmid")))

    def without_static(self) -> list[int]:
        """Return the PMIDs of the articles that have no static vector, or one that is not of the right length."""
        rows = self.rows(
            "SELECT a.pmid FROM articles AS a LEFT JOIN static_vectors AS s ON s.pmid = a.pmid "
            "WHERE s.pmid IS NULL OR length(s.vector) != ? ORDER BY a.pmid",
            [static_dimension(self.dimension)],
        )
        return [pmid for (pmid,) in rows]

    def vector_batches(
        self, size: int = 16_384, *, kind: Kind = "vectors", since: int = 0, upto: int | None = None
    ) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield vectors `size` at a time: all in order of PMID, or those of the changes after `since` in their order.

        `upto` is the last change whose vectors are read.
        """
        if since:
            order = "WHERE change > ? AND change <= ? ORDER BY change, pmid"
        else:
            # The plus keeps SQLite from the index of changes: the table itself is in this order.
            order = "WHERE +change > ? AND +change <= ? ORDER BY pmid"
        cursor = self.rows(f"SELECT pmid, vector FROM {_TABLES[kind]} {order}", [since, _last(upto)])
        while rows := cursor.fetchmany(size):
            yield self._rows_of(kind, rows)

    def vectors_since(self, change: int, kind: Kind = "vectors") -> tuple[Pmids, Vectors]:
        """Return the vectors that were stored after a change number."""
        # The plus keeps SQLite from going through all vectors in the order of the table.
        if kind == "static":
            sql = "SELECT pmid, vector FROM static_vectors WHERE change > ? ORDER BY +pmid"
            return self._static_matrix(list(self.rows(sql, [change])))
        return self._sound(
            self.rows("SELECT pmid, text_hash, vector, checksum FROM vectors WHERE change > ? ORDER BY +pmid", [change])
        )

    def vector_pmids(self, since: int = 0, upto: int | None = None, kind: Kind = "vectors") -> Pmids:
        """Return the PMIDs, ascending, whose vectors were stored after a change number, and not after `upto`."""
        sql = f"SELECT pmid FROM {_TABLES[kind]} WHERE change > ? AND change <= ?"
        return self._sorted(sql, [since, _last(upto)])

    def count_vectors_since(self, change: int, upto: int | None = None, kind: Kind = "vectors") -> int:
        """Return how many vectors were stored after a change number, and not after `upto`."""
        sql = f"SELECT count(*) FROM {_TABLES[kind]} WHERE change > ? AND change <= ?"
        return self.one(sql, [change, _last(upto)])

    def vectors_changed_since(self, change: int, kind: Kind = "vectors") -> Pmids:
        """Return the PMIDs, ascending, that got another vector after a change number, or lost the one they had.

        An article that was deleted and came back without being encoded has lost its vector too.
        """
        if kind == "static":
            return self._sorted(
                "SELECT pmid FROM static_vectors WHERE change > ? UNION SELECT pmid FROM articles WHERE change > ? "
                "UNION SELECT pmid FROM tombstones WHERE change > ?",
                [change, change, change],
            )
        return self._sorted(
            "SELECT pmid FROM vectors WHERE change > ? UNION SELECT pmid FROM tombstones WHERE change > ? "
            "UNION SELECT a.pmid FROM articles AS a WHERE a.change > ? AND a.stale "
            "AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.pmid = a.pmid)",
            [change, change, change],
        )

    # Changes ----------------------------------------------------------------------------------------------------------

    def deleted_since(self, change: int) -> Pmids:
        """Return the PMIDs that were deleted after a change number."""
        return self._numbers("SELECT pmid FROM tombstones WHERE change > ?", [change])

    def count_articles_since(self, change: int) -> int:
        """Return how many articles were written after a change number."""
        return self.one("SELECT count(*) FROM articles WHERE change > ?", [change])

    def changed_since(self, change: int) -> Pmids:
        """Return the PMIDs, ascending, of articles that were written or deleted after a change number."""
        return self._sorted(
            "SELECT pmid FROM articles WHERE change > ? UNION SELECT pmid FROM tombstones WHERE change > ?",
            [change, change],
        )

    def articles_since(self, change: int) -> Iterator[Article]:
        """Yield the articles that were written after a change number."""
        rows = self.rows(
            "SELECT d.pmid, d.document FROM articles AS a JOIN documents AS d ON d.pmid = a.pmid WHERE a.change > ?",
            [change],
        )
        return self._unpacked(rows)

    # Checking ---------------------------------------------------------------------------------------------------------

    def integrity_problems(self) -> list[str]:
        """Return what SQLite's own check finds wrong; nothing if the file is sound."""
        problems = [text for (text,) in self.rows("PRAGMA integrity_check(20)")]
        return [] if problems == ["ok"] else problems

    def stored_rows(self) -> Iterator[StoredRow]:
        """Yield all that is stored of each article, in order of PMID."""
        for row in self.rows(_STORED):
            terms = {(term // 2, bool(term % 2)) for term in term_list(row[7])}
            yield StoredRow._make([*row[:7], tuple(row[8:]), terms])

    def read_vector(self, stored: bytes) -> Vectors | None:
        """Return a stored vector, (dimension,) float32; None if it is not of the index's dimension."""
        if not isinstance(stored, bytes) or len(stored) != self._vector_bytes:
            return None
        return np.frombuffer(stored, self._dtype).astype(np.float32)

    def _sorted(self, sql: str, parameters: Sequence[object]) -> Pmids:
        """Return the PMIDs of a query, ascending.

        Asked for that order, SQLite would go through a whole table in it, and not by the index of changes.
        """
        return np.sort(self._numbers(sql, parameters))

    def _sound(self, rows: Iterable[tuple[int, bytes, bytes, bytes]]) -> tuple[Pmids, Vectors]:
        """Return the vectors of rows but those that are damaged, which are noted."""
        sound = []
        for pmid, text_hash, vector, checksum in rows:
            if vector_checksum(pmid, text_hash, vector) == checksum and len(vector) == self._vector_bytes:
                sound.append((pmid, vector))
            else:
                self.damaged.add(pmid)
        return self._matrix(sound)

    def _damaged_vectors(self, pmids: Iterable[int]) -> set[int]:
        there = list(self._of(pmids, "SELECT pmid, text_hash, vector, checksum FROM vectors WHERE pmid"))
        return {row[0] for row in there} - set(self._sound(there)[0].tolist())

    @property
    def _vector_bytes(self) -> int:
        return self.dimension * self._dtype.itemsize

    def _rows_of(self, kind: Kind, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        return self._matrix(rows) if kind == "vectors" else self._static_matrix(rows)

    def _static_matrix(self, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        size = static_dimension(self.dimension)
        sound = [(pmid, code) for pmid, code in rows if len(code) == size]
        pmids = np.fromiter((pmid for pmid, _ in sound), np.int64, len(sound))
        codes = np.frombuffer(b"".join(code for _, code in sound), np.int8)
        return pmids, normalize(codes.reshape(len(sound), size))

    def _matrix(self, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        pmids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        buffer = b"".join(row[1] for row in rows)
        matrix = np.frombuffer(buffer, self._dtype).reshape(len(rows), self.dimension)
        return pmids, matrix.astype(np.float32)


def vector_checksum(pmid: int, text_hash: bytes, vector: bytes) -> bytes:
    """Return the BLAKE2b-64 of a stored vector with what it belongs to."""
    return hashlib.blake2b(b"%d:%b:%b" % (pmid, text_hash, vector), digest_size=8).digest()


def term_list(text: str) -> list[int]:
    """Return the numbers of `articles.terms`; none where a damaged file holds no such list."""
    try:
        return msgspec.json.decode(text, type=list[int])
    except (msgspec.MsgspecError, TypeError):
        return []


def _last(upto: int | None) -> int:
    return 2**62 if upto is None else upto
