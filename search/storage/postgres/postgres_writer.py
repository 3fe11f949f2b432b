"""Writing the tables: several processes may, one transaction at a time, and a lost server is waited for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from search.config import PostgresConfig
from search.errors import StoreError
from search.storage.plan import LEFT_PART, Held, Plan, PlanOutdatedError, make_plan
from search.storage.postgres.address import PgAddress
from search.storage.postgres.packing import TYPES, pack_vectors
from search.storage.postgres.postgres_conditions import clean
from search.storage.postgres.postgres_connection import connect, patiently, refusals
from search.storage.postgres.postgres_schema import MIGRATIONS
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.postgres.postgres_tables import ArticleTables
from search.storage.rows import ArticleRow, Copied, Outside, TextState, Vectors

__all__ = ["PgStoreWriter"]

_Result = TypeVar("_Result")

#: How long a transaction waits for that of another writer, in milliseconds.
_LOCK_TIMEOUT = 120_000
#: Tokens of so many changes are kept, to tell whether one was committed whose connection broke.
_TOKENS_KEPT = 10_000
#: PostgreSQL keeps a row's value in its place up to about so many bytes.
_IN_PLACE = 7_000


class PgStoreWriter(PgStoreReader):
    """A writer of a store. Every method that writes is one transaction with one change number.

    Transactions of several writers follow one another, since each begins with the counter of changes: a reader that
    sees a change sees all before it. Work whose connection is lost, or that meets a deadlock, is done anew, once: a
    token tells whether a transaction was committed whose answer never came, and whether a server that answers anew
    has what was committed before: a replica that took the place of its primary may lack the last of it.
    """

    def __init__(self, address: PgAddress, config: PostgresConfig) -> None:
        self.address = address
        self._config = config
        with refusals(address.name):
            super().__init__(connect(address, config, writable=True))
        self._in_transaction = False
        self._tables = ArticleTables(self)
        #: The token and the number of the last change of this writer's, and whether it is to be looked for.
        self._last: tuple[str, int] | None = None
        self._made_anew = False

    @property
    def last_change(self) -> int | None:
        """The number of the last change that was committed here; None if there was none."""
        return self._last[1] if self._last else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def migrate(self) -> None:
        """Apply the migrations that were not applied yet, one writer at a time."""
        with refusals(self.address.name), self._connection.transaction():
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext(%s))", [f"search migrations {self.address.schema}"]
            )
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied timestamptz DEFAULT now())"
            )
            applied = {name for (name,) in self._connection.execute("SELECT name FROM migrations")}
            for name, sql in MIGRATIONS.items():
                if name not in applied:
                    self._connection.execute(sql)
                    self._connection.execute("INSERT INTO migrations VALUES (%s)", [name])

    def set_vector_format(self, dimension: int, dtype: str) -> None:
        """Fix what vectors look like; done once, when an index is made."""

        def work(_: int) -> None:
            kind, number = TYPES[dtype]
            self.query(f"ALTER TABLE vectors ALTER vector TYPE {kind}({int(dimension)})")
            # Where they lie does not matter to what is found, only to how fast: beside the row they are read at once.
            storage = "PLAIN" if dimension * number.itemsize <= _IN_PLACE else "EXTERNAL"
            self.query(f"ALTER TABLE vectors ALTER vector SET STORAGE {storage}")
            self.put_setting("dimension", str(dimension))
            self.put_setting("vectors", dtype)

        self.transact(work)

    def put_setting(self, key: str, value: str) -> None:
        """Set a setting; within a transaction."""
        self.query(
            "INSERT INTO settings VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [key, value]
        )

    # Transactions ----------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query; outside a transaction a lost connection is made anew."""
        if self._in_transaction:
            return super().query(sql, parameters)

        def work() -> list[Any]:
            self._ensure_connection()
            return super(PgStoreWriter, self).query(sql, parameters)

        with refusals(self.address.name):
            return patiently(work, self._config.patience)

    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction; anew where that is of use."""
        if self._in_transaction:
            raise RuntimeError("transactions do not nest")
        token, done = uuid.uuid4().hex, list[_Result]()

        def attempt() -> _Result:
            self._ensure_connection()
            try:
                with self._connection.transaction():
                    self._in_transaction = True
                    change = self._begin()
                    if not (done and self._was_committed(token)):
                        self._check_nothing_was_lost(change)
                        done.clear()
                        self._connection.execute("INSERT INTO changes VALUES (%s, %s)", [token, change])
                        done.append(work(change))
            except BaseException:
                self._tables.forget()
                raise
            finally:
                self._in_transaction = False
            self._last, self._made_anew = (token, change), False
            return done[-1]

        with refusals(self.address.name):
            return patiently(attempt, self._config.patience)

    def _begin(self) -> int:
        self._connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}")
        # The row stays locked to the end of the transaction: the next writer waits here.
        row = self._connection.execute("UPDATE counter SET change = change + 1 RETURNING change").fetchone()
        change = int(row[0]) if row else 0
        self._connection.execute("DELETE FROM changes WHERE change < %s", [change - _TOKENS_KEPT])
        return change

    def _was_committed(self, token: str) -> bool:
        return bool(self._connection.execute("SELECT 1 FROM changes WHERE token = %s", [token]).fetchone())

    def _check_nothing_was_lost(self, change: int) -> None:
        """After a connection was made anew: see whether the server has the last change of this writer's."""
        if not self._made_anew or self._last is None or self._was_committed(self._last[0]):
            return
        if change - self._last[1] < _TOKENS_KEPT:
            raise StoreError(
                f"{self.address.name}: the server that answers now lacks what was committed last, as a replica may "
                "that took the primary's place; run the same command again, which adds what is missing"
            )

    def _ensure_connection(self) -> None:
        if self._connection.closed or self._connection.broken:
            self._connection.close()
            # Another server may answer now, with other numbers for the terms that were last.
            self._tables.forget()
            self._made_anew = True
            self._connection = connect(self.address, self._config, writable=True)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement of the ledger's for each row of parameters; within a transaction."""
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), list(rows))

    def copy(self, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
        """Add rows to a table by COPY; `columns` gives the type of each. Within a transaction."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)

    # Articles and deletions ------------------------------------------------------------------------------------------

    def plan(
        self,
        records: Iterable[ArticleRow | Outside | int],
        *,
        sequence: int | None = None,
        restore: bool = False,
        part: bool = False,
    ) -> Plan:
        """Decide what a batch of records does, by the rules of `search.storage.plan`."""
        change = self.change()
        plan = make_plan(self, records, sequence=sequence, restore=restore, part=part)
        plan.basis = change
        return plan

    def apply(self, plan: Plan, vectors: Vectors | None = None) -> int:
        """Write a plan and the vectors of `plan.to_encode`, all or nothing; return the change number.

        Raises PlanOutdatedError if another writer has written since the plan was made what the plan speaks of.
        """
        waiting = {row.pmid for row in plan.to_encode} if vectors is None else set()

        def work(change: int) -> int:
            if plan.basis is not None and plan.basis < change - 1:
                self._check(plan)
            self.remove(plan.deletions, change, plan.sequence)
            self.remove(plan.left, change, LEFT_PART)
            self._tables.put(plan, change, waiting)
            if vectors is not None:
                self._put_vectors([(row.pmid, row.text_hash) for row in plan.to_encode], vectors, change)
            return change

        return self.transact(work)

    def _check(self, plan: Plan) -> None:
        """See whether others have changed any article that a plan speaks of."""
        touched = [*plan.rows, *plan.deletions, *plan.confirmed, *plan.left, *plan.by_hand, *plan.seen_later]
        changed = self.query(
            "SELECT pmid FROM articles WHERE pmid = ANY(%s) AND change > %s "
            "UNION SELECT pmid FROM vectors WHERE pmid = ANY(%s) AND change > %s "
            "UNION SELECT pmid FROM tombstones WHERE pmid = ANY(%s) AND change > %s LIMIT 1",
            [touched, plan.basis] * 3,
        )
        if changed:
            raise PlanOutdatedError(f"PMID {changed[0][0]} was written by another process meanwhile")

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles by hand and return how many there were; they stay deleted whatever is read later."""
        wanted = set(pmids)

        def work(change: int) -> int:
            found = self.existing(wanted)
            self.remove(wanted, change, 0)
            return len(found)

        return self.transact(work)

    def text_hashes(self, pmids: Iterable[int]) -> dict[int, TextState]:
        """Return, for each of these PMIDs that has an article, the hash of its text and whether a vector is missing."""
        rows = self.query("SELECT pmid, text_hash, stale FROM articles WHERE pmid = ANY(%s)", [list(pmids)])
        return {pmid: TextState(bytes(text_hash), stale) for pmid, text_hash, stale in rows}

    def put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors) -> int:
        """Store vectors of (pmid, text hash) pairs; one whose article has changed or gone since is left out.

        Returns how many were stored.
        """

        def work(change: int) -> int:
            current = self.held(pmid for pmid, _ in hashes)
            keep = [
                place
                for place, (pmid, made_from) in enumerate(hashes)
                if pmid in current and current[pmid].text_hash == made_from
            ]
            self._put_vectors([hashes[place] for place in keep], vectors[keep], change)
            self.query("UPDATE articles SET stale = false WHERE pmid = ANY(%s)", [[hashes[place][0] for place in keep]])
            return len(keep)

        return self.transact(work)

    def put_copied(self, copied: Sequence[Copied], vectors: Vectors) -> None:
        """Put articles of another index in place of those of their PMIDs; within a transaction.

        `vectors`, (n, dimension) float32, are those of the articles that have one, in their order.
        """
        change, pmids = self.change(), [article.row.pmid for article in copied]
        self._tables.put_rows(
            [article.row for article in copied],
            change,
            {article.row.pmid: (article.added, article.added_change) for article in copied},
            {article.row.pmid: article.sequence for article in copied},
            {article.row.pmid for article in copied if article.stale},
        )
        for table in ("tombstones", "vectors", "part_articles"):
            self.query(f"DELETE FROM {table} WHERE pmid = ANY(%s)", [pmids])
        encoded = [(article.row.pmid, article.vector_hash) for article in copied if article.vector_hash is not None]
        self._put_vectors(encoded, vectors, change)
        of_part = [(article.row.pmid,) for article in copied if article.of_part]
        self.copy("part_articles", {"pmid": "int8"}, of_part)

    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        packed = pack_vectors(vectors, self._fixed()["vectors"]) if len(vectors) else []
        self.query("DELETE FROM vectors WHERE pmid = ANY(%s)", [[pmid for pmid, _ in hashes]])
        self.copy(
            "vectors",
            {"pmid": "int8", "change": "int8", "text_hash": "bytea", "vector": "bytea"},
            ((pmid, change, made_from, row) for (pmid, made_from), row in zip(hashes, packed, strict=True)),
        )

    def remove(self, pmids: Iterable[int], change: int, sequence: int) -> None:
        """Delete articles with a tombstone each; within a transaction."""
        self._tables.remove(sorted(pmids), change, sequence)

    # What is known, for planning -------------------------------------------------------------------------------------

    def held(self, pmids: Iterable[int]) -> dict[int, Held]:
        """Return what is known of those of the articles that are there."""
        rows = self.query(
            "SELECT pmid, version, revised, sequence, added, added_change, record_hash, text_hash FROM articles "
            "WHERE pmid = ANY(%s)",
            [list(pmids)],
        )
        return {pmid: Held(*rest) for pmid, *rest in rows}

    def part_articles(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the articles that are there only because they belong to the part that is kept."""
        return {pmid for (pmid,) in self.query("SELECT pmid FROM part_articles WHERE pmid = ANY(%s)", [list(pmids)])}

    def vector_hashes(self, pmids: Iterable[int]) -> dict[int, bytes]:
        """Return the hashes of the texts that the vectors of these articles were made from."""
        return dict(self.query("SELECT pmid, text_hash FROM vectors WHERE pmid = ANY(%s)", [list(pmids)]))

    def tombstones(self, pmids: Iterable[int]) -> dict[int, int]:
        """Return which of NLM's files deleted those of the articles that are deleted (0: by hand)."""
        return dict(self.query("SELECT pmid, sequence FROM tombstones WHERE pmid = ANY(%s)", [list(pmids)]))

    # The ledger ------------------------------------------------------------------------------------------------------

    def begin_file(self, name: str, sha256: str) -> None:
        """Note that a file is being read."""
        self.transact(
            lambda _: self.query(
                "INSERT INTO files (name, sha256, complete, started, counts) VALUES (%s, %s, false, %s, '{}') "
                "ON CONFLICT (name, sha256) DO UPDATE SET complete = false, started = excluded.started, error = NULL",
                [clean(name), sha256, _now()],
            )
        )

    def finish_file(self, name: str, sha256: str, counts: Mapping[str, int], error: str | None = None) -> None:
        """Note what came of a file; with `error`, that it could not be read to its end."""
        self.transact(
            lambda _: self.query(
                "UPDATE files SET complete = %s, finished = %s, counts = %s, error = %s "
                "WHERE name = %s AND sha256 = %s",
                [error is None, _now(), json.dumps(dict(counts)), error and clean(error), clean(name), sha256],
            )
        )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
