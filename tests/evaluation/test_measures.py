"""The measures equal ir-measures' and scipy-free references."""

import math

import ir_measures
import numpy as np
import pytest

from search.evaluation.measures import (
    bootstrap_interval,
    ndcg_at_k,
    paired_randomisation_test,
    pearson,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    spearman,
)


@pytest.fixture(scope="module")
def rankings():
    """Random rankings of 300 documents for 25 questions, with grades from -1 to 3."""
    rng = np.random.default_rng(4)
    documents = [f"d{number}" for number in range(300)]
    runs, judgements = {}, {}
    for query in range(25):
        runs[f"q{query}"] = [documents[row] for row in rng.permutation(300)[: int(rng.integers(3, 200))]]
        judged = rng.choice(300, 20, replace=False)
        grades = {documents[row]: int(rng.integers(-1, 4)) for row in judged}
        judgements[f"q{query}"] = grades | {documents[int(judged[0])]: 2}
    return runs, judgements


def test_equals_ir_measures(rankings):
    runs, judgements = rankings
    run = {query: {doc: 1000.0 - rank for rank, doc in enumerate(docs)} for query, docs in runs.items()}
    measures = [ir_measures.nDCG @ 10, ir_measures.R @ 100, ir_measures.RR, ir_measures.P @ 10]
    expected = {(row.query_id, str(row.measure)): row.value for row in ir_measures.iter_calc(measures, judgements, run)}
    for query, docs in runs.items():
        grades = judgements[query]
        assert ndcg_at_k(docs, grades, 10) == pytest.approx(expected[query, "nDCG@10"], abs=1e-6)
        assert recall_at_k(docs, grades, 100) == pytest.approx(expected[query, "R@100"], abs=1e-6)
        assert reciprocal_rank(docs, grades) == pytest.approx(expected[query, "RR"], abs=1e-6)
        assert precision_at_k(docs, grades, 10) == pytest.approx(expected[query, "P@10"], abs=1e-6)


def test_graded_judgements_by_hand():
    # Gains 1 and 3 at ranks 1 and 2; the best order is 3, 2, 1.
    gained = 1 / 1 + 3 / math.log2(3)
    best = 3 / 1 + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at_k(["a", "b", "x"], {"a": 1, "b": 3, "c": 2, "x": 0}, 10) == pytest.approx(gained / best)


def test_correlations():
    rng = np.random.default_rng(0)
    left = rng.normal(size=500).astype(np.float32)
    right = np.round(left + rng.normal(size=500), 1)
    assert pearson(left, right) == pytest.approx(np.corrcoef(left, right)[0, 1], abs=1e-9)
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 8, 27, 64])) == pytest.approx(1)
    assert spearman(np.array([1.0, 1, 2]), np.array([3.0, 3, 9])) == pytest.approx(1)
    assert math.isnan(pearson(np.ones(4), np.arange(4.0)))


def test_bootstrap_interval_holds_the_mean_and_narrows():
    values = np.random.default_rng(1).uniform(size=400)
    interval = bootstrap_interval(list(values))
    standard_error = values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    assert interval == bootstrap_interval(list(values))


def test_randomisation_test_against_all_sign_changes():
    first, second = [0.9, 0.8, 0.7, 0.9, 0.6, 0.5], [0.5, 0.6, 0.7, 0.4, 0.5, 0.6]
    differences = np.array(first) - np.array(second)
    signs = np.array([[1 if bits >> place & 1 else -1 for place in range(6)] for bits in range(64)])
    exact = np.mean(abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12)
    assert paired_randomisation_test(first, second) == pytest.approx(exact, abs=0.01)
    assert paired_randomisation_test(first, first) == 1
