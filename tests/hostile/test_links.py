"""Links in an index folder from elsewhere: writing it, or repairing it, overwrites nothing that they lead to."""

import os

import pytest
from helpers import article, put

from search.api import Index
from search.errors import IndexFolderError, QueryError
from search.retrieval.filters import Filters
from search.retrieval.saved_searches import SavedSearch, write_saved
from search.storage.folder.saved_files import SavedFolder


@pytest.fixture
def whole(folder, encoder):
    put(folder, encoder, article(1, "one"), merge=True)
    return folder


@pytest.mark.parametrize(
    "name",
    ["writer.lock", "manifest.json.new", "vectors-2.faiss", "vectors-2.faiss.new", "articles.db-wal", "lexical-2",
     "downloads/pubmed26n0001.xml.gz.part"],
)  # fmt: skip
def test_a_link_is_not_written_through(whole, encoder, tmp_path, name):
    precious = tmp_path / "precious"
    precious.write_text("of the user")
    (whole / name).unlink(missing_ok=True)
    (whole / name).parent.mkdir(exist_ok=True)
    (whole / name).symlink_to(precious)
    for write in (lambda: Index.repair(whole), lambda: put(whole, encoder, article(2, "two"))):
        with pytest.raises(IndexFolderError, match="is a symbolic link"):
            write()
    assert precious.read_text() == "of the user"


def test_a_saved_search_is_not_written_through_a_link(whole, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (whole / "saved").symlink_to(elsewhere)
    saved = SavedSearch(name="mine", question="x", mode="semantic", limit=3, filters=Filters())
    with pytest.raises(QueryError, match="is a symbolic link"):
        write_saved(SavedFolder(whole), saved)
    assert list(elsewhere.iterdir()) == []


def test_the_whole_index_may_be_a_link(whole, encoder, tmp_path):
    (tmp_path / "link").symlink_to(whole)
    put(tmp_path / "link", encoder, article(2, "two"))
    with Index.open(tmp_path / "link") as index:
        assert index.status().articles == 2


def test_a_pipe_in_place_of_the_manifest_is_not_waited_for(whole):
    (whole / "manifest.json").unlink()
    os.mkfifo(whole / "manifest.json")
    with pytest.raises(IndexFolderError, match="is not a file"):
        Index.open(whole)
