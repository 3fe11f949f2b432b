"""Filters answered by SQL equal their plain meaning, whatever the filters and the articles, in either database."""

from datetime import date, datetime, timezone

import msgspec
from filter_strategies import PROPERTY, expressions, filters_strategy, small_articles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.query.filters import Filters
from search.query.selection import select
from search.store import prepare


@settings(PROPERTY, suppress_health_check=list(HealthCheck))
@given(st.lists(small_articles, max_size=12), st.lists(filters_strategy, min_size=8, max_size=8), expressions)
def test_sql_equals_brute_force(empty_store, articles, many, expression):
    numbered = [msgspec.structs.replace(article, pmid=pmid) for pmid, article in enumerate(articles, start=1)]
    store = empty_store()
    store.apply(store.plan([prepare(article) for article in numbered]))
    today = datetime.now(timezone.utc).date()
    for filters in (*many, Filters(expression=expression)):
        expected = [article.pmid for article in numbered if filters.matches(article, today)]
        found = select(store, filters)
        assert (found is None and filters.is_empty) or found.tolist() == expected


def test_nothing_asked_is_no_filter_and_none_allowed_is_nothing(empty_store):
    store = empty_store()
    assert select(store, Filters()) is None
    assert select(store, Filters(pmids=frozenset())).tolist() == []
    assert select(store, Filters(added_since=date(2000, 1, 1))).tolist() == []
