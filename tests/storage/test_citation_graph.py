"""The citations of an index, whatever is written to it: found both ways, checked, mended, and small."""

import random

import numpy as np
import pytest
from helpers import article

from search.errors import StoreError
from search.storage import citation_graph, verify
from search.storage.citation_graph import (
    Edges,
    Kind,
    cited_by,
    cited_counts,
    edge_count,
    edges_of,
    node,
    pack,
    put_edges,
    references_of,
    unpack,
)
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.postgres.postgres_writer import PgStoreWriter
from search.storage.rows import prepare


def write(store, *articles, restore=False):
    store.apply(store.plan([prepare(item) for item in articles], restore=restore))


def of(store, pmid, **fields):
    return cited_by(store, [article(pmid, **fields)])[pmid]


def checked(store):
    return store.transact(lambda _: list(verify.check_articles(store)))


def problems(store):
    return [problem.text for problem in checked(store)]


def edges(*pairs):
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return Edges(columns[:, 0], columns[:, 1])


@pytest.mark.parametrize("count", [0, 1, 2, 511, 3000])
def test_blocks_come_back_as_they_were(count):
    rng = np.random.default_rng(count)
    first = np.sort(rng.choice([rng.integers(-(2**48), 0, count), rng.integers(1, 2**53, count)][0], count))
    first[count // 2 :] = np.sort(rng.integers(1, 50, count - count // 2))
    given = citation_graph._ordered(Edges(first, rng.integers(1, 40_000_000, count)))
    found = unpack(pack(given))
    assert found.first.tolist() == given.first.tolist() and found.second.tolist() == given.second.tolist()


def test_a_block_that_is_damaged_is_an_error():
    packed = bytearray(pack(edges((5, 7), (5, 9), (6, 1))))
    packed[-3] ^= 1
    with pytest.raises(StoreError, match="citations"):
        unpack(bytes(packed))


def test_articles_are_found_by_what_they_cite_by_pmid_doi_and_pmcid(stored):
    write(stored, article(1), article(2, references=(1, 9)), article(3, references=("10.1/Abc", "PMC7", 1)))
    write(stored, article(4, references=("10.1/ABC",)), article(5, references=("pmc7", 1, 5)))
    assert of(stored, 1) == [2, 3, 5]
    assert of(stored, 1, doi="10.1/aBC") == [2, 3, 4, 5]
    assert of(stored, 8, pmcid="PMC7") == [3, 5]
    assert of(stored, 9) == [2] and of(stored, 10) == [] and of(stored, 5) == []
    several = [article(1), article(9), article(10)]
    assert cited_counts(stored, several) == {1: 3, 9: 1, 10: 0}
    assert references_of(stored, [article(3, references=("10.1/Abc", 1))]) == {3: ["10.1/Abc", 1]}
    assert problems(stored) == []


def test_an_index_without_citations_counts_none(stored):
    write(stored, article(1))
    assert cited_counts(stored, [article(1)]) is None


def test_a_revision_takes_the_old_references_with_it(stored):
    write(stored, article(2, references=(1, 9)), article(3, references=(1,)))
    write(stored, article(2, revised="2024-01-01", references=(9, 11)))
    assert (of(stored, 1), of(stored, 9), of(stored, 11)) == ([3], [2], [2])
    write(stored, article(3, revised="2024-01-01"))
    assert of(stored, 1) == []
    assert problems(stored) == []


def test_what_is_deleted_cites_nothing_and_what_comes_back_does(stored):
    write(stored, article(2, references=(1,)), article(3, references=(1,)))
    stored.delete([2])
    assert of(stored, 1) == [3]
    write(stored, article(2, references=(1,)), restore=True)
    assert of(stored, 1) == [2, 3]
    assert problems(stored) == []


def test_whatever_happens_the_graph_is_that_of_the_records(stored, monkeypatch):
    """Hundreds of writes by chance, with small blocks and runs; held against a plain dict."""
    monkeypatch.setattr(citation_graph, "_IN_A_BLOCK", 7)
    monkeypatch.setattr(citation_graph, "_READ_AHEAD", 2)
    monkeypatch.setattr(citation_graph, "_ASKED_AT_ONCE", 5)
    chance, held = random.Random(1), {}
    for step in range(40):
        some = {chance.randrange(1, 60) for _ in range(chance.randrange(1, 12))}
        if step % 4 == 3:
            stored.delete(some)
            held = {pmid: cited for pmid, cited in held.items() if pmid not in some}
            continue
        new = {pmid: tuple({*chance.choices(range(1, 80), k=9), 3, "10.1/x"} - {pmid}) for pmid in some}
        day = f"20{10 + step}-01-01"
        write(stored, *[article(pmid, revised=day, references=cited) for pmid, cited in new.items()], restore=True)
        held |= new
    expected = {one: sorted(pmid for pmid, cited in held.items() if one in cited) for one in range(1, 80)}
    assert cited_by(stored, [article(pmid) for pmid in range(1, 80)]) == expected
    assert of(stored, 999, doi="10.1/X") == sorted(held)
    assert problems(stored) == []
    assert stored.one("SELECT count(*) FROM citation_runs") <= 6
    assert stored.one("SELECT max(edges) FROM citation_runs") > 100


def test_the_collection_is_found_both_ways_and_joined_with_records(stored):
    write(stored, article(2, references=(1, 9)), article(4))

    def work(change):
        pairs = edges((1, 2), (1, 3), (4, 3), (1, 4))
        put_edges(stored, Kind.COLLECTION_CITED, change, pairs)
        put_edges(stored, Kind.COLLECTION_CITING, change, Edges(pairs.second, pairs.first))

    stored.transact(work)
    assert of(stored, 1) == [2, 3, 4]
    assert references_of(stored, [article(2, references=(1, 9)), article(3), article(4)]) == {
        2: [1, 9],
        3: [1, 4],
        4: [1],
    }
    assert edge_count(stored) == 6
    stored.delete([4])
    assert of(stored, 1) == [2, 3]
    assert problems(stored) == []
    (packed,) = edges_of(stored, Kind.COLLECTION_CITING, [3]).second.tolist()[:1]
    assert packed == 1


def test_damage_is_found_and_mended(stored):
    write(stored, *[article(pmid, references=(1, pmid - 1)) for pmid in range(3, 40)])
    stored.transact(lambda _: stored.executemany("UPDATE citation_blocks SET edges = ?", [(pack(edges((1, 3))),)]))
    (problem,) = problems(stored)
    assert "`search repair` makes it again" in problem
    assert verify.mend(stored, iter(checked(stored))) == []
    assert problems(stored) == []
    assert of(stored, 1) == list(range(3, 40))
    stored.transact(lambda _: stored.executemany("UPDATE citation_blocks SET edges = ?", [(b"nothing",)]))
    assert len(problems(stored)) == 1
    with pytest.raises(StoreError, match="search verify"):
        of(stored, 1)
    verify.mend(stored, iter(checked(stored)))
    assert of(stored, 1) == list(range(3, 40))


def test_a_damaged_collection_is_found(stored):
    stored.transact(lambda change: put_edges(stored, Kind.COLLECTION_CITED, change, edges((1, 2))))
    (problem,) = problems(stored)
    assert "open citation collection" in problem


def test_numbers_that_are_no_pmids_are_no_nodes(stored):
    write(stored, article(2, references=(0, -5, 2**70, 1)))
    assert of(stored, 1) == [2] and edge_count(stored) == 1


def test_nodes_of_dois_are_negative_and_differ():
    nodes = {node(f"10.1/{number}") for number in range(1000)} | {node("PMC1")}
    assert len(nodes) == 1001 and max(nodes) < 0 and min(nodes) >= -(2**48)


def test_a_citation_takes_twelve_bytes_at_the_most_both_ways(stored):
    """What references add to the documents, and the pages in use of the tables and indexes of the other direction.

    The works that are cited are spread over all of PubMed, most of them cited once: nothing is harder to pack.
    """
    rng = np.random.default_rng(0)
    pmids = np.sort(rng.choice(40_000_000, 2_000, replace=False)) + 1
    citing = {pmid: tuple(rng.integers(1, pmid + 10, 35).tolist()) for pmid in pmids.tolist()}
    rows = [(prepare(article(pmid)), prepare(article(pmid, references=cited))) for pmid, cited in citing.items()]
    empty = _tables(stored)
    for start in range(0, len(rows), 500):
        stored.apply(stored.plan([row for _, row in rows[start : start + 500]]))
    edges = edge_count(stored)
    assert edges > 69_000
    documents = sum(len(row.document) - len(bare.document) for bare, row in rows)
    assert (documents + _tables(stored) - empty) / edges < 12


def _tables(store):
    """The bytes of the tables of citations and of their indexes; of PostgreSQL's without the room merged runs left."""
    if isinstance(store, StoreReader):
        return store.one("SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%citation%'")
    # Of copies: a table keeps the rows of before as long as somebody else may still read them.
    for name in ("citation_blocks", "citation_runs"):
        store._connection.execute(f"DROP TABLE IF EXISTS live_{name}")
        store._connection.execute(f"CREATE TABLE live_{name} (LIKE {name} INCLUDING ALL)")
        store._connection.execute(f"INSERT INTO live_{name} OVERRIDING SYSTEM VALUE SELECT * FROM {name}")
        store._connection.execute(f"VACUUM FULL live_{name}")
    return sum(
        store.one(f"SELECT pg_total_relation_size('live_{name}')") for name in ("citation_blocks", "citation_runs")
    )


def test_runs_stay_few_and_leave_little_room(stored, monkeypatch):
    rng = np.random.default_rng(1)

    def put(times):
        for _ in range(times):
            edges = Edges(*(rng.integers(1, 38_000_000, 4000) for _ in range(2)))
            stored.transact(lambda change, edges=edges: put_edges(stored, Kind.COLLECTION_CITED, change, edges))

    put(40)
    assert [count for (count,) in stored.rows("SELECT edges FROM citation_runs ORDER BY run")] == [128_000, 32_000]
    if isinstance(stored, PgStoreWriter):
        # Merged runs leave 20 bytes a citation and more where their room is not used again.
        assert stored.one("SELECT pg_total_relation_size('citation_blocks')") / 160_000 < 14
    monkeypatch.setattr(citation_graph, "_FEW", 4096)
    put(8)
    # No run grows beyond a sixteenth of all.
    sizes = [count for (count,) in stored.rows("SELECT edges FROM citation_runs ORDER BY run")]
    assert sizes == [128_000, 32_000, 8000, 8000, 8000, 8000]
