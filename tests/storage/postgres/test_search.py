"""pgvector's index and full text find what comparing everything finds, whatever the filter."""

import contextlib
import re
from functools import partial

import numpy as np
import pytest
from filter_strategies import filters_strategy
from helpers import article, put, words_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import new_address

from search.article import PublicationType
from search.config import Config, PostgresConfig
from search.ingest.pipeline import add_articles
from search.retrieval.filter_sql import condition_of
from search.retrieval.filters import Filters
from search.storage import backend
from search.storage.bm25 import question_terms
from search.storage.bm25 import words as words_of
from search.storage.postgres import postgres_view as view
from search.storage.postgres import search_indexes as structures
from search.storage.postgres.packing import LENGTHS, pack_vectors, rounded_length, unpack_vectors
from search.storage.postgres.postgres_bm25 import reaching

PRIMES = (3, 5, 7, 11, 13)


def words(number):
    return " ".join(f"w{(number * prime) % 97}" for prime in PRIMES) + f" only{number}"


def every(number):
    """Every `number`th article has this type."""
    return PublicationType(f"Every {number}")


@pytest.fixture
def many():
    return [
        article(number, words(number), publication_types=tuple(every(n) for n in (2, 50, 300) if not number % n))
        for number in range(1, 601)
    ]


@pytest.fixture
def indexed(monkeypatch):
    """Use the HNSW index for however few vectors, and scan it for however few articles pass."""
    monkeypatch.setattr(structures, "HNSW_FROM", 0)
    monkeypatch.setattr(view, "EXACT_FACTOR", 0)


@pytest.fixture
def address(postgres_server, encoder):
    """An index on connections for which sorting all is no choice: tables this small would not be scanned by index."""
    found = f"{new_address(postgres_server)}&options=-c%20enable_seqscan%3Doff%20-c%20enable_sort%3Doff"
    backend.create(found, words_manifest(encoder))
    return found


def nearest(address, encoder, question, limit, filters):
    """What a view finds, and what comparing everything finds, for a filter."""
    reader = backend.open_reader(address)
    vector = encoder.encode([question])
    with reader.view() as shown:
        allowed = shown.select(partial(condition_of, filters)) if filters else None
        pmids, scores = shown.nearest(vector, limit, allowed=allowed)[0]
        passing = shown.store.select_pmids(condition_of(filters or Filters(), shown.store.conditions))
        all_pmids, vectors = shown.store.vectors(passing.tolist())
        structure = shown.vector_index()
    reader.close()
    exact = vectors @ vector[0]
    best = np.lexsort((-all_pmids, -exact))[:limit]
    return (pmids.tolist(), scores), (all_pmids[best].tolist(), exact[best]), structure


@pytest.mark.parametrize("kind", [None, 2, 50, 300])
@pytest.mark.parametrize("limit", [1, 10, 700])
def test_an_index_scan_finds_the_best_whatever_passes(address, encoder, many, indexed, kind, limit):
    put(address, encoder, *many, merge=True)
    filters = Filters(publication_types=(f"every {kind}",)) if kind else None
    for question in ("w3 w5 w7", words(77)):
        (pmids, scores), (expected, exact), structure = nearest(address, encoder, question, limit, filters)
        assert structure == "HNSW over halfvec"
        assert np.allclose(scores, exact, atol=1e-6)
        assert pmids == expected


def test_a_search_goes_by_the_index_also_under_a_filter(address, encoder, many, indexed):
    put(address, encoder, *many, merge=True)
    reader = backend.open_reader(address)
    asked = []
    with reader.view() as shown:
        query = shown.store.query
        shown.store.query = lambda sql, parameters=(): asked.append((sql, parameters)) or query(sql, parameters)
        allowed = shown.select(partial(condition_of, Filters(publication_types=("every 2",))))
        shown.nearest(encoder.encode(["w3"]), 5, allowed=allowed)
        ((sql, parameters),) = [(sql, parameters) for sql, parameters in asked if "<#>" in sql]
        plan = "\n".join(line for (line,) in query(f"EXPLAIN {sql}", parameters))
    reader.close()
    assert f"Index Scan using {structures.VECTOR_INDEX}" in plan


