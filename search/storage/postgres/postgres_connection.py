"""Connect to PostgreSQL, turn its errors into ours, and repeat what may succeed when it is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout
from tenacity import Retrying, retry_if_exception, stop_before_delay, wait_random_exponential

from search.config import PostgresConfig
from search.errors import IndexFolderError, StoreError
from search.storage.postgres.address import PgAddress
from search.time_limit import check_time

__all__ = [
    "Connection",
    "await_replica",
    "connect",
    "is_lost",
    "may_try_again",
    "open_pool",
    "patiently",
    "refusals",
]

Connection: TypeAlias = psycopg.Connection[TupleRow]

_Result = TypeVar("_Result")

#: The first wait before something is tried again, in seconds; each further one is twice as long, up to the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0

#: What a search may take of the server's memory at the least for each of its steps.
_WORK_MEMORY = "32MB"

#: What the server says while it starts, stops, or takes no more connections for now.
_SERVER_AWAY = {"57P01", "57P02", "57P03", "53300"}

_ONLY_READS = (
    "what answers is a replica, which only reads; bring the primary back or promote the replica "
    "(`SELECT pg_promote()`), and run the same command again"
)

#: What libpq, which has no code for it, says of a connection that the server refuses, and of a replica that only reads.
_REFUSED = ("authentication failed", "does not exist")
_READ_ONLY = "session is read-only"

_ADVICE = {
    "53100": "free some space on the server and run the same command again, what was committed is kept",
    "53300": "close some connections, or raise max_connections on the server",
    "28P01": "check user and password; a password is best kept in ~/.pgpass",
    "28000": "check user and pg_hba.conf",
    "42501": "the user lacks a privilege; the owner of the database can grant it",
    "25006": "this server only reads (a replica); write to the primary",
    "40001": "run it again; if a replica keeps giving up long searches, set hot_standby_feedback = on there",
    "55P03": "another process has been writing or merging for too long, try again",
    "57014": "the server's time limit for a statement (statement_timeout) is too short for this",
    "42P01": "a table is missing: restore the database from a copy",
}


def connect(address: PgAddress, config: PostgresConfig, *, writable: bool) -> Connection:
    """Open a connection. Raises psycopg.Error; wrap it in `refusals`.

    Where the address names several hosts, one that is being written to is found for writing, a replica for reading.
    """
    connection = psycopg.connect(address.conninfo, **_options(config, writable=writable))
    try:
        _configure(connection, address, writable=writable)
    except BaseException:
        connection.close()
        raise
    return connection


def open_pool(address: PgAddress, config: PostgresConfig) -> ConnectionPool[Connection]:
    """Return a pool of reading connections, each looked after before it is given out."""
    return ConnectionPool(
        address.conninfo,
        kwargs=_options(config, writable=False),
        min_size=0,
        max_size=config.connections,
        timeout=config.timeout,
        configure=lambda connection: _configure(connection, address, writable=False),
        check=ConnectionPool.check_connection,
        reconnect_timeout=config.timeout,
        open=True,
        num_workers=1,
        name=f"search {address.schema}",
    )


def await_replica(address: PgAddress, config: PostgresConfig, change: int) -> None:
    """Wait until what is read from has a change, where the address has replicas: they are behind by moments.

    So a program finds what it has written. A replica that is far behind is waited for no longer than for a connection.
    """
    deadline = time.monotonic() + config.timeout
    while address.several and time.monotonic() < deadline:
        with suppress(psycopg.Error), connect(address, config, writable=False) as connection:
            while time.monotonic() < deadline:
                row = connection.execute("SELECT change FROM counter").fetchone()
                if row and row[0] >= change:
                    return
                time.sleep(_FIRST_WAIT)
        time.sleep(_FIRST_WAIT)


def _options(config: PostgresConfig, *, writable: bool) -> dict[str, Any]:
    return {
        "autocommit": True,
        # A plan is made for the values at hand: what a filter passes decides how to search.
        "prepare_threshold": None,
        "connect_timeout": max(2, int(config.timeout)),
        "application_name": "search",
        "target_session_attrs": "read-write" if writable else "prefer-standby",
        "keepalives_idle": 30,
    }


def _configure(connection: Connection, address: PgAddress, *, writable: bool) -> None:
    row = connection.execute(
        "SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'vector'"
    ).fetchone()
    path = ", ".join(f'"{name}"' for name in dict.fromkeys([address.schema, row[0] if row else "public"]))
    connection.execute(f"SET search_path TO {path}")
    connection.execute("SET jit = off")
    connection.execute("SET client_min_messages = warning")
    if not writable:
        # Less of it is too little to note which rows of a million a word or a filter finds, and not only their pages.
        connection.execute(
            "SELECT set_config('work_mem', %s, false) WHERE pg_size_bytes(current_setting('work_mem')) < "
            "pg_size_bytes(%s)",
            [_WORK_MEMORY] * 2,
        )
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, or the server is."""
    if isinstance(error, errors.QueryCanceled):
        return False
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        state = error.sqlstate
        return state is None or state.startswith("08") or state in _SERVER_AWAY
    return False


def may_try_again(error: BaseException) -> bool:
    """Whether the same work may succeed when it is repeated: a lost connection, or two that blocked each other.

    What no waiting mends (a wrong password, a database that does not exist) is reported at once.
    """
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return True
    return is_lost(error) and not any(text in str(error) for text in _REFUSED)


def patiently(work: Callable[[], _Result], seconds: float) -> _Result:
    """Return what some work returns; repeat it for so many seconds while that may help."""
    retrying = Retrying(
        retry=retry_if_exception(may_try_again),
        stop=stop_before_delay(seconds),
        wait=wait_random_exponential(_FIRST_WAIT, _LONGEST_WAIT),
        reraise=True,
    )
    return retrying(work)


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Turn PostgreSQL's errors into ours, with the index's address and, where there is something to do, what."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreError(
            f"{name}: {' '.join(str(error).split())}; either all connections of this program are in use (raise "
            "`postgres: connections` in the config), or the server cannot be reached"
        ) from error
    except PoolClosed as error:
        raise StoreError(f"{name} is closed") from error
    except psycopg.Error as error:
        if isinstance(error, errors.QueryCanceled):
            check_time()
        # libpq says of a host that cannot be reached the same for each of its addresses.
        text = error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
        state = error.sqlstate or ""
        if state == "3D000" or (not state and _REFUSED[1] in text):
            raise IndexFolderError(f"{name}: {text}; make it with `createdb`, or correct the address") from error
        advice = _ADVICE.get(state)
        if _READ_ONLY in str(error):
            advice = _ONLY_READS
        if advice is None and is_lost(error):
            advice = "the server cannot be reached or went away; run the same command again, what was committed is kept"
        raise StoreError(f"{name}: {text}{'; ' + advice if advice else ''}") from error
