"""A saved search is never lost by saving another: its runs stay, and it is deleted and renamed on purpose only."""

import os
import stat

import pytest
from helpers import article, put

from search.api import Index
from search.errors import NotFoundError, QueryError
from search.retrieval.filters import Filters


@pytest.fixture
def index(address, encoder):
    put(address, encoder, *[article(pmid, f"word{pmid} text") for pmid in range(1, 6)])
    with Index.open(address) as opened:
        opened._encoder = encoder
        yield opened


def test_another_search_is_not_overwritten(index):
    index.save_search("mine", "word1", 3)
    for question, limit, filters in (("word2", 3, None), ("word1", 4, None), ("word1", 3, Filters(not_retracted=True))):
        with pytest.raises(QueryError, match=r"another search is saved as 'mine' \('word1', run 1 times\)"):
            index.save_search("mine", question, limit, filters=filters)
    assert index.saved_search("mine").question == "word1"
    index.save_search("mine", "word2", 3, replace=True)
    assert (index.saved_search("mine").question, len(index.saved_search("mine").runs)) == ("word2", 1)


def test_the_same_search_saved_again_keeps_its_runs(index):
    for _ in range(3):
        index.save_search("mine", "word1", 3)
    index.new_results("mine")
    assert len(index.saved_search("mine").runs) == 4


def test_a_saved_search_is_renamed_with_its_runs_and_deleted(index):
    index.save_search("mine", "word1", 3)
    index.save_search("other", "word2", 3)
    index.new_results("mine")
    with pytest.raises(QueryError, match="a search is saved as 'other' already"):
        index.rename_saved("mine", "other")
    index.rename_saved("mine", "yours")
    assert [(saved.name, len(saved.runs)) for saved in index.saved_searches()] == [("other", 1), ("yours", 2)]
    index.delete_saved("other")
    assert [saved.name for saved in index.saved_searches()] == ["yours"]
    for change in (lambda: index.delete_saved("other"), lambda: index.rename_saved("other", "more")):
        with pytest.raises(NotFoundError, match="there is no saved search 'other'; there are: yours"):
            change()


def test_only_who_saved_a_search_may_read_it(folder, encoder):
    before = os.umask(0o022)
    try:
        with Index.open(folder) as opened:
            opened._encoder = encoder
            opened.save_search("mine", "word1", 3)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "saved" / "mine.json").stat().st_mode) == 0o600


def test_a_pmid_that_is_not_there_leaves_no_trace_when_it_is_deleted(index, encoder):
    assert index.delete([1, 77]) == 1
    assert index.status().deleted == 1
    put(index.address, encoder, article(77, "word77 text"), article(1, "word1 text"))
    assert index.get(77) is not None and index.get(1) is None