def test_few_that_pass_are_compared_and_many_are_scanned(address, encoder, many, indexed, monkeypatch):
    put(address, encoder, *many, merge=True)
    monkeypatch.setattr(view, "EXACT_FACTOR", 3.0)
    reader = backend.open_reader(address)
    with reader.view() as shown:
        for kind, few in ((300, True), (2, False)):
            filters = Filters(publication_types=(f"every {kind}",))
            selection = shown.select(partial(condition_of, filters))
            # sqrt(3 * 26 * 600) = 216, and 2 or 300 pass.
            shown.nearest(encoder.encode(["w3"]), 10, allowed=selection)
            assert selection.few == {216: few}
            assert shown.count(selection) == 600 // kind
    reader.close()


def test_a_scan_that_gives_up_is_made_good_by_comparing_all(address, encoder, many, indexed, monkeypatch):
    monkeypatch.setattr(view, "_MOST_SCANNED", 1)
    monkeypatch.setattr(view, "_LEAST_EF", 1)
    put(address, encoder, *many, merge=True)
    found, expected, _ = nearest(address, encoder, "w3", 2, Filters(publication_types=("every 300",)))
    assert found[0] == expected[0] and len(found[0]) == 2


def test_what_is_written_after_the_index_is_found_and_what_is_deleted_is_not(address, encoder, many, indexed):
    put(address, encoder, *many, merge=True)
    put(address, encoder, article(7, "zebra w1", revised="2020-01-01"), article(9000, "zebra w2"))
    writer = backend.open_writer(address)
    writer.store.delete([9, 10])
    writer.close()
    for question in ("zebra", words(7), words(9)):
        found, expected, _ = nearest(address, encoder, question, 5, None)
        assert found[0] == expected[0]


def test_bits_find_candidates_and_exact_cosines_decide(postgres_server, encoder, many, indexed):
    address = new_address(postgres_server)
    config = Config(postgres=PostgresConfig(quantization="binary"))
    backend.create(address, words_manifest(encoder), config)
    put(address, encoder, *many, merge=True)
    (pmids, scores), (expected, exact), structure = nearest(address, encoder, words(77), 10, None)
    assert structure == "HNSW over bits, re-scored"
    assert pmids[0] == expected[0] == 77
    # 200 candidates of 600 by 32 bits: most of the best ten are among them, and their scores are true.
    assert len(set(pmids) & set(expected)) >= 8
    assert all(score == pytest.approx(dict(zip(expected, exact, strict=True)).get(pmid, score), abs=1e-6)
               for pmid, score in zip(pmids, scores, strict=True))  # fmt: skip


@pytest.mark.parametrize("merged", [0, 120, 240])
def test_bm25_is_tantivys(address, folder, encoder, many, merged):
    texts = [article(found.pmid, found.title, " ".join(f"common word{found.pmid % 3}" for _ in range(found.pmid % 60)))
             for found in many[:240]]  # fmt: skip
    put(address, encoder, *texts[:merged], merge=True)
    put(address, encoder, *texts[merged:])
    put(folder, encoder, *texts, merge=True)
    ours, theirs = backend.open_reader(address), backend.open_reader(folder)
    with ours.view() as one, theirs.view() as other:
        for question in ("common word1 w5 w3 only77", "word2 word2 common", "nowhere", "common", words(5)):
            for limit in (1, 10, 1000):
                found, expected = one.bm25(question_terms(question), limit), other.bm25(question_terms(question), limit)
                assert found[0].tolist() == expected[0].tolist(), question
                assert np.allclose(found[1], expected[1], rtol=1e-5)
        some = np.array([3, 77, 200, 5000])
        assert one.bm25_scores(question_terms("common w5"), some) == pytest.approx(
            other.bm25_scores(question_terms("common w5"), some), rel=1e-5
        )
    ours.close()
    theirs.close()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    asked=st.lists(st.integers(0, 96), min_size=1, max_size=6),
    limit=st.integers(1, 8),
    filters=filters_strategy,
)
def test_leaving_common_words_out_at_first_loses_nothing(shared_index, asked, limit, filters):
    question = " ".join(f"w{number}" for number in asked)
    with shared_index.view() as shown:
        condition = condition_of(filters, shown.store.conditions)
        passing = shown.store.select_pmids(condition)
        scores = shown.bm25_scores(question_terms(question), passing)
        found = shown.bm25(question_terms(question), limit, allowed=shown.select(partial(condition_of, filters)))
    best = sorted(scores.items(), key=lambda item: (-item[1], -item[0]))[:limit]
    assert found[0].tolist() == [pmid for pmid, _ in best]
    assert found[1] == pytest.approx([score for _, score in best], rel=1e-6)


