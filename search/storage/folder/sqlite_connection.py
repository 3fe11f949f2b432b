"""Open articles.db, and turn SQLite's errors into ours."""

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
    try:
        return open_read_only(path)
    except sqlite3.OperationalError as error:
        if path.exists() and not os.access(path, os.R_OK):
            raise StoreError(f"{path}: permission denied; its owner can let others read it") from error
        if error_code(error) not in (_READONLY, _CANTOPEN) or not path.exists():
            raise
        _check_nothing_is_hidden(path)
        # A medium that cannot be written needs no locks: nobody writes it.
        return open_read_only(path, "&immutable=1")


def open_read_only(path: Path, options: str = "") -> sqlite3.Connection:
    """Open a database for reading, and look into it. Raises sqlite3.Error."""
    uri = f"{path.resolve().as_uri()}?mode=ro{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _check_nothing_is_hidden(path: Path) -> None:
    """Raise StoreError unless a database that has no -shm file can be read without one.

    Commits may be in the write-ahead log, or somebody may write while it is read: neither would be seen.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(
            f"{log} holds commits that cannot be read without {path.name}-shm, which is missing and cannot be made "
            "here; copy both files too, or open the index once where it can be written"
        )
    if not is_read_only_medium(path.parent):
        raise StoreError(
            f"{path.name}-shm is missing in {path.parent} and this user may not make it; any command that writes, "
            "such as `search merge`, makes it when the owner of the index runs it"
        )


def is_read_only_medium(folder: Path) -> bool:
    """Whether nobody can write a folder through this mount."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code: the last byte says what went wrong, what stands before it the details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


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
_READONLY, _CANTOPEN = 8, 14
_DAMAGED = "the file is damaged, restore it from a copy"
#: By SQLite's primary result codes (`sqlite3.SQLITE_BUSY` and so on, which Python 3.10 does not name).
_ADVICE = {
    5: _TRY_AGAIN,
    6: _TRY_AGAIN,
    _READONLY: "check that the file and its folder can be written",
    10: "check the disk, then run the same command again, what was committed is kept",
    11: _DAMAGED,
    13: "free some space and run the same command again, what was committed is kept",
    _CANTOPEN: "check that the file and its folder can be read and written",
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
        advice = _ADVICE.get(error_code(error))
        raise StoreError(f"{path}: {error}{f'; {advice}' if advice else ''}") from error
