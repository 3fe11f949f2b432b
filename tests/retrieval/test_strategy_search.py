"""A strategy selects, and a question, a date or nothing puts the selection in order."""

from contextlib import closing

import pytest
from helpers import article, put

from search.article import PartialDate
from search.errors import QueryError
from search.retrieval.engine import Engine
from search.retrieval.filters import And, Filters, Term, filters_from_dict, filters_to_dict
from search.retrieval.request import SearchOptions
from search.storage import backend

ARTICLES = [
    article(1, "aspirin for hearts", "trial of pain", publication_date=PartialDate(year=2001)),
    article(2, "aspirin for heads", "pain", publication_date=PartialDate(year=2003)),
    article(3, "ibuprofen for heads", "trial of pain", publication_date=PartialDate(year=2002)),
    article(4, "hearts and pain", "trial", publication_date=PartialDate(year=2004)),
]


@pytest.fixture
def engine(address, encoder):
    put(address, encoder, *ARTICLES[:3], merge=True)
    put(address, encoder, ARTICLES[3])
    with closing(backend.open_reader(address)) as reader:
        yield Engine(reader, encoder.encode)


def found(engine, question, mode="semantic", **filters):
    options = SearchOptions(mode=mode, filters=Filters(**filters))
    return [hit.pmid for hit in engine.search([question], options)[0]]


def test_a_question_orders_what_a_strategy_selects(engine):
    strategy = "trial[tiab] OR ibuprofen[ti]"
    assert set(found(engine, "hearts")) == {1, 2, 3, 4}
    assert found(engine, "hearts", strategy=strategy) == [pmid for pmid in found(engine, "hearts") if pmid != 2]
    assert found(engine, "hearts pain", "lexical", strategy=strategy) == [4, 1, 3]
    assert found(engine, "heads", "hybrid", strategy="aspirin[ti]")[0] == 2


def test_without_a_question_the_newest_come_first(engine):
    assert found(engine, "", strategy="trial[tiab]") == [4, 3, 1]
    assert found(engine, "", strategy="nothing[tiab]") == []
    with pytest.raises(QueryError, match="the question is empty"):
        found(engine, "")


def test_a_strategy_stands_beside_other_filters(engine):
    assert found(engine, "", strategy="trial[tiab]", year_to=2002) == [3, 1]
    assert found(engine, "pain 2003:2004[dp]", strategy="pain[tiab]") in ([2, 4], [4, 2])
    nested = Filters(expression=And((Term(Filters(strategy="trial[tiab]")),)))
    with pytest.raises(QueryError, match="not within an expression"):
        engine.search(["pain"], SearchOptions(filters=nested))


def test_a_strategy_that_cannot_be_read_is_no_filter():
    with pytest.raises(QueryError, match="at character 6: no field"):
        Filters(strategy="trial[xx]")
    filters = Filters(strategy="trial[tiab]")
    assert filters_from_dict(filters_to_dict(filters)) == filters


def test_the_plain_meaning_of_a_strategy_among_filters():
    filters = Filters(strategy='"trial pain"[tiab:~1] NOT aspirin[ti]')
    assert [record.pmid for record in ARTICLES if filters.matches(record)] == [3]


def test_counts_of_lines_and_notes(engine):
    result = engine.strategy("1. aspirin[ti]\n2. trial[tiab] or pain[ti]\n3. #1 AND #2")
    assert [(line.number, line.count) for line in result.lines] == [(1, 2), (2, 3), (3, 1)]
    assert (result.pmids, result.count, result.translation) == ((1,), 1, "#1 AND #2")
    assert result.notes == ("`or` was read as OR",)
