"""Reading the tables: how PostgreSQL runs the common SQL, and its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, ClassVar

import msgspec
import numpy as np

from search.models.static_vectors import static_dimension
from search.models.vectors import normalize
from search.storage.conditions import Conditions
from search.storage.manifest import Manifest
from search.storage.postgres.packing import TYPES, unpack_vectors
from search.storage.postgres.postgres_conditions import PgConditions, clean
from search.storage.postgres.postgres_connection import Connection
from search.storage.rows import CHECKED_COLUMNS, Pmids, StoredRow, Vectors
from search.storage.store import UNIT, Store

__all__ = ["PgStoreReader"]

_STREAMED = 2_000
_STORED = (
    f"SELECT a.pmid, d.document, a.text_hash, a.record_hash, j.keys, v.text_hash, a.stale, a.terms, a.major, "
    f"{', '.join(CHECKED_COLUMNS)} FROM articles AS a LEFT JOIN documents AS d ON d.pmid = a.pmid "
    "LEFT JOIN vectors AS v ON v.pmid = a.pmid LEFT JOIN journals AS j ON j.id = a.journal ORDER BY a.pmid"
)
_names = count()


class PgStoreReader(Store):
    """Articles and vectors as a connection sees them: as of the last commit, or as of its transaction."""

    AMONG: ClassVar[str] = "= ANY(?::bigint[])"
    BYTES: ClassVar[str] = "bytea"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._settings: dict[str, str] = {}
        self.damaged = set()

    @property
    def conditions(self) -> Conditions:
        """What filters are made of, in this store's SQL."""
        return PgConditions(self.query)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query in PostgreSQL's SQL; `%s` stands for a parameter."""
        cursor = self._connection.execute(sql, parameters or None, binary=True)
        return list(cursor.fetchall()) if cursor.description else []

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return the rows of a query in the SQL that both databases understand; `?` stands for a parameter."""
        return self.query(sql.replace("?", "%s"), storable(parameters))

    def stream(self, sql: str) -> Iterator[Any]:
        """Yield the rows of a query in bounded memory; within a transaction."""
        with self._connection.cursor(f"search_{next(_names)}", binary=True) as cursor:
            cursor.itersize = _STREAMED
            cursor.execute(sql)
            yield from cursor

    def listed(self, numbers: Iterable[int]) -> list[int]:
        """Return numbers as a list."""
        return [int(number) for number in numbers]

    def has_table(self, name: str) -> bool:
        """Whether there is a table of this name."""
        return bool(self.query("SELECT to_regclass(%s) IS NOT NULL", [name])[0][0])

    def manifest(self) -> Manifest:
        """Return what the index is."""
        return msgspec.json.decode(self.settings()["manifest"], type=Manifest)

    # Vectors ----------------------------------------------------------------------------------------------------------

    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""
        return self._matrix(list(self._of(pmids, f"SELECT pmid, {self._sent} FROM vectors WHERE pmid")))

    def static_vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the static vectors of these PMIDs: (n,) int64 and (n, dimension) float32, unit rows or zeros."""
        rows = list(self._of(pmids, "SELECT pmid, halfvec_send(vector) FROM static_vectors WHERE pmid"))
        stored = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        codes = unpack_vectors([row[1] for row in rows], "float16", static_dimension(self.dimension))
        return stored, normalize(codes)

    def without_static(self) -> list[int]:
        """Return the PMIDs of the articles that have no static vector, or one that is not of the right length."""
        # The column's type has the length.
        rows = self.query(
            "SELECT a.pmid FROM articles AS a LEFT JOIN static_vectors AS s ON s.pmid = a.pmid "
            "WHERE s.pmid IS NULL ORDER BY a.pmid"
        )
        return [pmid for (pmid,) in rows]

    def vector_batches(self, size: int = 4_096) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield all vectors in order of PMID, `size` at a time."""
        after = 0
        while rows := self.query(
            f"SELECT pmid, {self._sent} FROM vectors WHERE pmid > %s ORDER BY pmid LIMIT %s", [after, size]
        ):
            after = rows[-1][0]
            yield self._matrix(rows)

    def _damaged_vectors(self, pmids: Iterable[int]) -> set[int]:
        there, vectors = self.vectors(pmids)
        return set(there[~(np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT)].tolist())

    def stored_rows(self) -> Iterator[StoredRow]:
        """Yield all that is stored of each article, in order of PMID; within a transaction."""
        for row in self.stream(_STORED):
            major = set(row[8])
            yield StoredRow._make([*row[:7], tuple(row[9:]), {(number, number in major) for number in row[7]}])

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
        """Return the settings, read once: those of the vectors never change once an index is made."""
        if "dimension" not in self._settings:
            self._settings = self.settings()
        return self._settings

    def _matrix(self, rows: list[tuple[int, bytes]]) -> tuple[Pmids, Vectors]:
        pmids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return pmids, unpack_vectors([row[1] for row in rows], self._fixed()["vectors"], self.dimension)


def storable(parameters: Sequence[object]) -> list[object]:
    """Return parameters as PostgreSQL can store them: it has no NUL character."""
    return [clean(value) if isinstance(value, str) else value for value in parameters]
