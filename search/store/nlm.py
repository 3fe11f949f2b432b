"""What an index remembers of NLM: files applied, the part of PubMed that is kept, queries that are not finished."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

import msgspec

from search.store.reader import StoreReader
from search.store.writer import StoreWriter

__all__ = ["NlmFileEntry", "NlmLedger", "NlmState"]

_PART = "nlm_part"
_BASELINE = "nlm_baseline"
# A transaction of this many deletions takes about a second.
_REMOVED_AT_ONCE = 10_000


class NlmFileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was applied: how many articles and deletions it holds, and what that cost.

    `kept` counts the articles of it that belong to the part that is kept, `encoded` those whose text was new; `stamp`
    is what a listing said of the file; `applied` is when, in UTC.
    """

    sequence: int
    name: str
    baseline: bool
    md5: str
    stamp: str
    records: int
    deletions: int
    rejected: int
    kept: int
    encoded: int
    bytes: int
    seconds: float
    applied: str = msgspec.field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))


class NlmState:
    """Reads what a store remembers. A store that has never been synced, or none at all, remembers nothing."""

    def __init__(self, store: StoreReader | None) -> None:
        self._reader = store
        self._empty = store is None or not store._one("SELECT count(*) FROM sqlite_master WHERE name = 'nlm_files'")

    def files(self) -> dict[int, NlmFileEntry]:
        """Return the ledger by sequence, in NLM's order."""
        if self._reader is None or self._empty:
            return {}
        names = NlmFileEntry.__struct_fields__
        rows = self._reader._rows(f"SELECT {', '.join(names)} FROM nlm_files ORDER BY sequence")
        return {row[0]: msgspec.convert(dict(zip(names, row, strict=True)), NlmFileEntry, strict=False) for row in rows}

    def part(self) -> str | None:
        """Return the part that is kept, as it was given to `set_part`; None if none was ever chosen."""
        return None if self._reader is None else self._reader.settings().get(_PART)

    def baseline(self) -> int:
        """Return the year of the last baseline that replaced the one before it completely; 0 if there was none."""
        return 0 if self._reader is None else int(self._reader.settings().get(_BASELINE, 0))

    def count_older(self, sequence: int) -> int:
        """Return how many articles are of files before this one and were in no file since."""
        if self._reader is None or self._empty:
            return 0
        return self._reader._one(f"SELECT count(*) {_OLDER}", [sequence, sequence])

    def count_of_nlm(self) -> int:
        """Return how many articles are from NLM's files."""
        return 0 if self._reader is None else self._reader._one("SELECT count(*) FROM articles WHERE sequence > 0")


_OLDER = (
    "FROM articles WHERE sequence > 0 AND sequence < ? AND NOT EXISTS "
    "(SELECT 1 FROM seen_later WHERE seen_later.pmid = articles.pmid AND seen_later.sequence >= ?)"
)


class NlmLedger(NlmState):
    """Writes what a store must remember; each method is one transaction, but `remove_older`, which can be repeated."""

    def __init__(self, store: StoreWriter) -> None:
        super().__init__(store)
        self._store = store

    def set_part(self, part: str, *, everything: bool) -> None:
        """Remember which part of PubMed is kept, and forget which files were applied if it is another than before.

        Articles that were kept as all of PubMed become articles of the part, so that those which do not belong to it
        go as files are read again.
        """
        if self.part() == part:
            return
        with self._store._transaction():
            execute = self._store.connection.execute
            if everything:
                execute("DELETE FROM part_articles")
            elif self.part() is not None and not self._store._one("SELECT count(*) FROM part_articles"):
                execute("INSERT INTO part_articles SELECT pmid FROM articles WHERE sequence > 0")
            execute("DELETE FROM nlm_files")
            execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [_PART, part])

    def record(self, entry: NlmFileEntry) -> None:
        """Note that a file was applied to its end."""
        with self._store._transaction():
            fields = msgspec.structs.asdict(entry)
            marks = ", ".join("?" for _ in fields)
            self._store.connection.execute(
                f"INSERT OR REPLACE INTO nlm_files ({', '.join(fields)}) VALUES ({marks})", list(fields.values())
            )

    def set_stamp(self, sequence: int, stamp: str) -> None:
        """Note that a listing says something else of a file that is the same."""
        with self._store._transaction():
            self._store.connection.execute("UPDATE nlm_files SET stamp = ? WHERE sequence = ?", [stamp, sequence])

    def forget_files(self, sequences: Iterable[int]) -> None:
        """Note that files must be applied again."""
        with self._store._transaction():
            self._store.connection.executemany(
                "DELETE FROM nlm_files WHERE sequence = ?", [(sequence,) for sequence in sequences]
            )

    def remove_older(self, year: int) -> int:
        """Delete the articles of files of earlier years that are in no file of this year, and return how many.

        Any later file of NLM's may bring one back. Articles that were added by hand are of no file and stay.
        """
        removed = 0
        first = year * 100_000
        while True:
            rows = self._store._rows(f"SELECT pmid {_OLDER} LIMIT {_REMOVED_AT_ONCE}", [first, first])
            pmids = [pmid for (pmid,) in rows]
            with self._store._transaction() as change:
                self._store._remove(pmids, change, first)
                if not pmids:
                    self._store.connection.execute(
                        "INSERT OR REPLACE INTO settings VALUES (?, ?)", [_BASELINE, str(year)]
                    )
            removed += len(pmids)
            if not pmids:
                return removed

    # Queries ---------------------------------------------------------------------------------------------------------

    def begin_query(self, query: str) -> tuple[int, set[int]]:
        """Return the number of a run of a query, and which PMIDs are done already if it was interrupted."""
        row = self._store._rows(
            "SELECT id FROM query_runs WHERE query = ? AND finished IS NULL ORDER BY id DESC", [query]
        ).fetchone()
        if row is not None:
            run = int(row[0])
            return run, {pmid for (pmid,) in self._store._rows("SELECT pmid FROM query_pmids WHERE run = ?", [run])}
        with self._store._transaction():
            cursor = self._store.connection.execute(
                "INSERT INTO query_runs (query, started) VALUES (?, ?)",
                [query, datetime.now(timezone.utc).isoformat(timespec="seconds")],
            )
        return int(cursor.lastrowid or 0), set()

    def note_done(self, run: int, pmids: Iterable[int]) -> None:
        """Note which PMIDs of a run are done: what was committed is not fetched again if it is interrupted."""
        with self._store._transaction():
            self._store.connection.executemany(
                "INSERT OR IGNORE INTO query_pmids VALUES (?, ?)", [(run, pmid) for pmid in pmids]
            )

    def finish_query(self, run: int) -> None:
        """Note that a run has come to its end: the next one of the same query looks at everything anew."""
        with self._store._transaction():
            self._store.connection.execute("DELETE FROM query_pmids WHERE run = ?", [run])
            self._store.connection.execute(
                "UPDATE query_runs SET finished = ? WHERE id = ?",
                [datetime.now(timezone.utc).isoformat(timespec="seconds"), run],
            )
