"""Reading articles.db: articles, vectors and what has changed since a given change number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from search.article import Article
from search.errors import StoreError
from search.storage.folder.sqlite_conditions import Conditions, SqliteConditions, pmids_of_one_term
from search.storage.folder.sqlite_connection import Rows, connect, refusals
from search.storage.rows import Pmids, TextState, Vectors, unpack

__all__ = ["StoreReader"]

#: What the tables of this version are known by; `schema.py` makes them.
NEWEST_MIGRATION = "0007_checksums"

#: Tables of this version can be read as they are; a writer brings them up to date.
OLDEST_READABLE = "0006_nlm"


class StoreReader:
    """Articles and vectors as of the last commit, or within `snapshot()` as of one commit throughout."""

    conditions: Conditions = SqliteConditions()

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self.connection = connect(path, writable=writable)
        self._dimension = 0
        self._dtype = np.dtype(np.float16)
        try:
            self._read_vector_format()
        except BaseException:
            self.close()
            raise

    def _read_vector_format(self) -> None:
        if self.has_table("settings"):
            settings = self.settings()
            self._dimension = int(settings.get("dimension", 0))
            self._dtype = np.dtype(settings.get("vectors", "float16"))

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    def check_schema(self) -> None:
        """Raise StoreError if the tables are of a version of the program that this one cannot read."""
        newest = self.rows("SELECT max(name) FROM _sqlite_migrations WHERE migration_set = 'articles'").fetchone()[0]
        if OLDEST_READABLE <= str(newest) <= NEWEST_MIGRATION:
            return
        older = str(newest) < NEWEST_MIGRATION
        raise StoreError(
            f"{self.path} has the tables of {'an older' if older else 'a newer'} version of this program ({newest} and "
            f"not {NEWEST_MIGRATION}); "
            + ("`search merge` brings it up to date, nothing is encoded again" if older else "update the program")
        )

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

    def settings(self) -> dict[str, str]:
        """Return what the store was made with: dimension and type of its vectors."""
        return dict(self.rows("SELECT key, value FROM settings"))

    def change(self) -> int:
        """Return the number of the last change."""
        return int(self.one("SELECT change FROM counter"))

    def counts(self) -> dict[str, int]:
        """Return how many articles, vectors, stale articles and tombstones there are."""
        return {
            "articles": int(self.one("SELECT count(*) FROM articles")),
            "vectors": int(self.one("SELECT count(*) FROM vectors")),
            "stale": int(self.one("SELECT count(*) FROM articles WHERE stale")),
            "deleted": int(self.one("SELECT count(*) FROM tombstones WHERE sequence >= 0")),
        }

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None."""
        return self.get_many([pmid]).get(pmid)

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return the articles with these PMIDs, by PMID; what is not there is left out."""
        rows = self.rows(
            "SELECT d.pmid, d.document FROM json_each(?) AS wanted JOIN documents AS d ON d.pmid = wanted.value",
            [_json(pmids)],
        )
        return {pmid: unpack(document) for pmid, document in rows}

    def articles(self) -> Iterator[Article]:
        """Yield every article in order of PMID, in bounded memory."""
        for (document,) in self.rows("SELECT document FROM documents ORDER BY pmid"):
            yield unpack(document)

    def pmids(self) -> Pmids:
        """Return the PMIDs of all articles, ascending."""
        return np.fromiter((pmid for (pmid,) in self.rows("SELECT pmid FROM articles ORDER BY pmid")), np.int64)

    def select_pmids(self, condition: str, parameters: Sequence[object]) -> Pmids:
        """Return the PMIDs, ascending, of the articles for whose row `a` a condition in SQL holds."""
        # Sorted here: to give them in order SQLite may choose to look at all articles.
        sql = pmids_of_one_term(condition) or f"SELECT a.pmid FROM articles AS a WHERE {condition}"
        return np.unique(np.fromiter((pmid for (pmid,) in self.rows(sql, parameters).fetchall()), np.int64))

    def passing(self, pmids: Iterable[int], condition: str, parameters: Sequence[object]) -> set[int]:
        """Return those of some PMIDs for whose row `a` a condition (of `CandidateConditions`) holds."""
        rows = self.rows(
            "SELECT a.pmid FROM json_each(?) AS wanted CROSS JOIN articles AS a ON a.pmid = wanted.value "
            f"WHERE {condition}",
            [_json(pmids), *parameters],
        )
        return {pmid for (pmid,) in rows}

    def newest(self, pmids: Pmids, limit: int) -> list[int]:
        """Return up to `limit` of these PMIDs, those of the latest date of publication first."""
        rows = self.rows(
            "SELECT a.pmid FROM json_each(?) AS wanted JOIN articles AS a ON a.pmid = wanted.value "
            "ORDER BY a.date_last DESC, a.pmid DESC LIMIT ?",
            [_json(pmids.tolist()), limit],
        )
        return [pmid for (pmid,) in rows]

    def existing(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the PMIDs that the store has an article for."""
        rows = self.rows(
            "SELECT a.pmid FROM json_each(?) AS wanted JOIN articles AS a ON a.pmid = wanted.value", [_json(pmids)]
        )
        return {pmid for (pmid,) in rows}

    def added_dates(self, pmids: Iterable[int]) -> dict[int, int]:
        """Return when each of these articles was first added, as yyyymmdd."""
        return dict(
            self.rows(
                "SELECT a.pmid, a.added FROM json_each(?) AS wanted JOIN articles AS a ON a.pmid = wanted.value",
                [_json(pmids)],
            )
        )

    def text_hashes(self, pmids: Iterable[int]) -> dict[int, TextState]:
        """Return, for each of these PMIDs that has an article, the hash of its text and whether a vector is missing."""
        rows = self.rows(
            "SELECT a.pmid, a.text_hash, a.stale FROM json_each(?) AS wanted "
            "JOIN articles AS a ON a.pmid = wanted.value",
            [_json(pmids)],
        )
        return {pmid: TextState(text_hash, bool(stale)) for pmid, text_hash, stale in rows}

    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""
        rows = self.rows(
            "SELECT v.pmid, v.vector FROM json_each(?) AS wanted JOIN vectors AS v ON v.pmid = wanted.value",
            [_json(pmids)],
        )
        return self._matrix(list(rows))

    def vector_batches(
        self, size: int = 16_384, *, since: int = 0, upto: int | None = None
    ) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield vectors `size` at a time: all in order of PMID, or those of the changes after `since` in their order.

        `upto` is the last change whose vectors are wanted.
        """
        if since:
            order = "WHERE change > ? AND change <= ? ORDER BY change, pmid"
        else:
            # The plus keeps SQLite from the index of changes: the table itself is in the order that is wanted.
            order = "WHERE +change > ? AND +change <= ? ORDER BY pmid"
        cursor = self.rows(f"SELECT pmid, vector FROM vectors {order}", [since, _last(upto)])
        while rows := cursor.fetchmany(size):
            yield self._matrix(rows)

    def vectors_since(self, change: int) -> tuple[Pmids, Vectors]:
        """Return the vectors that were stored after a change number."""
        # The plus keeps SQLite from going through all vectors in the order of the table.
        return self._matrix(
            list(self.rows("SELECT pmid, vector FROM vectors WHERE change > ? ORDER BY +pmid", [change]))
        )

    def vector_pmids(self, since: int = 0, upto: int | None = None) -> Pmids:
        """Return the PMIDs, ascending, whose vectors were stored after a change number, and not after `upto`."""
        return self._sorted_pmids("SELECT pmid FROM vectors WHERE change > ? AND change <= ?", [since, _last(upto)])

    def integrity_problems(self) -> list[str]:
        """Return what SQLite's own check finds wrong; nothing if the file is whole."""
        found = [text for (text,) in self.rows("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def count_vectors_since(self, change: int, upto: int | None = None) -> int:
        """Return how many vectors were stored after a change number, and not after `upto`."""
        return self.one("SELECT count(*) FROM vectors WHERE change > ? AND change <= ?", [change, _last(upto)])

    def deleted_since(self, change: int) -> Pmids:
        """Return the PMIDs that were deleted after a change number."""
        return np.fromiter(
            (pmid for (pmid,) in self.rows("SELECT pmid FROM tombstones WHERE change > ?", [change])), np.int64
        )

    def vectors_changed_since(self, change: int) -> Pmids:
        """Return the PMIDs, ascending, that got another vector after a change number, or lost the one they had.

        An article that was deleted and came back without being encoded has lost its vector too.
        """
        return self._sorted_pmids(
            "SELECT pmid FROM vectors WHERE change > ? UNION SELECT pmid FROM tombstones WHERE change > ? "
            "UNION SELECT a.pmid FROM articles AS a WHERE a.change > ? AND a.stale "
            "AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.pmid = a.pmid)",
            [change, change, change],
        )

    def count_articles_since(self, change: int) -> int:
        """Return how many articles were written after a change number."""
        return self.one("SELECT count(*) FROM articles WHERE change > ?", [change])

    def changed_since(self, change: int) -> Pmids:
        """Return the PMIDs, ascending, that were written or deleted after a change number."""
        return self._sorted_pmids(
            "SELECT pmid FROM articles WHERE change > ? UNION SELECT pmid FROM tombstones WHERE change > ?",
            [change, change],
        )

    def added_since(self, change: int) -> Pmids:
        """Return the PMIDs, ascending, of the articles that were first added after a change number."""
        return self.select_pmids("a.added_change > ?", [change])

    def articles_since(self, change: int) -> Iterator[Article]:
        """Yield the articles that were written after a change number."""
        rows = self.rows(
            "SELECT d.document FROM articles AS a JOIN documents AS d ON d.pmid = a.pmid WHERE a.change > ?", [change]
        )
        for (document,) in rows:
            yield unpack(document)

    def stale(self, limit: int, *, after: int = 0) -> list[Article]:
        """Return up to `limit` articles after a PMID, in order, whose vector is missing or of another text."""
        rows = self.rows(
            "SELECT d.document FROM articles AS a JOIN documents AS d ON d.pmid = a.pmid WHERE a.stale AND a.pmid > ? "
            "ORDER BY a.pmid LIMIT ?",
            [after, limit],
        )
        return [unpack(document) for (document,) in rows]

    def files(self) -> list[dict[str, object]]:
        """Return the ledger: the files read, in the order they were begun."""
        cursor = self.rows("SELECT name, sha256, complete, started, finished, counts, error FROM files ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def has_table(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return bool(self.one("SELECT count(*) FROM sqlite_master WHERE name = ?", [name]))

    def has_column(self, table: str, name: str) -> bool:
        """Whether a table has a column of this name."""
        return bool(self.one("SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", [table, name]))

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """Return the rows of a query. Raises StoreError, as taking rows does, if SQLite refuses."""
        with refusals(self.path):
            rows = self.connection.cursor(Rows)
            rows.path = self.path
            return rows.execute(sql, parameters)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Return the one number that a query gives; 0 for none."""
        row = self.rows(sql, parameters).fetchone()
        return 0 if row is None else int(row[0])

    def _sorted_pmids(self, sql: str, parameters: Sequence[object]) -> Pmids:
        """Return the PMIDs of a query, ascending.

        Asked for that order, SQLite would go through a whole table in it, and not by the index of changes.
        """
        return np.sort(np.fromiter((pmid for (pmid,) in self.rows(sql, parameters)), np.int64))

    def _matrix(self, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        pmids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        buffer = b"".join(row[1] for row in rows)
        matrix = np.frombuffer(buffer, self._dtype).reshape(len(rows), self._dimension)
        return pmids, matrix.astype(np.float32)


def _last(upto: int | None) -> int:
    return 2**62 if upto is None else upto


def _json(pmids: Iterable[int]) -> str:
    return msgspec.json.encode([int(pmid) for pmid in pmids]).decode()
