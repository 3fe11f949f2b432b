"""Writing articles.db: transactions, rows, terms and vectors in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from search.errors import IndexCorruptError
from search.storage.folder.sqlite_connection import open_read_only, refusals
from search.storage.folder.sqlite_reader import StoreReader, term_list, vector_checksum
from search.storage.manifest import Manifest
from search.storage.rows import ArticleRow, Term, Vectors
from search.storage.schema import sqlite_schema
from search.storage.store import WritableStore

__all__ = ["StoreWriter"]

_Result = TypeVar("_Result")

#: Ids of terms and journals that are kept in memory.
_IDS_KEPT = 200_000

_ARTICLE = f"INSERT OR REPLACE INTO articles VALUES ({', '.join('?' * 20)})"
_TERM_IS = "kind = ? AND name = ? AND ui = ? AND parent_name = ? AND parent_ui = ?"


def _create_tables(connection: sqlite3.Connection) -> None:
    """Apply the numbered migrations, each with its record: what comes after the first release is a second one."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("articles")

    @migrations(name="0001_tables")
    def tables(database: Database) -> None:
        for statement in sqlite_schema().split(";\n"):
            database.conn.execute(statement)

    migrations.apply(Database(connection, execute_plugins=False))


class StoreWriter(StoreReader, WritableStore):
    """The one writer of a store. Every method that writes is one transaction with one change number."""

    SEVERAL_WRITERS: ClassVar[bool] = False

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not (create or path.exists()):
            raise IndexCorruptError(f"{path} is missing: restore it from a copy, nothing else holds the articles")
        super().__init__(path, writable=True)
        #: Called before a commit, to raise if this process may not write any more.
        self.guard: Callable[[], None] = lambda: None
        self._terms: LRUCache[Term, int] = LRUCache(_IDS_KEPT)
        self._journals: LRUCache[str, int] = LRUCache(_IDS_KEPT)

    def close(self) -> None:
        """Close the database, with all that was committed in articles.db itself where no reader is in the middle of it.

        A damaged byte in the write-ahead log would undo commits unseen; there is none in a log that is empty. The log
        and its index stay as empty files, which who closes last as a reader does not remove: a user who may only read
        could not make them.
        """
        last = None
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA busy_timeout = 0")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            last = open_read_only(self.path)
        super().close()
        if last is not None:
            last.close()

    def create(self, manifest: Manifest) -> None:
        """Make the tables for an index, all or nothing."""
        with self._transaction():
            _create_tables(self.connection)
            self.put_setting("dimension", str(manifest.dimension))
            self.put_setting("vectors", manifest.vectors)
            self.put_manifest(manifest)
        self._read_vector_format()

    def put_manifest(self, manifest: Manifest) -> None:
        """Keep what the index is, from which its manifest.json can be made again; within a transaction."""
        self.put_setting("manifest", msgspec.json.encode(manifest).decode())

    # Transactions -----------------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction: all of it or nothing."""
        with self._transaction():
            self.connection.execute("UPDATE counter SET change = change + 1")
            return work(self.change())

    def note(self, key: str, value: str) -> None:
        """Set a setting that is computed from the articles and changes nothing."""
        with self._transaction():
            self.put_setting(key, value)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with refusals(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.guard()
                self.connection.execute("COMMIT")
            except BaseException:
                self._terms.clear()
                self._journals.clear()
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row of parameters."""
        self.connection.executemany(sql, rows)

    def remove_strays(self) -> None:
        """Remove what belongs to no article, and make the lists of terms and of journals' names again if need be."""
        super().remove_strays()

        def work(_: int) -> None:
            links = (
                "SELECT a.pmid, t.value / 2 AS term, t.value % 2 AS major FROM articles AS a, json_each(a.terms) AS t"
            )
            count = self.one(f"SELECT count(*) FROM ({links})")
            if count != self.one("SELECT count(*) FROM article_terms"):
                self.connection.execute("DELETE FROM article_terms")
                self.connection.execute(f"INSERT OR REPLACE INTO article_terms SELECT term, pmid, major FROM ({links})")
            self.connection.execute("DELETE FROM journal_keys")
            self.connection.executemany(
                "INSERT OR IGNORE INTO journal_keys VALUES (?, ?)",
                [
                    (key, id)
                    for id, keys in list(self.rows("SELECT id, keys FROM journals"))
                    for key in keys.split("\n")
                ],
            )

        self.transact(work)

    # Rows -------------------------------------------------------------------------------------------------------------

    def _forget(self, pmids: list[int]) -> None:
        """Remove the terms of articles."""
        links = [
            (number // 2, pmid)
            for pmid, terms in self._of(pmids, "SELECT pmid, terms FROM articles WHERE pmid")
            for number in term_list(terms)
        ]
        self.connection.executemany("DELETE FROM article_terms WHERE term = ? AND pmid = ?", links)

    def _put_rows(
        self,
        rows: Sequence[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        stale: set[int],
    ) -> None:
        self._forget([row.pmid for row in rows])
        journals = self._journal_ids(rows)
        terms = self._term_ids({term for row in rows for term, _ in row.terms})
        numbers = {row.pmid: [2 * terms[term] + major for term, major in row.terms] for row in rows}
        self.connection.executemany(
            _ARTICLE,
            [
                (
                    row.pmid, change, row.version, row.revised, sequences[row.pmid], *added[row.pmid], row.date_first,
                    row.date_last, row.electronic_first, row.electronic_last,
                    journals[row.journal], row.has_abstract, row.free_full_text, row.retracted, row.sample_size,
                    row.pmid in stale, row.text_hash, row.record_hash, self.listed(numbers[row.pmid]),
                )
                for row in rows
            ],
        )  # fmt: skip
        self.connection.executemany(
            "INSERT OR REPLACE INTO documents VALUES (?, ?)", [(row.pmid, row.document) for row in rows]
        )
        self._put_static(rows, change)
        # In the order of the table's key, which is the order in which its pages lie.
        links = sorted((number // 2, pmid, number % 2) for pmid, some in numbers.items() for number in some)
        self.connection.executemany("INSERT OR REPLACE INTO article_terms VALUES (?, ?, ?)", links)

    def _put_static_rows(self, pmids: Sequence[int], codes: npt.NDArray[np.int8], change: int) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO static_vectors VALUES (?, ?, ?)",
            [(pmid, change, code.tobytes()) for pmid, code in zip(pmids, codes, strict=True)],
        )

    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        stored = np.ascontiguousarray(vectors, dtype=self._dtype)
        self.connection.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)",
            [
                (pmid, change, text_hash, data := row.tobytes(), vector_checksum(pmid, text_hash, data))
                for (pmid, text_hash), row in zip(hashes, stored, strict=True)
            ],
        )

    def _term_ids(self, terms: set[Term]) -> dict[Term, int]:
        """Return the ids of terms, which never change once they are committed, from memory where known."""
        ids = {term: self._terms[term] for term in terms if term in self._terms}
        keys = sorted(_key(term) for term in terms if term not in ids)
        self.connection.executemany(
            "INSERT OR IGNORE INTO terms (kind, name, ui, parent_name, parent_ui) VALUES (?, ?, ?, ?, ?)", keys
        )
        for key in keys:
            (ids[Term(*key)],) = self.connection.execute(f"SELECT id FROM terms WHERE {_TERM_IS}", key).fetchone()
        self._terms.update(ids)
        return ids

    def _journal_ids(self, rows: Sequence[ArticleRow]) -> dict[str | None, int]:
        """Return the ids of journals, each known by all its keys; 0 for no journal."""
        ids: dict[str | None, int] = {None: 0}
        for keys in sorted({row.journal for row in rows if row.journal}):
            if keys not in self._journals:
                added = self.connection.execute("INSERT OR IGNORE INTO journals (keys) VALUES (?)", [keys]).rowcount
                number = self.one("SELECT id FROM journals WHERE keys = ?", [keys])
                if added:
                    self.connection.executemany(
                        "INSERT OR IGNORE INTO journal_keys VALUES (?, ?)", [(key, number) for key in keys.split("\n")]
                    )
                self._journals[keys] = number
            ids[keys] = self._journals[keys]
        return ids


def _key(term: Term) -> tuple[str, str, str, str, str]:
    return term.kind, term.name, term.ui, term.parent_name, term.parent_ui
