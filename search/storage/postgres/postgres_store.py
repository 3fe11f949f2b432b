"""Reading the tables: articles, vectors, the ledger, and what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from search.article import Article
from search.storage.folder.sqlite_conditions import Conditions
from search.storage.postgres.packing import TYPES, unpack_vectors
from search.storage.postgres.postgres_conditions import PgConditions
from search.storage.postgres.postgres_connection import Connection
from search.storage.rows import Pmids, Vectors, unpack

__all__ = ["PgStoreReader"]

_STREAMED = 2_000
_names = count()


class PgStoreReader:
    """Articles and vectors as a connection sees them: as of the last commit, or as of its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._settings: dict[str, str] | None = None

    @property
    def conditions(self) -> Conditions:
        """What filters are made of, in this store's SQL."""
        return PgConditions(self.query)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query in PostgreSQL's SQL; `%s` stands for a parameter."""
        cursor = self._connection.execute(sql, parameters or None, binary=True)
        return list(cursor.fetchall()) if cursor.description else []

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query of the ledger's; `?` stands for a parameter."""
        return self.query(sql.replace("?", "%s"), parameters)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Return the one number that a query of the ledger's gives; 0 for none."""
        rows = self.rows(sql, parameters)
        return int(rows[0][0] or 0) if rows else 0

    def stream(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Any]:
        """Yield the rows of a query in bounded memory; within a transaction."""
        with self._connection.cursor(f"search_{next(_names)}", binary=True) as cursor:
            cursor.itersize = _STREAMED
            cursor.execute(sql, parameters or None)
            yield from cursor

    def has_table(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return bool(self.query("SELECT to_regclass(%s) IS NOT NULL", [name])[0][0])

    def settings(self) -> dict[str, str]:
        """Return what the store was made with, and what the ledger has set."""
        return dict(self.query("SELECT key, value FROM settings"))

    def change(self) -> int:
        """Return the number of the last change."""
        return self.one("SELECT change FROM counter")

    def counts(self) -> dict[str, int]:
        """Return how many articles, vectors, stale articles and tombstones there are."""
        row = self.query(
            "SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM vectors), "
            "(SELECT count(*) FROM articles WHERE stale), (SELECT count(*) FROM tombstones WHERE sequence >= 0)"
        )[0]
        return dict(zip(("articles", "vectors", "stale", "deleted"), map(int, row), strict=True))

    # Articles --------------------------------------------------------------------------------------------------------

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None."""
        return self.get_many([pmid]).get(pmid)

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return the articles with these PMIDs, by PMID; what is not there is left out."""
        rows = self.query("SELECT pmid, document FROM documents WHERE pmid = ANY(%s)", [_bigints(pmids)])
        return {pmid: unpack(document) for pmid, document in rows}

    def articles(self) -> Iterator[Article]:
        """Yield every article in order of PMID, in bounded memory."""
        for (document,) in self.stream("SELECT document FROM documents ORDER BY pmid"):
            yield unpack(document)

    def pmids(self) -> Pmids:
        """Return the PMIDs of all articles, ascending."""
        return self._numbers("SELECT pmid FROM articles ORDER BY pmid")

    def select_pmids(self, condition: str, parameters: Sequence[object]) -> Pmids:
        """Return the PMIDs, ascending, of the articles for whose row `a` a condition in SQL holds."""
        return self._numbers(f"SELECT a.pmid FROM articles AS a WHERE {condition} ORDER BY a.pmid", parameters)

    def existing(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the PMIDs that there is an article for."""
        return {pmid for (pmid,) in self.query("SELECT pmid FROM articles WHERE pmid = ANY(%s)", [_bigints(pmids)])}

    def added_dates(self, pmids: Iterable[int]) -> dict[int, int]:
        """Return when each of these articles was first added, as yyyymmdd."""
        return dict(self.query("SELECT pmid, added FROM articles WHERE pmid = ANY(%s)", [_bigints(pmids)]))

    def changed_since(self, change: int) -> Pmids:
        """Return the PMIDs, ascending, that were written or deleted after a change number."""
        return self._numbers(
            "SELECT pmid FROM articles WHERE change > %s UNION SELECT pmid FROM vectors WHERE change > %s "
            "UNION SELECT pmid FROM tombstones WHERE change > %s ORDER BY 1",
            [change] * 3,
        )

    def stale(self, limit: int, *, after: int = 0) -> list[Article]:
        """Return up to `limit` articles after a PMID, in order, whose vector is missing or of another text."""
        # Chosen before they are joined: the documents would else be read from their beginning.
        rows = self.query(
            "SELECT d.document FROM (SELECT pmid FROM articles WHERE stale AND pmid > %s ORDER BY pmid LIMIT %s) AS a "
            "JOIN documents AS d ON d.pmid = a.pmid ORDER BY a.pmid",
            [after, limit],
        )
        return [unpack(document) for (document,) in rows]

    def files(self) -> list[dict[str, object]]:
        """Return the ledger: the files read, in the order they were begun."""
        names = ("name", "sha256", "complete", "started", "finished", "counts", "error")
        rows = self.query(f"SELECT {', '.join(names)} FROM files ORDER BY id")
        return [dict(zip(names, row, strict=True)) for row in rows]

    # Vectors ---------------------------------------------------------------------------------------------------------

    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""
        return self._matrix(
            self.query(f"SELECT pmid, {self._sent} FROM vectors WHERE pmid = ANY(%s)", [_bigints(pmids)])
        )

    def vector_batches(self, size: int = 4_096) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield all vectors in order of PMID, `size` at a time."""
        after = 0
        while rows := self.query(
            f"SELECT pmid, {self._sent} FROM vectors WHERE pmid > %s ORDER BY pmid LIMIT %s", [after, size]
        ):
            after = rows[-1][0]
            yield self._matrix(rows)

    def document_rows(self) -> Iterator[tuple[int, bytes, bytes, bytes | None, bool]]:
        """Yield PMID, stored document, hash of the text, hash of the vector's text, and whether it is stale."""
        yield from self.stream(
            "SELECT a.pmid, d.document, a.text_hash, v.text_hash, a.stale FROM articles AS a "
            "JOIN documents AS d ON d.pmid = a.pmid LEFT JOIN vectors AS v ON v.pmid = a.pmid ORDER BY a.pmid"
        )

    @property
    def dimension(self) -> int:
        """The dimension of the vectors."""
        return int(self._fixed()["dimension"])

    @property
    def vector_type(self) -> str:
        """The type of the vectors in SQL: `halfvec` or `vector`."""
        return TYPES[self._fixed()["vectors"]][0]

    @property
    def _sent(self) -> str:
        return f"{self.vector_type}_send(vector)"

    def _fixed(self) -> dict[str, str]:
        """Return the settings, read once: the two that matter are never changed once an index is made."""
        if self._settings is None or "dimension" not in self._settings:
            self._settings = self.settings()
        return self._settings

    def _matrix(self, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        pmids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return pmids, unpack_vectors([row[1] for row in rows], self._fixed()["vectors"], self.dimension)

    def _numbers(self, sql: str, parameters: Sequence[object] = ()) -> Pmids:
        return np.array([number for (number,) in self.query(sql, parameters)], np.int64)


def _bigints(pmids: Iterable[int]) -> list[int]:
    return [int(pmid) for pmid in pmids]
