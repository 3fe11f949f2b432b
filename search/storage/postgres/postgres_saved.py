"""Saved searches in a table."""

from __future__ import annotations

from typing import Any

from search.config import PostgresConfig
from search.storage.postgres.address import PgAddress
from search.storage.postgres.postgres_connection import connect, patiently, refusals

__all__ = ["SavedTable"]


class SavedTable:
    """The table `saved`; each access opens its own connection, since there are few."""

    def __init__(self, address: PgAddress, config: PostgresConfig) -> None:
        self._address = address
        self._config = config

    def names(self) -> list[str]:
        """Return their names in order."""
        return sorted(str(row[0]) for row in self._run("SELECT name FROM saved", []))

    def read(self, name: str) -> bytes:
        """Return one. Raises FileNotFoundError if it is not there."""
        rows = self._run("SELECT content FROM saved WHERE name = %s", [name])
        if not rows:
            raise FileNotFoundError(name)
        return bytes(rows[0][0])

    def delete(self, name: str) -> None:
        """Delete one. Raises FileNotFoundError if it is not there."""
        if not self._run("DELETE FROM saved WHERE name = %s RETURNING 1", [name], writable=True):
            raise FileNotFoundError(name)

    def write(self, name: str, content: bytes) -> None:
        """Replace one."""
        self._run(
            "INSERT INTO saved VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET content = excluded.content RETURNING 1",
            [name, content],
            writable=True,
        )

    def _run(self, sql: str, parameters: list[object], *, writable: bool = False) -> list[tuple[Any, ...]]:
        def work() -> list[tuple[Any, ...]]:
            with connect(self._address, self._config, writable=writable) as connection:
                return connection.execute(sql, parameters, binary=True).fetchall()

        with refusals(self._address.name):
            return patiently(work, self._config.timeout)
