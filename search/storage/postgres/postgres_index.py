"""An index in a database: making it, reading it, writing it, and bringing its search indexes up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec
import psycopg

from search.config import PostgresConfig
from search.errors import IndexFolderError, SearchError
from search.storage.manifest import Manifest, check_format
from search.storage.nlm_ledger import NlmLedger
from search.storage.postgres.address import PgAddress
from search.storage.postgres.postgres_connection import Connection, await_replica, connect, open_pool, refusals
from search.storage.postgres.postgres_saved import SavedTable
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.postgres.postgres_view import PgView
from search.storage.postgres.postgres_writer import PgStoreWriter
from search.storage.postgres.search_indexes import SearchIndexes
from search.storage.verify import Problem, check_articles, check_vectors, mend, row_problem
from search.time_limit import seconds_left

__all__ = ["PgIndexReader", "PgIndexWriter", "create_schema", "has_index", "verify_database"]


def has_index(address: PgAddress, config: PostgresConfig) -> bool:
    """Whether there is an index in a schema. Raises IndexFolderError if there is no such database."""
    with refusals(address.name), connect(address, config, writable=False) as connection:
        return PgStoreReader(connection).has_table("settings") and bool(_settings(connection).get("manifest"))


def create_schema(address: PgAddress, config: PostgresConfig, manifest: Manifest) -> None:
    """Make an empty index in a schema that holds none. Raises IndexFolderError if there is one already."""
    if has_index(address, config):
        raise IndexFolderError(f"{address.name} holds an index already; give another schema (`?schema=NAME`)")
    with refusals(address.name), connect(address, config, writable=True) as connection:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"')
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        except psycopg.errors.UniqueViolation:
            pass  # Another process made it at the same moment.
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
            raise IndexFolderError(
                f"{address.name}: the server has no pgvector; install it (version 0.8 or later) and try again"
            ) from error
        row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if row is None or tuple(map(int, row[0].split(".")[:2])) < (0, 8):
        raise IndexFolderError(f"{address.name} has pgvector {row and row[0]}, and 0.8 or later is needed")
    writer = PgStoreWriter(address, config)
    try:
        writer.create(manifest, config.quantization)
        await_replica(address, config, writer.change())
    finally:
        writer.close()


def _settings(connection: Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM settings").fetchall())


def _manifest(address: PgAddress, store: PgStoreReader) -> Manifest:
    """Read what an index is. Raises IndexFolderError if there is none, or this program cannot read its tables."""
    if not store.has_table("settings") or "manifest" not in (settings := store.settings()):
        raise IndexFolderError(f"{address.name}: there is no index; `search add FILE` makes one")
    content = msgspec.json.decode(settings["manifest"])
    check_format(content, address.name)
    return msgspec.convert(content, Manifest)


class PgIndexReader:
    """An index open for reading; any number of threads, each with its own connection while it reads."""

    def __init__(self, address: PgAddress, config: PostgresConfig) -> None:
        self._address = address
        self.damaged: set[int] = set()
        with refusals(address.name):
            # Once without the pool, which would wait for a server that is not there before it says so.
            with connect(address, config, writable=False) as connection:
                self.manifest = _manifest(address, PgStoreReader(connection))
            self._pool = open_pool(address, config)
        self.saved = SavedTable(address, config)

    @property
    def name(self) -> str:
        """What the index is called in messages: its address without a password."""
        return self._address.name

    @contextmanager
    def view(self) -> Iterator[PgView]:
        """Hold one state of the index: the last commit when the view was taken."""
        with refusals(self.name), self._pool.connection() as connection, connection.transaction():
            if (seconds := seconds_left()) is not None:
                connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{seconds * 1000 + 1:.0f}ms"])
            store = PgStoreReader(connection)
            store.damaged = self.damaged
            settings = store.settings()
            self.manifest = msgspec.json.decode(settings["manifest"], type=Manifest)
            yield PgView(store, self.manifest, settings)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each table with what belongs to it."""
        with refusals(self.name), self._pool.connection() as connection:
            rows = PgStoreReader(connection).query(
                "SELECT c.relname::text, pg_total_relation_size(c.oid) FROM pg_class AS c JOIN pg_namespace AS n "
                "ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY 1",
                [self._address.schema],
            )
        return {str(name): int(size) for name, size in rows}

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class PgIndexWriter:
    """A writer of an index; others may write at the same time."""

    def __init__(self, address: PgAddress, config: PostgresConfig) -> None:
        self._address, self._config = address, config
        self.store = PgStoreWriter(address, config)
        try:
            with refusals(address.name):
                _manifest(address, self.store)
        except BaseException:
            self.store.close()
            raise
        self._indexes = SearchIndexes(self.store, address, config)

    @property
    def ledger(self) -> NlmLedger:
        """What the index remembers of NLM."""
        return NlmLedger(self.store)

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        return self.store.manifest()

    def finish_copy(self) -> None:
        """Note that the index is complete: it was made as a copy of another."""
        manifest = msgspec.structs.replace(self.manifest, copy_of=None)
        self.store.transact(lambda _: self.store.put_manifest(manifest))

    def merge_if_due(self, *, last: bool = False) -> bool:
        """Update the search indexes if so much is unmerged that searches would feel it; return whether it was."""
        return self._indexes.update_if_due(last=last)

    def merge(self, *, rebuild: bool = False) -> None:
        """Count words, and make the vector index where there are enough vectors; `rebuild` makes both again."""
        self._indexes.update(rebuild=rebuild)

    def repair(self) -> list[str]:
        """Rebuild everything that can be rebuilt from the records, and return what cannot, such as damaged records."""
        reader = PgIndexReader(self._address, self._config)
        with closing(reader), reader.view() as view:
            problems = list(_check(view.store))
        left = mend(self.store, iter(problems))
        self.merge(rebuild=True)
        return left

    def remove_if_empty(self) -> bool:
        """Drop the tables if they hold no article and no deletion; return whether they were dropped."""
        return self.store.drop_if_empty()

    def close(self, *, wait: bool = True) -> None:
        """Close the connection; with `wait`, once a replica that is read from has what was written."""
        self.store.close()
        if wait and self.store.last_change is not None:
            await_replica(self._address, self._config, self.store.last_change)


def verify_database(address: PgAddress, config: PostgresConfig) -> Iterator[str]:
    """Yield the problems of an index, a sentence each that says what to do; nothing if there are no problems.

    Every document, the hash of its text and every vector is read, and the words are compared with the documents.
    PostgreSQL's own pages are checked by its tools (`pg_amcheck`, data checksums).
    """
    reader = PgIndexReader(address, config)
    try:
        with reader.view() as view:
            for problem in _check(view.store):
                yield problem.text
    except SearchError as error:
        yield str(error)
    finally:
        reader.close()


def _check(store: PgStoreReader) -> Iterator[Problem]:
    yield from check_articles(store)
    yield from check_vectors(store)
    yield from _words(store)


def _words(store: PgStoreReader) -> Iterator[Problem]:
    rows = store.query(
        "SELECT coalesce(a.pmid, w.pmid) FROM articles AS a FULL JOIN words AS w USING (pmid) "
        "WHERE a.pmid IS NULL OR w.pmid IS NULL LIMIT 20"
    )
    for (pmid,) in rows:
        yield row_problem(pmid, "articles and words do not hold the same")
    invalid = store.query(
        "SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace"
    )
    for (name,) in invalid:
        yield Problem(f"the index {name} was not finished; `search repair` makes it again")
