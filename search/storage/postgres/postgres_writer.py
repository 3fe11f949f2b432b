"""Writing the tables: several processes may, one transaction at a time, and a lost server is waited for."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg
from cachetools import LRUCache

from search.article import Article
from search.config import PostgresConfig
from search.errors import StoreError
from search.models.static_vectors import static_dimension
from search.storage.article_tokens import tokens_of
from search.storage.bm25 import FIELDS, field_words
from search.storage.manifest import Manifest
from search.storage.postgres.address import PgAddress
from search.storage.postgres.packing import TYPES, pack_vectors, pack_words, rounded_length
from search.storage.postgres.postgres_bm25 import lexeme
from search.storage.postgres.postgres_connection import connect, patiently, refusals
from search.storage.postgres.postgres_store import PgStoreReader, storable
from search.storage.postgres.postgres_tokens import pack_tokens
from search.storage.rows import ArticleRow, Term, Vectors, unpack
from search.storage.schema import postgres_schema
from search.storage.store import WritableStore

__all__ = ["PgStoreWriter"]

_Result = TypeVar("_Result")

_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")

#: How long a transaction waits for that of another writer, in milliseconds.
_LOCK_TIMEOUT = 120_000
#: Tokens of so many changes are kept, to tell whether one was committed whose connection broke.
_TOKENS_KEPT = 10_000
#: PostgreSQL keeps a row's value in its place up to about so many bytes.
_IN_PLACE = 7_000
#: Room is reclaimed where this share of a table's rows was replaced, and not for a few rows.
_REPLACED_SHARE, _FEWEST_REPLACED = 1 / 16, 512
_ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = ?::text::regclass"
#: Ids of terms and journals that are kept in memory.
_IDS_KEPT = 200_000

_COLUMNS = {
    "pmid": "int8", "change": "int8", "version": "int4", "revised": "int4", "sequence": "int4", "added": "int4",
    "added_change": "int8", "date_first": "int4", "date_last": "int4", "electronic_first": "int4",
    "electronic_last": "int4", "journal": "int4", "has_abstract": "bool",
    "free_full_text": "bool", "retracted": "bool", "sample_size": "int4",
    "stale": "bool", "text_hash": "bytea", "record_hash": "bytea",
    "terms": "int4[]", "major": "int4[]",
}  # fmt: skip
_WORD_COLUMNS = {"pmid": "int8", "change": "int8", "tokens": "int4[]", "lengths": "int4[]", "words": "bytea"}


class PgStoreWriter(PgStoreReader, WritableStore):
    """A writer of a store. Every method that writes is one transaction with one change number.

    Transactions of several writers follow one another, since each begins with the counter of changes: a reader that
    sees a change sees all before it. Work whose connection is lost, or that meets a deadlock, is repeated, and done
    once: a token says whether a transaction was committed whose answer never came, and whether a server that answers
    again has what was committed before: a replica that took the place of its primary may lack the last of it.
    """

    SEVERAL_WRITERS: ClassVar[bool] = True

    def __init__(self, address: PgAddress, config: PostgresConfig) -> None:
        self.address = address
        self._config = config
        with refusals(address.name):
            super().__init__(connect(address, config, writable=True))
        self._in_transaction = False
        self._terms: LRUCache[Term, int] = LRUCache(_IDS_KEPT)
        self._journals: LRUCache[str, int] = LRUCache(_IDS_KEPT)
        #: The token and the number of the last change of this writer's, and whether it is to be looked for.
        self._last: tuple[str, int] | None = None
        self._reconnected = False
        #: Rows of tables that others took the place of, since their room was last reclaimed.
        self._replaced: Counter[str] = Counter()

    @property
    def last_change(self) -> int | None:
        """The number of the last change that was committed here; None if there was none."""
        return self._last[1] if self._last else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def create(self, manifest: Manifest, quantization: str) -> None:
        """Make the tables for an index, all or nothing; nothing where another process has just made them."""
        kind, number = TYPES[manifest.vectors]
        # Where they are stored affects only speed: beside the row they are read with it.
        storage = "PLAIN" if manifest.dimension * number.itemsize <= _IN_PLACE else "EXTERNAL"
        with refusals(self.address.name), self._connection.transaction():
            execute = self._connection.execute
            execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"search tables {self.address.schema}"])
            if self.has_table("counter"):
                return
            execute(postgres_schema())
            execute(f"ALTER TABLE vectors ALTER vector TYPE {kind}({int(manifest.dimension)})")
            execute(f"ALTER TABLE vectors ALTER vector SET STORAGE {storage}")
            execute(f"ALTER TABLE static_vectors ALTER vector TYPE halfvec({static_dimension(manifest.dimension)})")
            settings = {
                "dimension": str(manifest.dimension),
                "vectors": manifest.vectors,
                "quantization": quantization,
                "manifest": msgspec.json.encode(manifest).decode(),
            }
            for key, value in settings.items():
                execute("INSERT INTO settings VALUES (%s, %s)", [key, value])

    def drop_if_empty(self) -> bool:
        """Drop the tables if they hold no article and no deletion, and the schema if nothing else is in it."""
        with refusals(self.address.name), self._connection.transaction():
            # Whoever writes waits for this row.
            self._connection.execute("SELECT change FROM counter FOR UPDATE")
            if not self.is_empty():
                return False
            for name in _TABLE.findall(postgres_schema()):
                self._connection.execute(f"DROP TABLE {name}")
            row = self._connection.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            ).fetchone()
            if row == (0,):
                self._connection.execute(f'DROP SCHEMA "{self.address.schema}" RESTRICT')
        return True

    def put_manifest(self, manifest: Manifest) -> None:
        """Record what the index is; within a transaction."""
        self.put_setting("manifest", msgspec.json.encode(manifest).decode())

    # Transactions ----------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query; outside a transaction a lost connection is opened again."""
        if self._in_transaction:
            return super().query(sql, parameters)

        def work() -> list[Any]:
            self._ensure_connection()
            return super(PgStoreWriter, self).query(sql, parameters)

        with refusals(self.address.name):
            return patiently(work, self._config.patience)

    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction, repeated where that may help."""
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
                self._forget_ids()
                raise
            finally:
                self._in_transaction = False
            self._last, self._reconnected = (token, change), False
            return done[-1]

        with refusals(self.address.name):
            result = patiently(attempt, self._config.patience)
        self._reclaim()
        return result

    def note_replaced(self, table: str, rows: int) -> None:
        """Note that rows were deleted that others took the place of, whose room is used again before it grows much."""
        self._replaced[table] += rows

    def _reclaim(self) -> None:
        """Let the room of replaced rows be used again, without waiting for the server to think of it."""
        for table, rows in list(self._replaced.items()):
            # Without it nothing is lost but room: no lock is waited for, and an error is the server's to deal with.
            with suppress(psycopg.Error):
                if rows >= _REPLACED_SHARE * max(_FEWEST_REPLACED, self.one(_ROWS, [table])):
                    self._connection.execute(f"VACUUM (SKIP_LOCKED) {table}")
                    del self._replaced[table]

    def note(self, key: str, value: str) -> None:
        """Set a setting that is computed from the articles and changes nothing."""
        self._ensure_connection()
        with refusals(self.address.name), self._connection.transaction():
            self.put_setting(key, value)

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
        """After a connection was opened again: see whether the server has the last change of this writer's."""
        if not self._reconnected or self._last is None or self._was_committed(self._last[0]):
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
            self._forget_ids()
            self._reconnected = True
            self._connection = connect(self.address, self._config, writable=True)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row of parameters; within a transaction."""
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), [storable(row) for row in rows])

    def copy(self, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
        """Add rows to a table by COPY; `columns` gives the type of each. Within a transaction."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)

    # Rows -------------------------------------------------------------------------------------------------------------

    def _forget(self, pmids: list[int]) -> None:
        """Remove the words and tokens of articles."""
        for table in ("words", "tokens"):
            self.query(f"DELETE FROM {table} WHERE pmid = ANY(%s)", [pmids])

    def _put_rows(
        self,
        rows: Sequence[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        stale: set[int],
    ) -> None:
        pmids = [row.pmid for row in rows]
        for table in ("articles", "documents", "words", "tokens"):
            self.query(f"DELETE FROM {table} WHERE pmid = ANY(%s)", [pmids])
        journals, terms = self._journal_ids(rows), self._term_ids(rows)
        self.copy(
            "articles",
            _COLUMNS,
            (
                (
                    row.pmid, change, row.version, row.revised, sequences[row.pmid], *added[row.pmid], row.date_first,
                    row.date_last, row.electronic_first, row.electronic_last,
                    journals[row.journal], row.has_abstract, row.free_full_text,
                    row.retracted, row.sample_size, row.pmid in stale, row.text_hash, row.record_hash,
                    sorted({terms[term] for term, _ in row.terms}),
                    sorted({terms[term] for term, major in row.terms if major}),
                )
                for row in rows
            ),
        )  # fmt: skip
        columns = {"pmid": "int8", "document": "bytea"}
        self.copy("documents", columns, ((row.pmid, row.document) for row in rows))
        self._put_static(rows, change)
        articles = [unpack(row.document) for row in rows]
        self.copy("words", _WORD_COLUMNS, (_words(article, change) for article in articles))
        tokens = ((article.pmid, pack_tokens(tokens_of(article))) for article in articles)
        self.copy("tokens", {"pmid": "int8", "tokens": "bytea"}, tokens)

    def _put_static_rows(self, pmids: Sequence[int], codes: npt.NDArray[np.int8], change: int) -> None:
        self.query("DELETE FROM static_vectors WHERE pmid = ANY(%s)", [list(pmids)])
        # Integers up to 127 are exact in a half.
        packed = pack_vectors(codes.astype(np.float32), "float16")
        columns = {"pmid": "int8", "change": "int8", "vector": "bytea"}
        self.copy("static_vectors", columns, ((pmid, change, code) for pmid, code in zip(pmids, packed, strict=True)))

    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        packed = pack_vectors(vectors, self._fixed()["vectors"]) if len(vectors) else []
        self.query("DELETE FROM vectors WHERE pmid = ANY(%s)", [[pmid for pmid, _ in hashes]])
        self.copy(
            "vectors",
            {"pmid": "int8", "change": "int8", "text_hash": "bytea", "vector": "bytea"},
            ((pmid, change, text_hash, row) for (pmid, text_hash), row in zip(hashes, packed, strict=True)),
        )

    def _term_ids(self, rows: Iterable[ArticleRow]) -> dict[Term, int]:
        """Return the ids of terms, which never change once they are committed, from memory where known."""
        terms = {term for row in rows for term, _ in row.terms}
        ids = {term: self._terms[term] for term in terms if term in self._terms}
        new = sorted(terms - ids.keys(), key=_key)
        if new:
            columns = list(map(list, zip(*map(_key, new), strict=True)))
            listed = "unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
            names = "kind, name, ui, parent_name, parent_ui"
            self.query(f"INSERT INTO terms ({names}) SELECT * FROM {listed} ON CONFLICT DO NOTHING", columns)
            numbered = self.query(
                f"SELECT w.number, t.id FROM {listed} WITH ORDINALITY AS w ({names}, number) JOIN terms AS t "
                f"USING ({names})",
                columns,
            )
            ids.update({new[number - 1]: id for number, id in numbered})
        self._terms.update(ids)
        return ids

    def _journal_ids(self, rows: Iterable[ArticleRow]) -> dict[str | None, int]:
        """Return the ids of journals, each known by all its keys; 0 for no journal."""
        ids: dict[str | None, int] = {None: 0}
        for keys in sorted({row.journal for row in rows if row.journal}):
            if keys not in self._journals:
                added = self.query(
                    "INSERT INTO journals (keys) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id", [keys]
                )
                if added:
                    self.query(
                        "INSERT INTO journal_keys SELECT unnest(%s::text[]), %s", [keys.split("\n"), added[0][0]]
                    )
                row = added or self.query("SELECT id FROM journals WHERE md5(keys) = md5(%s)", [keys])
                self._journals[keys] = int(row[0][0])
            ids[keys] = self._journals[keys]
        return ids

    def _forget_ids(self) -> None:
        """Forget ids that may not have been committed."""
        self._terms.clear()
        self._journals.clear()


def _words(article: Article, change: int) -> tuple[int, int, list[int], list[int], bytes]:
    fields = field_words(article)
    tokens = [fields[field].total() for field in FIELDS]
    counts = {lexeme(field, word): times for field in FIELDS for word, times in fields[field].items()}
    return article.pmid, change, tokens, [rounded_length(number) for number in tokens], pack_words(counts)


def _key(term: Term) -> tuple[str, ...]:
    return term.kind, term.name, term.ui, term.parent_name, term.parent_ui
