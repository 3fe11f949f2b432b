"""What searching needs beside the tables: the HNSW index over vectors, and how many articles have each word."""

from __future__ import annotations

import msgspec
import psycopg

from search.config import PostgresConfig
from search.errors import ConfigError
from search.storage.postgres.address import PgAddress
from search.storage.postgres.postgres_bm25 import TOKEN_SUMS, WordStatistics
from search.storage.postgres.postgres_connection import Connection, connect, refusals
from search.storage.postgres.postgres_writer import PgStoreWriter

__all__ = ["HNSW_FROM", "VECTOR_INDEX", "SearchIndexes", "index_expression"]

#: From so many vectors on there is an HNSW index; up to there all are compared.
HNSW_FROM = 20_000

VECTOR_INDEX = "vectors_nearest"

#: Count words again once so much has changed, at least, and as a share of what there is; and at the end of a run.
_COUNT_AT_LEAST, _COUNT_AT_SHARE = 5_000, 0.05
_AT_THE_END_AT_LEAST, _AT_THE_END_SHARE = 100, 0.001

# How long a merge waits for long-running readers and writers, in milliseconds.
_BUILD_LOCK_TIMEOUT = 600_000


def index_expression(kind: str, dimension: int, quantization: str) -> str:
    """Return what the HNSW index is over: the vectors, or one bit for each of their numbers."""
    if quantization == "binary":
        return f"(binary_quantize(vector)::bit({dimension})) bit_hamming_ops"
    return f"vector {kind}_ip_ops"


class SearchIndexes:
    """Keeps the search indexes of an index up to date; one process at a time, while others read and write."""

    def __init__(self, store: PgStoreWriter, address: PgAddress, config: PostgresConfig) -> None:
        self._store = store
        self._address = address
        self._config = config

    def unmerged(self) -> int:
        """Return how many articles were written since words were counted."""
        counted = self._counted()
        return int(self._store.query("SELECT count(*) FROM words WHERE change > %s", [counted.change])[0][0])

    def update_if_due(self, *, last: bool = False) -> bool:
        """Update if so much is unmerged that searches would feel it, and tell whether that was so.

        With `last`, at the end of a run, less is enough.
        """
        least, share = (_AT_THE_END_AT_LEAST, _AT_THE_END_SHARE) if last else (_COUNT_AT_LEAST, _COUNT_AT_SHARE)
        if self.unmerged() < max(least, share * self._counted().articles):
            return False
        self.update()
        return True

    def update(self, *, rebuild: bool = False) -> None:
        """Count words, make the vector index if there are enough vectors, and let the planner look at the tables."""
        with refusals(self._address.name), connect(self._address, self._config, writable=True) as connection:
            key = f"search indexes {self._address.schema}"
            row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [key]).fetchone()
            if not (row and row[0]):
                return  # Another process is at it, with much the same result.
            connection.execute(f"SET lock_timeout = {_BUILD_LOCK_TIMEOUT}")
            self._count_words(rebuild=rebuild)
            if rebuild:
                connection.execute(f"DROP INDEX IF EXISTS {VECTOR_INDEX}")
            self._build(connection)
            for table in ("articles", "words", "vectors"):
                connection.execute(f"ANALYZE {table}")

    def _counted(self) -> WordStatistics:
        return msgspec.json.decode(self._store.settings().get("words", "{}"), type=WordStatistics)

    def _count_words(self, *, rebuild: bool) -> None:
        """Add the words of new articles to the counts; count all where much was replaced or deleted since."""
        known = self._counted()

        def work(change: int) -> None:
            query = self._store.query
            number, *tokens = query(f"SELECT count(*), {TOKEN_SUMS} FROM words")[0]
            (added,) = query("SELECT count(*) FROM words WHERE change > %s", [known.change])[0]
            since = known.change
            if rebuild or not known.change or known.articles + added > 1.05 * number + 100:
                query("DELETE FROM word_counts")
                since = 0
            query(
                "INSERT INTO word_counts SELECT word, ndoc FROM "
                f"ts_stat('SELECT words FROM words WHERE change > {int(since)}') ON CONFLICT (word) DO UPDATE "
                "SET articles = word_counts.articles + excluded.articles"
            )
            if since:
                more = query(f"SELECT {TOKEN_SUMS} FROM words WHERE change > %s", [since])[0]
                number = known.articles + added
                tokens = [before + new for before, new in zip(known.tokens, more, strict=True)]
            counted = WordStatistics(change=change, articles=number, tokens=tuple(tokens))
            self._store.put_setting("words", msgspec.json.encode(counted).decode())
            manifest = self._store.manifest()
            self._store.put_manifest(msgspec.structs.replace(manifest, generation=manifest.generation + 1))

        self._store.transact(work)

    def _build(self, connection: Connection) -> None:
        """Make the HNSW index while others continue; one that was not finished is made again."""
        valid = connection.execute(
            "SELECT i.indisvalid FROM pg_index AS i WHERE i.indexrelid = to_regclass(%s)", [VECTOR_INDEX]
        ).fetchone()
        if valid and valid[0]:
            return
        if valid:
            connection.execute(f"DROP INDEX {VECTOR_INDEX}")
        count = self._store.counts()["vectors"]
        if count < HNSW_FROM:
            return
        settings = self._store.settings()
        expression = index_expression(
            self._store.vector_type, int(settings["dimension"]), settings.get("quantization", "none")
        )
        try:
            connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", [self._config.build_memory])
        except psycopg.errors.InvalidParameterValue as error:
            raise ConfigError(f"`postgres: build_memory`: {error.diag.message_primary}") from error
        connection.execute(
            f"CREATE INDEX CONCURRENTLY {VECTOR_INDEX} ON vectors USING hnsw ({expression}) "
            "WITH (m = 16, ef_construction = 64)"
        )
