"""Filters answered by SQL equal their plain meaning, whatever the filters and the articles."""

from datetime import date, datetime, timezone

import msgspec
from filter_strategies import PROPERTY, expressions, filters_strategy, small_articles
from hypothesis import given
from hypothesis import strategies as st

from search.query.filters import Filters
from search.query.selection import select
from search.store import StoreWriter, prepare


def store_of(articles):
    store = StoreWriter(":memory:")
    store.set_vector_format(2, "float16")
    store.apply(store.plan([prepare(article) for article in articles]))
    return store


@PROPERTY
@given(st.lists(small_articles, max_size=12), st.lists(filters_strategy, min_size=8, max_size=8), expressions)
def test_sql_equals_brute_force(articles, many, expression):
    numbered = [msgspec.structs.replace(article, pmid=pmid) for pmid, article in enumerate(articles, start=1)]
    store = store_of(numbered)
    today = datetime.now(timezone.utc).date()
    for filters in (*many, Filters(expression=expression)):
        expected = [article.pmid for article in numbered if filters.matches(article, today)]
        found = select(store, filters)
        assert (found is None and filters.is_empty) or found.tolist() == expected
    store.close()


def test_nothing_asked_is_no_filter_and_none_allowed_is_nothing():
    store = store_of([])
    assert select(store, Filters()) is None
    assert select(store, Filters(pmids=frozenset())).tolist() == []
    assert select(store, Filters(added_since=date(2000, 1, 1))).tolist() == []
    store.close()
