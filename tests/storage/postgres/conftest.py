"""Indexes in PostgreSQL only."""

import pytest
from helpers import words_manifest
from postgres_server import new_address

from search.storage import backend


@pytest.fixture
def address(postgres_server, encoder):
    """An empty index for the vectors of `encoder`, in PostgreSQL."""
    found = new_address(postgres_server)
    backend.create(found, words_manifest(encoder))
    return found
