"""Opening articles.db, and SQLite's refusals in words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.errors import StoreError
from search.time_limit import check_time, has_run_out

__all__ = ["Rows", "connect", "refusals"]

#: How long a statement waits for a writer of another process, in seconds.
BUSY_SECONDS = 30.0

#: So much of the file is mapped into memory, and counted as memory of the process once it was read; the rest is read
#: through the system's cache, which takes a tenth longer.
_MAPPED_BYTES = 256 << 20

#: Steps of SQLite's between two looks at the time: some tenths of a millisecond.
_STEPS_BETWEEN_LOOKS = 20_000

# Rows that are taken from SQLite at once where they are gone through one by one.
_AT_ONCE = 256


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a database for reading, or for writing and creating.

    Raises StoreError if SQLite cannot open it.
    """
    with refusals(path):
        if writable:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            # FULL, not NORMAL: what was reported as committed is there after a power cut too.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        else:
            connection = _connect_for_reading(path)
            connection.set_progress_handler(has_run_out, _STEPS_BETWEEN_LOOKS)
        connection.execute("PRAGMA temp_store = MEMORY")
        # The file may come from elsewhere: nothing in its schema is to be run.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
    return connection


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(
        f"{uri}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A WAL database on a medium that cannot be written needs no lock: nobody writes it.
        connection.close()
        if os.access(path.parent, os.W_OK):
            raise
        connection = sqlite3.connect(
            f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    return connection


class Rows(sqlite3.Cursor):
    """The rows of a query; what SQLite refuses on the way, in a damaged file say, is StoreError too."""

    path = Path()

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        with refusals(self.path):
            return super().fetchone()

    def fetchmany(self, size: int | None = _AT_ONCE) -> list[Any]:
        """Return the next rows, `size` at the most."""
        with refusals(self.path):
            return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        with refusals(self.path):
            return super().fetchall()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the rows, taken several at once."""
        while rows := self.fetchmany():
            yield from rows


_TRY_AGAIN = f"another process has been writing for over {BUSY_SECONDS:.0f} s, try again"
_DAMAGED = "the file is damaged, restore it from a copy"
#: By SQLite's primary result codes (`sqlite3.SQLITE_BUSY` and so on, which Python 3.10 does not name).
_ADVICE = {
    5: _TRY_AGAIN,
    6: _TRY_AGAIN,
    8: "check that the file and its folder can be written",
    10: "check the disk, then run the same command again, what was committed is kept",
    11: _DAMAGED,
    13: "free some space and run the same command again, what was committed is kept",
    14: "check that the file and its folder can be read and written",
    26: _DAMAGED,
}


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreError with the file's name and, where there is something to do, what."""
    try:
        yield
    except UnicodeDecodeError as error:
        # SQLite quotes what it read in a damaged file.
        raise StoreError(f"{path} is damaged, restore it from a copy") from error
    except sqlite3.Error as error:
        check_time()
        # The last byte is the kind of error, what stands before it the details.
        advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        raise StoreError(f"{path}: {error}{f'; {advice}' if advice else ''}") from error
