"""What an index records of NLM: files applied, the part of PubMed that is kept, queries that are not finished."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from search.files import utc_now
from search.storage.store import Store, WritableStore

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
    applied: str = msgspec.field(default_factory=utc_now)


class NlmState:
    """Reads what a store has recorded. One that has never been synced, or none at all, has recorded nothing."""

    def __init__(self, store: Store | None) -> None:
        self._reader = store

    def files(self) -> dict[int, NlmFileEntry]:
        """Return the ledger by sequence, in NLM's order."""
        if self._reader is None:
            return {}
        names = NlmFileEntry.__struct_fields__
        rows = self._reader.rows(f"SELECT {', '.join(names)} FROM nlm_files ORDER BY sequence")
        return {row[0]: msgspec.convert(dict(zip(names, row, strict=True)), NlmFileEntry, strict=False) for row in rows}

    def part(self) -> str | None:
        """Return the part that is kept, as it was given to `set_part`; None if none was ever chosen."""
        return None if self._reader is None else self._reader.settings().get(_PART)

    def baseline(self) -> int:
        """Return the year of the last baseline that replaced the one before it completely; 0 if there was none."""
        return 0 if self._reader is None else int(self._reader.settings().get(_BASELINE, 0))

    def count_older(self, sequence: int) -> int:
        """Return how many articles are of files before this one and were in no file since."""
        if self._reader is None:
            return 0
        return self._reader.one(f"SELECT count(*) {_OLDER}", [sequence, sequence])

    def count_of_nlm(self) -> int:
        """Return how many articles are from NLM's files."""
        return 0 if self._reader is None else self._reader.one("SELECT count(*) FROM articles WHERE sequence > 0")


_OLDER = (
    "FROM articles WHERE sequence > 0 AND sequence < ? AND NOT EXISTS "
    "(SELECT 1 FROM seen_later WHERE seen_later.pmid = articles.pmid AND seen_later.sequence >= ?)"
)


class NlmLedger(NlmState):
    """Writes what a store must record; each method is one transaction, but `remove_older`, which can be repeated."""

    def __init__(self, store: WritableStore) -> None:
        super().__init__(store)
        self._store = store

    def set_part(self, part: str, *, everything: bool) -> None:
        """Record which part of PubMed is kept, and forget which files were applied if it is another than before.

        Articles that were kept as all of PubMed become articles of the part, so that those which do not belong to it
        go as files are read again.
        """

        def work(_: int) -> None:
            if everything:
                self._execute("DELETE FROM part_articles")
            elif self.part() is not None and not self._store.one("SELECT count(*) FROM part_articles"):
                self._execute("INSERT INTO part_articles SELECT pmid FROM articles WHERE sequence > 0")
            self._execute("DELETE FROM nlm_files")
            self._store.put_setting(_PART, part)

        if self.part() != part:
            self._store.transact(work)

    def record(self, entry: NlmFileEntry) -> None:
        """Record that a file was applied completely."""

        def work(_: int) -> None:
            fields = msgspec.structs.asdict(entry)
            marks = ", ".join("?" for _ in fields)
            self._execute("DELETE FROM nlm_files WHERE sequence = ?", entry.sequence)
            self._execute(f"INSERT INTO nlm_files ({', '.join(fields)}) VALUES ({marks})", *fields.values())

        self._store.transact(work)

    def set_stamp(self, sequence: int, stamp: str) -> None:
        """Note that a listing says something else of a file that is the same."""
        self._store.transact(
            lambda _: self._execute("UPDATE nlm_files SET stamp = ? WHERE sequence = ?", stamp, sequence)
        )

    def forget_files(self, sequences: Iterable[int]) -> None:
        """Note that files must be applied again."""
        rows = [(sequence,) for sequence in sequences]
        self._store.transact(lambda _: self._store.executemany("DELETE FROM nlm_files WHERE sequence = ?", rows))

    def remove_older(self, year: int) -> int:
        """Delete the articles of files of earlier years that are in no file of this year, and return how many.

        Any later file of NLM's may bring one back. Articles that were added by hand are of no file and stay.
        """
        first = year * 100_000

        def work(change: int) -> int:
            rows = self._store.rows(f"SELECT pmid {_OLDER} LIMIT {_REMOVED_AT_ONCE}", [first, first])
            pmids = [pmid for (pmid,) in rows]
            self._store.remove(pmids, change, first)
            if not pmids:
                self._store.put_setting(_BASELINE, str(year))
            return len(pmids)

        removed = 0
        while some := self._store.transact(work):
            removed += some
        return removed

    # Queries ---------------------------------------------------------------------------------------------------------

    def begin_query(self, query: str) -> tuple[int, set[int]]:
        """Return the number of a run of a query, and which PMIDs are done already if it was interrupted."""
        find = "SELECT coalesce(max(id), 0) FROM query_runs WHERE query = ? AND finished IS NULL"

        def work(_: int) -> int:
            self._execute("INSERT INTO query_runs (query, started) VALUES (?, ?)", query, utc_now())
            return self._store.one(find, [query])

        run = self._store.one(find, [query])
        if run:
            return run, {pmid for (pmid,) in self._store.rows("SELECT pmid FROM query_pmids WHERE run = ?", [run])}
        return self._store.transact(work), set()

    def note_done(self, run: int, pmids: Iterable[int]) -> None:
        """Note which PMIDs of a run are done: what was committed is not fetched again if it is interrupted."""
        rows = [(run, pmid) for pmid in pmids]
        insert = "INSERT INTO query_pmids VALUES (?, ?) ON CONFLICT DO NOTHING"
        self._store.transact(lambda _: self._store.executemany(insert, rows))

    def finish_query(self, run: int) -> None:
        """Note that a run has ended: the next one of the same query looks at everything again."""

        def work(_: int) -> None:
            self._execute("DELETE FROM query_pmids WHERE run = ?", run)
            self._execute("UPDATE query_runs SET finished = ? WHERE id = ?", utc_now(), run)

        self._store.transact(work)

    def _execute(self, sql: str, *parameters: object) -> None:
        self._store.executemany(sql, [parameters])
