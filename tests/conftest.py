"""Fixtures that every test may use."""

import os
import shutil
from pathlib import Path

import pytest
from helpers import WordEncoder, wipe, words_manifest
from postgres_server import new_address, running_server

from search.storage import backend

SAMPLE = Path(__file__).parents[1] / "search" / "sample"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SEARCH_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real data (../shared/data) is not here")
    return folder


@pytest.fixture(scope="session")
def encoder() -> WordEncoder:
    """A small deterministic encoder for what is not about encoding."""
    return WordEncoder()


@pytest.fixture
def folder(tmp_path, encoder) -> Path:
    """An empty index for the vectors of `encoder`, in a folder."""
    path = tmp_path / "index"
    backend.create(path, words_manifest(encoder))
    return path


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server, started when it is first needed and stopped at the end."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["folder", "postgres"])
def new_index(request, tmp_path_factory):
    """A function that gives the address of a place for an index, in a folder and then again in PostgreSQL."""
    if request.param == "folder":
        return lambda: tmp_path_factory.mktemp("index") / "index"
    server = request.getfixturevalue("postgres_server")
    return lambda: new_address(server)


@pytest.fixture
def address(new_index, encoder):
    """An empty index for the vectors of `encoder`: each test runs on a folder, and again on PostgreSQL."""
    found = new_index()
    backend.create(found, words_manifest(encoder))
    return found


@pytest.fixture
def stored(address):
    """The store of an empty index, open for writing."""
    writer = backend.open_writer(address)
    yield writer.store
    writer.close()


@pytest.fixture
def empty_store(stored):
    """A function that gives the store of an index with nothing in it, as often as it is called."""

    def _empty():
        wipe(stored)
        return stored

    return _empty


@pytest.fixture(scope="session")
def built_demo(tmp_path_factory) -> Path:
    """An index of the sample records, made with the built-in model. Not to be written to: use `demo`."""
    from search import Index

    path = tmp_path_factory.mktemp("demo") / "index"
    with Index.create(path, model="builtin") as index:
        index.add(SAMPLE)
        index.merge()
    return path


@pytest.fixture
def demo(built_demo, tmp_path) -> Path:
    """A copy of the demo index that a test may write to."""
    return Path(shutil.copytree(built_demo, tmp_path / "demo"))
