"""Writing articles.db: the newest version of an article wins, and what was deleted stays deleted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

import numpy as np

from search.storage.folder.sqlite_audit import vector_checksum
from search.storage.folder.sqlite_connection import refusals
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.plan import LEFT_PART, Held, Plan, make_plan
from search.storage.rows import ArticleRow, Copied, Outside, Term, Vectors, terms_of

__all__ = ["StoreWriter"]


_Result = TypeVar("_Result")


class StoreWriter(StoreReader):
    """The one writer of a store. Every method that writes is one transaction with one change number."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, writable=True)
        self._known_terms: dict[Term, int] = {}
        try:
            self._migrate()
            self.check_schema()
            self._read_vector_format()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        from sqlite_utils import Database

        from search.storage.folder.sqlite_schema import migrations

        with refusals(self.path):
            migrations.apply(Database(self.connection, execute_plugins=False))

    def close(self) -> None:
        """Close the database, with all that was committed in articles.db itself where no reader is in the middle of it.

        A damaged byte in the write-ahead log would undo commits unseen; there is none in a log that is empty.
        """
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA busy_timeout = 0")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        super().close()

    def set_vector_format(self, dimension: int, dtype: str) -> None:
        """Fix what vectors look like; done once, when an index is made."""
        with self.transaction():
            self.connection.executemany(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)", [("dimension", str(dimension)), ("vectors", dtype)]
            )
        self._read_vector_format()

    # Articles and deletions ------------------------------------------------------------------------------------------

    def plan(
        self,
        records: Iterable[ArticleRow | Outside | int],
        *,
        sequence: int | None = None,
        restore: bool = False,
        part: bool = False,
    ) -> Plan:
        """Decide what a batch of records does: article rows, and PMIDs that are deleted.

        `sequence` is the place of the file in NLM's order. An article replaces another of its PMID if its version is
        higher; then, if it was revised later; then, if its file comes later; where these do not tell, the newcomer
        wins. A deleted article comes back only from a later file of NLM's, or if `restore` is set. `part` tells that
        only a part of PubMed is kept: what is new is noted as belonging to it.
        """
        return make_plan(self, records, sequence=sequence, restore=restore, part=part)

    def apply(self, plan: Plan, vectors: Vectors | None = None) -> int:
        """Write a plan and the vectors of `plan.to_encode` ((n, dimension) float32, unit rows), all or nothing.

        Without vectors the articles to encode are stored as stale. Returns the change number.
        """
        waiting = {row.pmid for row in plan.to_encode} if vectors is None else set()
        with self.transaction() as change:
            self.remove(plan.deletions, change, plan.sequence)
            self.remove(plan.left, change, LEFT_PART)
            self._put_articles(plan, change, waiting)
            if vectors is not None:
                self._put_vectors([(row.pmid, row.text_hash) for row in plan.to_encode], vectors, change)
        return change

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles by hand and return how many there were; they stay deleted whatever is read later."""
        wanted = set(pmids)
        found = self.existing(wanted)
        with self.transaction() as change:
            self.remove(wanted, change, 0)
        return len(found)

    def put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors) -> int:
        """Store vectors of (pmid, text hash) pairs; one whose article has changed or gone since is left out.

        Returns how many were stored.
        """
        with self.transaction() as change:
            current = self.held(pmid for pmid, _ in hashes)
            keep = [
                place
                for place, (pmid, made_from) in enumerate(hashes)
                if pmid in current and current[pmid].text_hash == made_from
            ]
            self._put_vectors([hashes[place] for place in keep], vectors[keep], change)
            self.connection.executemany(
                "UPDATE articles SET stale = 0 WHERE pmid = ?", [(hashes[place][0],) for place in keep]
            )
        return len(keep)

    # The ledger ------------------------------------------------------------------------------------------------------

    def begin_file(self, name: str, sha256: str) -> None:
        """Note that a file is being read."""
        with self.transaction():
            self.connection.execute(
                "INSERT INTO files (name, sha256, complete, started, counts) VALUES (?, ?, 0, ?, '{}') "
                "ON CONFLICT (name, sha256) DO UPDATE SET complete = 0, started = excluded.started, error = NULL",
                (name, sha256, _now()),
            )

    def finish_file(self, name: str, sha256: str, counts: Mapping[str, int], error: str | None = None) -> None:
        """Note what came of a file; with `error`, that it could not be read to its end."""
        with self.transaction():
            self.connection.execute(
                "UPDATE files SET complete = ?, finished = ?, counts = ?, error = ? WHERE name = ? AND sha256 = ?",
                (error is None, _now(), json.dumps(dict(counts)), error, name, sha256),
            )

    # Rows ------------------------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction."""
        with self.transaction() as change:
            return work(change)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row of parameters."""
        self.connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[int]:
        """Begin a transaction, give its change number, and commit it, or undo all of it where anything fails."""
        with refusals(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.execute("UPDATE counter SET change = change + 1")
                yield self.change()
                self.connection.execute("COMMIT")
            except BaseException:
                self._known_terms.clear()
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def held(self, pmids: Iterable[int]) -> dict[int, Held]:
        """Return what is known of those of the articles that are there."""
        rows = self.rows(
            "SELECT a.pmid, version, revised, sequence, added, added_change, record_hash, text_hash "
            "FROM json_each(?) AS wanted JOIN articles AS a ON a.pmid = wanted.value",
            [json.dumps(sorted(pmids))],
        )
        return {pmid: Held(*rest) for pmid, *rest in rows}

    def part_articles(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the articles that are there only because they belong to the part that is kept."""
        rows = self.rows(
            "SELECT p.pmid FROM json_each(?) AS wanted JOIN part_articles AS p ON p.pmid = wanted.value",
            [json.dumps(sorted(pmids))],
        )
        return {pmid for (pmid,) in rows}

    def vector_hashes(self, pmids: Iterable[int]) -> dict[int, bytes]:
        """Return the hashes of the texts that the vectors of these articles were made from."""
        return dict(
            self.rows(
                "SELECT v.pmid, v.text_hash FROM json_each(?) AS wanted JOIN vectors AS v ON v.pmid = wanted.value",
                [json.dumps(sorted(pmids))],
            )
        )

    def tombstones(self, pmids: Iterable[int]) -> dict[int, int]:
        """Return which of NLM's files deleted those of the articles that are deleted (0: by hand)."""
        return dict(
            self.rows(
                "SELECT t.pmid, t.sequence FROM json_each(?) AS wanted JOIN tombstones AS t ON t.pmid = wanted.value",
                [json.dumps(sorted(pmids))],
            )
        )

    def remove(self, pmids: Iterable[int], change: int, sequence: int) -> None:
        """Delete articles with a tombstone each; within a transaction."""
        keys = [(pmid,) for pmid in sorted(pmids)]
        self._forget_terms(pmid for (pmid,) in keys)
        for table in ("articles", "documents", "vectors", "part_articles", "seen_later"):
            self.connection.executemany(f"DELETE FROM {table} WHERE pmid = ?", keys)
        # A deletion by hand (0) stays one by hand; of NLM's files the last counts.
        self.connection.executemany(
            "INSERT INTO tombstones VALUES (?, ?, ?) ON CONFLICT (pmid) DO UPDATE SET change = excluded.change, "
            "sequence = CASE WHEN tombstones.sequence = 0 THEN 0 ELSE max(tombstones.sequence, excluded.sequence) END",
            [(pmid, change, sequence) for (pmid,) in keys],
        )

    def put_copied(self, copied: Sequence[Copied], vectors: Vectors) -> None:
        """Put articles of another index in place of those of their PMIDs; within a transaction.

        `vectors`, (n, dimension) float32, are those of the articles that have one, in their order.
        """
        change, pmids = self.change(), [(article.row.pmid,) for article in copied]
        self._put_rows(
            [article.row for article in copied],
            change,
            {article.row.pmid: (article.added, article.added_change) for article in copied},
            {article.row.pmid: article.sequence for article in copied},
            {article.row.pmid for article in copied if article.stale},
        )
        for table in ("tombstones", "vectors", "part_articles"):
            self.connection.executemany(f"DELETE FROM {table} WHERE pmid = ?", pmids)
        encoded = [(article.row.pmid, article.vector_hash) for article in copied if article.vector_hash is not None]
        self._put_vectors(encoded, vectors, change)
        self.connection.executemany(
            "INSERT INTO part_articles VALUES (?)", [(article.row.pmid,) for article in copied if article.of_part]
        )

    def _put_articles(self, plan: Plan, change: int, waiting: set[int]) -> None:
        rows = list(plan.rows.values())
        today = int(datetime.now(timezone.utc).strftime("%Y%m%d"))
        first = {pmid: (held.added, held.added_change) for pmid, held in self.held(plan.rows).items()}
        added = {row.pmid: first.get(row.pmid, (today, change)) for row in rows}
        self._put_rows(rows, change, added, dict.fromkeys(plan.rows, plan.sequence), waiting)
        buried = self.tombstones(plan.rows)
        self.connection.executemany("DELETE FROM tombstones WHERE pmid = ?", [(pmid,) for pmid in buried])
        self.connection.executemany(
            "UPDATE articles SET sequence = ? WHERE pmid = ?", [(plan.sequence, pmid) for pmid in plan.confirmed]
        )
        self.connection.executemany("DELETE FROM part_articles WHERE pmid = ?", [(pmid,) for pmid in plan.by_hand])
        self.connection.executemany(
            "INSERT OR IGNORE INTO part_articles VALUES (?)", [(pmid,) for pmid in plan.joined & plan.rows.keys()]
        )
        self.connection.executemany(
            "INSERT INTO seen_later VALUES (?, ?) ON CONFLICT (pmid) DO UPDATE SET "
            "sequence = max(sequence, excluded.sequence)",
            list(plan.seen_later.items()),
        )

    def _put_rows(
        self,
        rows: list[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        waiting: set[int],
    ) -> None:
        """Write articles in place of those of their PMIDs; `added` gives the day and the change of their first time."""
        journals = self._journal_ids(rows)
        self._forget_terms(row.pmid for row in rows)
        self.connection.executemany(
            f"INSERT OR REPLACE INTO articles VALUES ({', '.join('?' * 16)})",
            [
                (
                    row.pmid, change, row.version, row.revised, sequences[row.pmid], *added[row.pmid], row.date_first,
                    row.date_last, journals.get(row.journal or ""), row.has_abstract, row.free_full_text,
                    row.retracted, row.pmid in waiting, row.text_hash, row.record_hash,
                )
                for row in rows
            ],
        )  # fmt: skip
        self.connection.executemany(
            "INSERT OR REPLACE INTO documents VALUES (?, ?)", [(row.pmid, row.document) for row in rows]
        )
        self._put_terms(rows)

    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        stored = np.ascontiguousarray(vectors, dtype=self._dtype)
        self.connection.executemany(
            "INSERT OR REPLACE INTO vectors (pmid, change, text_hash, vector, checksum) VALUES (?, ?, ?, ?, ?)",
            [
                (pmid, change, made_from, data := row.tobytes(), vector_checksum(pmid, made_from, data))
                for (pmid, made_from), row in zip(hashes, stored, strict=True)
            ],
        )

    def _forget_terms(self, pmids: Iterable[int]) -> None:
        """Remove the terms of articles by what their documents say: there is no index from article to term."""
        keys = [(*_key(term), pmid) for pmid, article in self.get_many(pmids).items() for term, _ in terms_of(article)]
        self.connection.executemany(
            f"DELETE FROM article_terms WHERE term = (SELECT id FROM terms WHERE {_TERM_IS}) AND pmid = ?", keys
        )

    def _put_terms(self, rows: list[ArticleRow]) -> None:
        ids = self._term_ids({term for row in rows for term, _ in row.terms})
        # In the order of the table's key, which is the order in which its pages lie.
        links = sorted((ids[term], row.pmid, major) for row in rows for term, major in row.terms)
        self.connection.executemany("INSERT OR REPLACE INTO article_terms VALUES (?, ?, ?)", links)

    def _term_ids(self, terms: set[Term]) -> dict[Term, int]:
        """Return the numbers of terms, which never change once they are committed, from memory where known."""
        if len(self._known_terms) > _TERMS_KNOWN:
            self._known_terms.clear()
        keys = sorted(_key(term) for term in terms if term not in self._known_terms)
        self.connection.executemany(
            "INSERT OR IGNORE INTO terms (kind, name, ui, parent_name, parent_ui) VALUES (?, ?, ?, ?, ?)", keys
        )
        find = f"SELECT id FROM terms WHERE {_TERM_IS}"
        self._known_terms.update({Term(*key): self.one(find, key) for key in keys})
        return self._known_terms

    def _journal_ids(self, rows: list[ArticleRow]) -> dict[str, int]:
        found = {}
        for keys in sorted({row.journal for row in rows if row.journal}):
            added = self.connection.execute("INSERT OR IGNORE INTO journals (keys) VALUES (?)", [keys]).rowcount
            number = self.one("SELECT id FROM journals WHERE keys = ?", [keys])
            if added:
                self.connection.executemany(
                    "INSERT OR IGNORE INTO journal_keys VALUES (?, ?)", [(key, number) for key in keys.split("\n")]
                )
            found[keys] = number
        return found


_TERMS_KNOWN = 200_000

_TERM_IS = "kind = ? AND name = ? AND ui = ? AND parent_name = ? AND parent_ui = ?"


def _key(term: Term) -> tuple[str, str, str, str, str]:
    return term.kind, term.name, term.ui, term.parent_name, term.parent_ui


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
