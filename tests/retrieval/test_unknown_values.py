"""A value that no article has is told, with the nearest known; common names are understood."""

from contextlib import closing

import pytest
from helpers import article, put

from search.article import Journal, MeshHeading, PublicationType
from search.errors import QueryError
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters, MeshTerm
from search.storage import backend


@pytest.fixture
def engine(address, encoder):
    trial = PublicationType("Randomized Controlled Trial", ui="D016449")
    journal = Journal(title="The New England journal of medicine", medline_abbreviation="N Engl J Med")
    put(address, encoder, article(1, "aspirin", publication_types=(trial,), journal=journal, languages=("eng",)))
    put(address, encoder, article(2, "aspirin", mesh_headings=(MeshHeading("Myocardial Infarction", ui="D009203"),)))
    with closing(backend.open_reader(address)) as reader:
        yield Engine(reader, encoder.encode)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (Filters(publication_types=("Randomised Trial",)), "publication type 'Randomised Trial'"),
        (Filters(journals=("New England Journal",)), r"nearest are new england journal of medicine \(1\)"),
        (Filters(mesh=(MeshTerm("myocardial infarct"),)), r"nearest are myocardial infarction \(1\)"),
        (Filters(languages=("fre",)), "the language 'fre'"),
    ],
)
def test_what_no_article_has_is_an_error_with_the_nearest(engine, filters, message):
    with pytest.raises(QueryError, match=message):
        engine.check_values(filters)


def test_what_articles_have_is_no_error(engine):
    engine.check_values(
        Filters(
            journals=("nejm", "1234-5678"),
            publication_types=("RCT", "D016449"),
            mesh=(MeshTerm("D009203"), MeshTerm("Myocardial infarction")),
            languages=("English",),
        )
    )


def test_common_names_find_what_they_stand_for(engine):
    for filters in (Filters(publication_types=("rct",)), Filters(journals=("NEJM",)), Filters(strategy="rct[pt]")):
        assert engine.strategy(filters.strategy or "all[sb]").count
    assert Filters(publication_types=("rct",)) == Filters(publication_types=("Randomized Controlled Trial",))
    assert engine.strategy("rct[pt] AND nejm[ta]").pmids == (1,)
