"""Published strategies over real records: the index finds what a plain reading of each record says."""

import gzip
import json

import numpy as np
import pytest
from helpers import words_manifest
from plain_strategy import holds

from search.formats.open import open_source
from search.retrieval.strategy import StrategyEvaluation, parse_strategy
from search.storage import backend
from search.storage.rows import prepare

_EVERY = 40


class NoEncoder:
    """Vectors that stand for nothing: strategies ask for words."""

    dimension, fingerprint = 8, "none"

    def encode(self, texts, kind="document"):
        return np.full((len(texts), 8), 8**-0.5, np.float32)


@pytest.fixture(scope="module")
def records(shared_data, tmp_path_factory):
    """Some of the records: every fortieth, and those that PubMed found for one of the strategies."""
    strategies = [json.loads(line) for line in (shared_data / "strategies/strategies.jsonl").read_text().splitlines()]
    found = {
        pmid for strategy in strategies for value in strategy.values() if isinstance(value, list) for pmid in value
    }
    path = tmp_path_factory.mktemp("records") / "some.jsonl"
    with gzip.open(shared_data / "pubmed/records.jsonl.gz", "rt") as source, path.open("w") as chosen:
        for number, line in enumerate(source):
            if number % _EVERY == 0 or json.loads(line)["pmid"] in found:
                chosen.write(line)
    return strategies, list(open_source(path))


def test_published_strategies_find_what_each_record_says(records, tmp_path):
    strategies, articles = records
    encoder, address = NoEncoder(), tmp_path / "index"
    backend.create(address, words_manifest(encoder))
    writer = backend.open_writer(address)
    plan = writer.store.plan([prepare(item) for item in articles])
    writer.store.apply(plan, encoder.encode([row.text for row in plan.to_encode]))
    writer.merge()
    writer.close()
    reader = backend.open_reader(address)
    total = 0
    with reader.view() as view:
        for strategy in strategies:
            read = parse_strategy(strategy["strategy"])
            pmids = StrategyEvaluation(read, view.tokens, view.store, lambda _: ()).pmids().tolist()
            assert pmids == sorted(item.pmid for item in articles if holds(read.result.tree, item, {}, lambda _: ()))
            total += len(pmids)
    reader.close()
    assert total >= 33
