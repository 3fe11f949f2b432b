"""Filters answered by SQL equal their plain meaning, whatever the filters and the articles, in either database."""

from datetime import date, datetime, timezone
from functools import partial

import msgspec
import numpy as np
import pytest
from filter_strategies import PROPERTY, expressions, filters_strategy, small_articles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.article import Article, MeshHeading
from search.errors import QueryError, TimeLimitError
from search.retrieval.filter_sql import MOST_CONDITIONS, condition_of
from search.retrieval.filters import MAX_DEPTH, And, Filters, MeshTerm, Not, Or, Term, depth_of
from search.storage import backend
from search.storage.folder.selection import Selection
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.rows import prepare
from search.time_limit import time_limit


def select(store, filters):
    return store.select_pmids(condition_of(filters, store.conditions)).tolist()


def selection(filters):
    return Selection(partial(condition_of, filters))


@settings(PROPERTY, suppress_health_check=list(HealthCheck))
@given(st.lists(small_articles, max_size=12), st.lists(filters_strategy, min_size=8, max_size=8), expressions)
def test_sql_equals_brute_force(empty_store, articles, many, expression):
    numbered = [msgspec.structs.replace(article, pmid=pmid) for pmid, article in enumerate(articles, start=1)]
    store = empty_store()
    store.apply(store.plan([prepare(article) for article in numbered]))
    today = datetime.now(timezone.utc).date()
    for filters in (*many, Filters(expression=expression)):
        expected = [article.pmid for article in numbered if filters.matches(article, today)]
        assert select(store, filters) == expected
        if isinstance(store, StoreReader):
            # Looked at one by one, in whatever order they are given, the same pass.
            given = np.array([999, *(article.pmid for article in numbered[::-1])], np.int64)
            assert selection(filters).passing(given, store).tolist() == expected[::-1]


def test_a_heading_of_the_tree_with_thousands_below_it(empty_store):
    store = empty_store()
    articles = [
        Article(pmid=pmid, title="x", mesh_headings=(MeshHeading(f"Heading {pmid}"),)) for pmid in (1, 2999, 5000)
    ]
    store.apply(store.plan([prepare(article) for article in articles]))
    terms = tuple(MeshTerm(f"Heading {number}") for number in range(3000))
    assert select(store, Filters(mesh=terms)) == [1, 2999]
    assert select(store, Filters(expression=Or(tuple(Term(Filters(mesh=(term,))) for term in terms)))) == [1, 2999]
    assert select(store, Filters(expression=And((Term(Filters(has_abstract=False)),) * 3000))) == [1, 2999, 5000]


def test_values_of_one_filter_are_one_condition_however_they_are_joined(empty_store):
    store = empty_store()
    store.apply(
        store.plan(
            [
                prepare(Article(pmid=pmid, title="x", mesh_headings=tuple(map(MeshHeading, names))))
                for pmid, names in enumerate((["A"], ["B"], ["A", "B"], ["C"]), 1)
            ]
        )
    )
    few, many = (
        [Term(Filters(mesh=(MeshTerm(name),))) for name in names] for names in (["A"], [f"N{k}" for k in range(2000)])
    )
    assert select(store, Filters(expression=Or((*few, *many)))) == [1, 3]
    assert select(store, Filters(expression=Not(Or((*few, *many))))) == [2, 4]
    assert select(store, Filters(expression=And((Not(few[0]), *map(Not, many))))) == [2, 4]
    major = Term(Filters(mesh=(MeshTerm("A", major=True),)))
    assert select(store, Filters(expression=Or((major, Term(Filters(mesh=(MeshTerm("C"),))))))) == [4]
    dated = [Term(Filters(mesh=(MeshTerm(f"N{k}"),), has_abstract=True)) for k in range(MOST_CONDITIONS + 1)]
    assert select(store, Filters(expression=Or(tuple(dated[1:])))) == []
    for expression in (Or(tuple(dated)), Not(Term(Filters(expression=And(tuple(dated)))))):
        with pytest.raises(QueryError, match=r"join 50\d conditions by and, or, not: at most 500; give the values"):
            select(store, Filters(expression=expression))


@pytest.mark.parametrize("shape", ["not", "and not", "or and", "within filters"])
def test_expressions_as_deep_as_they_may_be(empty_store, shape):
    store = empty_store()
    store.apply(store.plan([prepare(Article(pmid=1, title="x", pmcid="PMC1")), prepare(Article(pmid=2, title="x"))]))
    free, all_of_them = Term(Filters(free_full_text=True)), Term(Filters())
    expression, expected = free, [1]
    for depth in range(1, MAX_DEPTH + 1):
        if shape == "not":
            expression = Not(expression)
        elif shape == "and not":
            expression = And((all_of_them, Not(expression))) if depth % 2 else Not(expression)
        elif shape == "or and":
            expression = And((free, expression)) if depth % 2 else Or((free, expression))
        else:
            expression = Not(Term(Filters(expression=expression)))
    assert depth_of(expression) >= MAX_DEPTH
    assert select(store, Filters(expression=expression)) == expected
    assert select(store, Filters(expression=Not(expression))) == [2]


@pytest.mark.parametrize("names", [10, 19_000])
def test_the_names_of_a_filter_are_one_list_however_many(empty_store, names):
    terms = tuple(MeshTerm(f"Heading {number}") for number in range(names))
    condition = condition_of(Filters(mesh=terms), empty_store().conditions)
    assert len(condition.parameters) < 5 and len(condition.sql) < 500


def test_a_query_ends_with_the_time_of_its_thread(stored, address):
    endless = (
        "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE "
        "number < 2000000000) SELECT count(*) FROM numbers"
    )
    reader = backend.open_reader(address)
    with pytest.raises(TimeLimitError), time_limit(0.2), reader.view() as view:
        list(view.store.rows(endless))
    # The reader is none the worse for it, and another one has all the time it wants.
    with time_limit(60), reader.view() as view:
        assert view.store.counts()["articles"] == 0
    reader.close()


def test_none_allowed_is_nothing(empty_store):
    store = empty_store()
    assert select(store, Filters(pmids=frozenset())) == []
    assert select(store, Filters(added_since=date(2000, 1, 1))) == []
