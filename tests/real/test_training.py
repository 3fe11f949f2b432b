"""A complete small run on real articles, the published figure of the base model, and the built-in model's own."""

import gzip
import json
import re

import pytest

from search.article import AbstractSection, Article
from search.evaluation.collection import load_collection
from search.evaluation.pair_correlation import evaluate_pairs, load_pair_set
from search.evaluation.retrieval import evaluate_retrieval
from search.models import load_encoder
from search.models.presets import resolve_model
from search.training.finetune import train_model
from search.training.pairs import mine_pairs
from search.training.parameters import TrainingParameters

pytestmark = pytest.mark.slow


def articles(shared_data):
    with gzip.open(shared_data / "pubmed" / "records.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            yield Article(pmid=row["pmid"], title=row["title"], abstract=(AbstractSection(text=row["abstract"]),))


@pytest.fixture(scope="module")
def base():
    return resolve_model("minilm").document


def test_a_complete_small_run_improves_on_held_out_pairs(shared_data, base, tmp_path):
    output = tmp_path / "pairs.jsonl.gz"
    report = mine_pairs(articles(shared_data), output, seed=1, sample=6000, kinds=["title-conclusion"])
    assert report.total > 5500
    parameters = TrainingParameters(
        batch_size=24, max_steps=200, max_length=96, held_out=500, warmup_steps=20, evaluation_steps=200
    )
    trained = train_model(report.output, base, tmp_path / "model", parameters=parameters)
    assert trained.score_after > trained.score_before + 0.5


def test_base_scores_as_published(shared_data, base):
    encode = load_encoder(base).encode
    pairs = load_pair_set(shared_data / "pubmedqa" / "ori_pqal.json", "pubmedqa")
    scores = evaluate_pairs(encode, pairs, model="base")
    assert scores.pearson == pytest.approx(90.40, abs=0.4)
    semantic, lexical, hybrid = evaluate_retrieval(load_collection(shared_data / "scifact", "dev"), encode)
    assert semantic.mean("nDCG@10") == pytest.approx(0.645, abs=0.01)
    assert lexical.mean("nDCG@10") == pytest.approx(0.690, abs=0.01)
    assert hybrid.mean("nDCG@10") == pytest.approx(0.741, abs=0.01)
    assert semantic.index.recall > 0.999


def test_the_builtin_model_scores_as_its_card_says(shared_data):
    card = (resolve_model("builtin").document / "README.md").read_text()
    stated = dict(re.findall(r"^\| ([^|]+?) \|[^|]*\| ([\d.]+) \|$", card, re.MULTILINE))
    encode = load_encoder("builtin").encode
    pairs = load_pair_set(shared_data / "pubmedqa" / "ori_pqal.json", "pubmedqa")
    assert evaluate_pairs(encode, pairs, model="builtin").pearson == pytest.approx(
        float(stated["PubMed QA, Pearson x100"]), abs=0.05
    )
    collection = load_collection(shared_data / "scifact", "dev")
    semantic, _, hybrid = evaluate_retrieval(collection, encode)
    assert semantic.mean("nDCG@10") == pytest.approx(float(stated["SciFact dev, semantic, nDCG@10"]), abs=0.003)
    assert hybrid.mean("nDCG@10") == pytest.approx(float(stated["SciFact dev, hybrid, nDCG@10"]), abs=0.003)
