"""Writing articles.db: the newest version of an article wins, and what was deleted stays deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np

from search.store.connection import refusals
from search.store.reader import StoreReader, Vectors
from search.store.rows import ArticleRow, Outside, Term, terms_of

__all__ = ["Plan", "StoreWriter"]


#: The sequence in the tombstone of an article that left the part of PubMed that is kept.
LEFT_PART = -1


class _Held(msgspec.Struct, frozen=True):
    """What decides whether a newcomer replaces an article that the store has."""

    version: int
    revised: int
    sequence: int
    added: int
    added_change: int
    record_hash: bytes
    text_hash: bytes


class Plan(msgspec.Struct):
    """What a batch of records will do to the store, decided before anything is encoded or written."""

    rows: dict[int, ArticleRow] = {}
    deletions: set[int] = set()
    confirmed: set[int] = set()
    #: Articles that are new and belong to the part that is kept, and articles that no longer belong to it.
    joined: set[int] = set()
    left: set[int] = set()
    #: Articles that were given by hand: they stay, whatever part is kept.
    by_hand: set[int] = set()
    #: Articles that a later file of NLM's holds than the one that the newest revision is from.
    seen_later: dict[int, int] = {}
    to_encode: list[ArticleRow] = []
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    sequence: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.rows or self.deletions or self.confirmed or self.left or self.by_hand or self.seen_later)


class StoreWriter(StoreReader):
    """The one writer of a store. Every method that writes is one transaction with one change number."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, writable=True)
        self._known_terms: dict[Term, int] = {}
        self._migrate()
        self._read_vector_format()

    def _migrate(self) -> None:
        from sqlite_utils import Database

        from search.store.schema import migrations

        with refusals(self.path):
            migrations.apply(Database(self.connection, execute_plugins=False))

    def set_vector_format(self, dimension: int, dtype: str) -> None:
        """Fix what vectors look like; done once, when an index is made."""
        with self._transaction():
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
        batch = list(records)
        pmids = {_pmid_of(record) for record in batch}
        held = self._held(pmids)
        buried = self._tombstones(pmids)
        plan = Plan(sequence=sequence or 0)
        of_part = self._part_articles(pmids) if part else set()
        for record in batch:
            if isinstance(record, int):
                self._plan_deletion(plan, record, held, buried)
            elif isinstance(record, Outside) and (record.row.pmid not in held or record.row.pmid in of_part):
                self._plan_outside(plan, record.row, held)
            else:
                row = record.row if isinstance(record, Outside) else record
                if part and row.pmid not in held:
                    plan.joined.add(row.pmid)
                    of_part.add(row.pmid)
                self._plan_article(plan, row, held, buried, restore)
        if not plan.sequence:
            plan.by_hand = self._part_articles(pmids & held.keys())
        self._plan_encoding(plan)
        return plan

    @staticmethod
    def _plan_outside(plan: Plan, row: ArticleRow, held: dict[int, _Held]) -> None:
        """Let an article go that was kept as one of the part and, by a later revision, is none of it."""
        known = held.get(row.pmid)
        if known is None:
            plan.counts["outside the part"] += 1
            return
        newcomer = _Held(row.version, row.revised, plan.sequence, 0, 0, row.record_hash, row.text_hash)
        if row.record_hash != known.record_hash and not _supersedes(newcomer, known):
            plan.counts["older than what is held"] += 1
            return
        plan.rows.pop(row.pmid, None)
        plan.confirmed.discard(row.pmid)
        plan.left.add(row.pmid)
        held.pop(row.pmid)
        plan.counts["left the part"] += 1

    @staticmethod
    def _plan_deletion(plan: Plan, pmid: int, held: dict[int, _Held], buried: dict[int, int]) -> None:
        known = held.get(pmid)
        if known is None and pmid in buried and (buried[pmid] == 0 or buried[pmid] >= plan.sequence):
            plan.counts["deleted earlier"] += 1
            return
        if known and plan.sequence and known.sequence > plan.sequence:
            plan.counts["deletions older than the article"] += 1
            return
        plan.rows.pop(pmid, None)
        plan.confirmed.discard(pmid)
        plan.deletions.add(pmid)
        plan.counts["deleted" if known else "deleted before they came"] += 1
        held.pop(pmid, None)

    @staticmethod
    def _plan_article(
        plan: Plan, row: ArticleRow, held: dict[int, _Held], buried: dict[int, int], restore: bool
    ) -> None:
        if row.pmid in plan.deletions or (row.pmid in buried and row.pmid not in held):
            deleted_by = plan.sequence if row.pmid in plan.deletions else buried[row.pmid]
            if not (restore or (deleted_by and plan.sequence > deleted_by)):
                plan.counts["deleted earlier"] += 1
                return
            plan.deletions.discard(row.pmid)
        known = held.get(row.pmid)
        newcomer = _Held(row.version, row.revised, plan.sequence, 0, 0, row.record_hash, row.text_hash)
        if known is None:
            plan.counts["added"] += 1
        elif row.record_hash == known.record_hash:
            plan.counts["unchanged"] += 1
            if plan.sequence > known.sequence:
                plan.confirmed.add(row.pmid)
            return
        elif not _supersedes(newcomer, known):
            plan.counts["older than what is held"] += 1
            if plan.sequence > known.sequence > 0:
                plan.seen_later[row.pmid] = plan.sequence
            return
        else:
            plan.counts["replaced"] += 1
            if 0 < plan.sequence < known.sequence:
                plan.seen_later[row.pmid] = known.sequence
        plan.left.discard(row.pmid)
        plan.rows[row.pmid] = row
        held[row.pmid] = newcomer

    def _plan_encoding(self, plan: Plan) -> None:
        """Leave out what is encoded already: a revision that did not touch the text keeps its vector."""
        encoded = dict(
            self._rows(
                "SELECT v.pmid, v.text_hash FROM json_each(?) AS wanted JOIN vectors AS v ON v.pmid = wanted.value",
                [json.dumps(sorted(plan.rows))],
            )
        )
        plan.to_encode = [row for pmid, row in plan.rows.items() if encoded.get(pmid) != row.text_hash]

    def apply(self, plan: Plan, vectors: Vectors | None = None) -> int:
        """Write a plan and the vectors of `plan.to_encode` ((n, dimension) float32, unit rows), all or nothing.

        Without vectors the articles to encode are stored as stale. Returns the change number.
        """
        waiting = {row.pmid for row in plan.to_encode} if vectors is None else set()
        with self._transaction() as change:
            self._remove(plan.deletions, change, plan.sequence)
            self._remove(plan.left, change, LEFT_PART)
            self._put_articles(plan, change, waiting)
            if vectors is not None:
                self._put_vectors([(row.pmid, row.text_hash) for row in plan.to_encode], vectors, change)
        return change

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles by hand and return how many there were; they stay deleted whatever is read later."""
        wanted = set(pmids)
        found = self.existing(wanted)
        with self._transaction() as change:
            self._remove(wanted, change, 0)
        return len(found)

    def put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors) -> int:
        """Store vectors of (pmid, text hash) pairs; one whose article has changed or gone since is left out.

        Returns how many were stored.
        """
        with self._transaction() as change:
            current = self._held(pmid for pmid, _ in hashes)
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
        with self._transaction():
            self.connection.execute(
                "INSERT INTO files (name, sha256, complete, started, counts) VALUES (?, ?, 0, ?, '{}') "
                "ON CONFLICT (name, sha256) DO UPDATE SET complete = 0, started = excluded.started, error = NULL",
                (name, sha256, _now()),
            )

    def finish_file(self, name: str, sha256: str, counts: Mapping[str, int], error: str | None = None) -> None:
        """Note what came of a file; with `error`, that it could not be read to its end."""
        with self._transaction():
            self.connection.execute(
                "UPDATE files SET complete = ?, finished = ?, counts = ?, error = ? WHERE name = ? AND sha256 = ?",
                (error is None, _now(), json.dumps(dict(counts)), error, name, sha256),
            )

    # Rows ------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[int]:
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

    def _held(self, pmids: Iterable[int]) -> dict[int, _Held]:
        rows = self._rows(
            "SELECT a.pmid, version, revised, sequence, added, added_change, record_hash, text_hash "
            "FROM json_each(?) AS wanted JOIN articles AS a ON a.pmid = wanted.value",
            [json.dumps(sorted(pmids))],
        )
        return {pmid: _Held(*rest) for pmid, *rest in rows}

    def _part_articles(self, pmids: Iterable[int]) -> set[int]:
        rows = self._rows(
            "SELECT p.pmid FROM json_each(?) AS wanted JOIN part_articles AS p ON p.pmid = wanted.value",
            [json.dumps(sorted(pmids))],
        )
        return {pmid for (pmid,) in rows}

    def _tombstones(self, pmids: Iterable[int]) -> dict[int, int]:
        return dict(
            self._rows(
                "SELECT t.pmid, t.sequence FROM json_each(?) AS wanted JOIN tombstones AS t ON t.pmid = wanted.value",
                [json.dumps(sorted(pmids))],
            )
        )

    def _remove(self, pmids: Iterable[int], change: int, sequence: int) -> None:
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

    def _put_articles(self, plan: Plan, change: int, waiting: set[int]) -> None:
        rows = list(plan.rows.values())
        today = int(datetime.now(timezone.utc).strftime("%Y%m%d"))
        added = {pmid: (held.added, held.added_change) for pmid, held in self._held(plan.rows).items()}
        journals = self._journal_ids(rows)
        self._forget_terms(added)
        self.connection.executemany(
            f"INSERT OR REPLACE INTO articles VALUES ({', '.join('?' * 16)})",
            [
                (
                    row.pmid, change, row.version, row.revised, plan.sequence, *added.get(row.pmid, (today, change)),
                    row.date_first, row.date_last, journals.get(row.journal or ""), row.has_abstract,
                    row.free_full_text, row.retracted, row.pmid in waiting, row.text_hash, row.record_hash,
                )
                for row in rows
            ],
        )  # fmt: skip
        self.connection.executemany(
            "INSERT OR REPLACE INTO documents VALUES (?, ?)", [(row.pmid, row.document) for row in rows]
        )
        self._put_terms(rows)
        buried = self._tombstones(plan.rows)
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

    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        stored = np.ascontiguousarray(vectors, dtype=self._dtype)
        self.connection.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
            [(pmid, change, made_from, row.tobytes()) for (pmid, made_from), row in zip(hashes, stored, strict=True)],
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
        self._known_terms.update({Term(*key): self._one(find, key) for key in keys})
        return self._known_terms

    def _journal_ids(self, rows: list[ArticleRow]) -> dict[str, int]:
        found = {}
        for keys in sorted({row.journal for row in rows if row.journal}):
            added = self.connection.execute("INSERT OR IGNORE INTO journals (keys) VALUES (?)", [keys]).rowcount
            number = self._one("SELECT id FROM journals WHERE keys = ?", [keys])
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


def _pmid_of(record: ArticleRow | Outside | int) -> int:
    if isinstance(record, int):
        return record
    return record.row.pmid if isinstance(record, Outside) else record.pmid


def _supersedes(newcomer: _Held, known: _Held) -> bool:
    """Whether an article replaces the one of its PMID that is held."""
    if (newcomer.version, newcomer.revised) != (known.version, known.revised):
        return (newcomer.version, newcomer.revised) > (known.version, known.revised)
    if newcomer.sequence and known.sequence:
        return newcomer.sequence >= known.sequence
    return True


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