@settings(deadline=None)
@given(
    weights=st.dictionaries(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), st.floats(0.1, 9.0), min_size=1),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_no_article_that_can_reach_a_bound_is_left_out(weights, share, data):
    bound = share * sum(weights.values())
    needed = reaching(weights, bound)
    has = re.sub("'([a-z])'", r"('\1' in has)", needed).replace("&", "and").replace("|", "or")
    for _ in range(20):
        found = data.draw(st.sets(st.sampled_from(sorted(weights)), min_size=1))
        if sum(weights[word] for word in found) >= bound:
            assert eval(has, {"has": found}), needed


def test_what_cannot_reach_a_bound_is_mostly_left_out():
    weights = {"rare": 9.0, "some": 5.0, "often": 2.0, "common": 1.0}
    assert reaching(weights, 17.0) == "'rare' & ('some' & ('often'))"
    assert reaching(weights, 9.0) == "'rare'"
    assert reaching(weights, 7.0) == "'rare' | 'some' & ('often')"
    assert reaching(weights, 0.0) == "'rare' | 'some' | 'often' | 'common'"
    assert reaching({"it's": 1.0}, 0.5) == "'it''s'"


@pytest.fixture(scope="module")
def shared_index(postgres_server, encoder):
    address = new_address(postgres_server)
    backend.create(address, words_manifest(encoder))
    put(address, encoder, *[article(number, words(number)) for number in range(1, 301)], merge=True)
    reader = backend.open_reader(address)
    yield reader
    reader.close()


def test_counts_of_words_stay_true_over_replacements(address, encoder, many):
    put(address, encoder, *many[:100], merge=True)
    for year in (2001, 2002):
        put(address, encoder, *[article(n, f"changed {words(n)}", revised=f"{year}-01-01") for n in range(1, 101)])
        put(address, encoder, merge=True)
    reader = backend.open_reader(address)
    with reader.view() as shown:
        counts = dict(shown.store.query("SELECT word, articles FROM word_counts"))
    reader.close()
    assert counts[words_of("changed")[0]] == 100
    assert counts["only7"] == 1


def test_words_are_counted_at_the_end_of_a_run(address, encoder, many):
    for count, due in ((60, False), (60, True)):
        added = [article(number + 1000 * due, words(number)) for number in range(1, count + 1)]
        writer = backend.open_writer(address)
        report = add_articles(writer, encoder, added)
        assert report.merged == due
        writer.close()
    with contextlib.closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert view.unmerged() == 0


def test_lengths_are_counted_as_tantivy_counts_them():
    assert LENGTHS[:41] == list(range(41))
    assert [rounded_length(length) for length in (0, 40, 41, 42, 57, 1000)] == [0, 40, 40, 42, 56, 984]


@pytest.mark.parametrize(("stored", "tolerance"), [("float16", 5e-4), ("float32", 0.0)])
def test_vectors_pass_as_they_are(encoder, stored, tolerance):
    vectors = encoder.encode(["a b", "c"])
    assert np.abs(unpack_vectors(pack_vectors(vectors, stored), stored, 32) - vectors).max() <= tolerance
