"""A value that no article has is told, with the nearest known; common names are understood."""

from contextlib import closing

import pytest
from helpers import article, put

from search.article import Author, Journal, MeshHeading, PublicationType
from search.errors import QueryError
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters, MeshTerm, Not, Term
from search.retrieval.request import SearchOptions
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


def test_an_author_is_a_filter_and_an_unknown_one_is_told(address, encoder):
    people = (Author(last_name="Smith", initials="JA"), Author(last_name="Müller", initials="K"))
    put(address, encoder, article(1, "aspirin", authors=people[:1]), merge=True)
    put(address, encoder, article(2, "aspirin", authors=people), article(3, "aspirin"))
    with closing(backend.open_reader(address)) as reader:
        engine = Engine(reader, encoder.encode)
        with reader.view() as view:
            articles = dict(sorted(view.store.get_many([1, 2, 3]).items()))

        def found(*authors, **fields):
            options = SearchOptions(filters=Filters(authors=authors, **fields), mode="lexical")
            return sorted(hit.pmid for hit in engine.search(["aspirin"], options)[0])

        assert found("smith j") == found("Smith JA") == [1, 2]
        assert (
            found("muller k") == found("smith", strategy="muller[au]") == found("smith", pmids=frozenset({2, 3})) == [2]
        )
        assert found("muller", "smith") == [1, 2] and found("smith b") == []
        for given in (("smith j",), ("muller",), ("smyth",)):
            filters = Filters(authors=given)
            assert [pmid for pmid, item in articles.items() if filters.matches(item)] == found(*given)
        with pytest.raises(QueryError, match=r"no article has the author 'smyth j'; the nearest are smith ja \(2\)"):
            engine.check_values(Filters(authors=("smyth j",)))
        nested = Filters(expression=Not(Term(Filters(authors=("smith",)))))
        with pytest.raises(QueryError, match="beside the other filters"):
            engine.search(["aspirin"], SearchOptions(filters=nested, mode="lexical"))


def test_of_thousands_of_values_few_are_looked_up(engine, monkeypatch):
    headings = [f"Heading {number}" for number in range(19_000)]
    counted = []
    with engine._reader.view() as view:
        tokens = type(view.tokens)
    count = tokens.count
    monkeypatch.setattr(tokens, "count", lambda self, query: counted.append(query) or count(self, query))
    with pytest.raises(QueryError, match=r"'Heading 0'.*'Heading 4'; and others that no article has$"):
        engine.check_values(Filters(mesh=tuple(map(MeshTerm, headings))))
    assert len(counted) == 6
    engine.check_values(Filters(mesh=tuple(map(MeshTerm, ["Myocardial Infarction"] * 100 + headings))))
    assert len(counted) == 106
