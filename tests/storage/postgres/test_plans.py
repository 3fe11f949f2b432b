"""Where little is asked for little is read, however much there is: counted in the plans of the server."""

import pytest
from helpers import article, put
from postgres_server import session

from search.storage import backend
from search.storage import copy as copying
from search.storage.rows import prepare

COUNT, AFTER, LIMIT = 3_000, 2_800, 10


@pytest.fixture
def large(address, encoder):
    """An index whose tables are large enough for their indexes to be worth it; every article after 1,500 is stale."""
    put(address, encoder, *[article(number, f"text {number}") for number in range(1, 1_501)])
    writer = backend.open_writer(address)
    writer.store.apply(writer.store.plan([prepare(article(n, f"text {n}")) for n in range(1_501, COUNT + 1)]))
    writer.close()
    with session(address) as other:
        # As in tables of millions, where to sort or hash all is no choice.
        other.execute("VACUUM ANALYZE")
    return f"{address}&options=-c%20enable_seqscan%3Doff%20-c%20enable_hashjoin%3Doff%20-c%20enable_sort%3Doff"


def rows_read(store, work):
    """The rows that the queries of some work read from tables and indexes, as the server counts them."""
    query, read = store.query, []

    def counting(sql, parameters=()):
        ((plan,),) = query(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        read.extend(scanned(plan[0]["Plan"]))
        return query(sql, parameters)

    store.query = counting
    work(store)
    store.query = query
    return sum(read)


def scanned(node):
    if "Relation Name" in node:
        yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for child in node.get("Plans", []):
        yield from scanned(child)


@pytest.mark.parametrize(
    "work",
    [
        lambda store: copying.read_articles(store, AFTER, LIMIT),
        lambda store: store.stale(LIMIT, after=AFTER),
        lambda store: store.stale(LIMIT),
    ],
    ids=["copying", "encoding by a cluster", "encoding"],
)
def test_a_batch_in_the_middle_reads_no_more_than_itself(large, work):
    reader = backend.open_reader(large)
    with reader.view() as view:
        assert LIMIT <= rows_read(view.store, work) <= 6 * LIMIT
    reader.close()
