"""Fixtures that every test may use."""

import os
import shutil
from pathlib import Path

import pytest
from helpers import WordEncoder

from search.article import TEXT_RULE
from search.index import Manifest, create_folder

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
    """An empty index for the vectors of `encoder`."""
    path = tmp_path / "index"
    manifest = Manifest(
        model="words", fingerprint="words", dimension=encoder.dimension, text_rule=TEXT_RULE, vectors="float16"
    )
    create_folder(path, manifest)
    return path


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
