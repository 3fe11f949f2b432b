"""An identifier typed alone opens its article; anything else is a question."""

from contextlib import closing

import pytest
from helpers import article, put

from search.errors import NotFoundError
from search.retrieval.engine import Engine
from search.retrieval.identifiers_typed import identifier_query
from search.storage import backend


@pytest.fixture
def engine(address, encoder):
    put(address, encoder, article(17170002, "aspirin", doi="10.1000/ABC.5(x)"), merge=True)
    put(address, encoder, article(7, "seven hearts", pmcid="PMC2600426"))
    with closing(backend.open_reader(address)) as reader:
        yield Engine(reader, encoder.encode)


@pytest.mark.parametrize(
    ("typed", "pmid"),
    [
        ("17170002", 17170002),
        (" PMID: 17170002 ", 17170002),
        ("pmid 7", 7),
        ("https://pubmed.ncbi.nlm.nih.gov/17170002/", 17170002),
        ("www.ncbi.nlm.nih.gov/pubmed/17170002?dopt=Abstract", 17170002),
        ("10.1000/abc.5(x)", 17170002),
        ("doi:10.1000/ABC.5(X)", 17170002),
        ("https://doi.org/10.1000/abc.5(x)", 17170002),
        ("PMC2600426", 7),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC2600426/", 7),
        ("https://pmc.ncbi.nlm.nih.gov/articles/pmc2600426", 7),
    ],
)
def test_an_identifier_alone_opens_its_article(engine, typed, pmid):
    assert [hit.pmid for hit in engine.search([typed])[0]] == [pmid]
    assert engine.identified(typed) == [pmid]


@pytest.mark.parametrize("typed", ["17170003", "10.1000/other", "PMC1", "pmid:8"])
def test_an_unknown_identifier_is_said(engine, typed):
    with pytest.raises(NotFoundError, match="is not in"):
        engine.search([typed])
    assert engine.identified(typed) == []


@pytest.mark.parametrize("typed", ["7", "aspirin 17170002", "1234", "10.5 mg of aspirin", "seven hearts", "PMC"])
def test_anything_else_is_a_question(engine, typed):
    assert identifier_query(typed) is None
    assert len(engine.search([typed])[0]) == 2
