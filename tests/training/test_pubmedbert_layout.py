"""A folder of the reference model's layout, found by its name: add, query, train and evaluate, with random weights."""

import json
import sys

import numpy as np
import pytest

from search import Index
from search.cli import main as command_line
from search.models import Encoder


@pytest.fixture(scope="module")
def pubmedbert(one_thread, tmp_path_factory):
    """A Hugging Face cache with a model of the reference model's name: BERT, 768 wide, mean, 512 tokens; one layer."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

    hub = tmp_path_factory.mktemp("hub")
    letters = [prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,:;()-" for prefix in ("", "##")]
    words = ["aspirin", "stroke", "risk", "adults", "insulin", "children", "asthma", "trial", "cohort", "of", "in"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters]
    bert = hub / "bert"
    bert.mkdir()
    set_seed(0)
    BertModel(BertConfig(vocab_size=len(vocabulary), num_hidden_layers=1)).save_pretrained(bert)
    tokenizer = BertTokenizerFast(vocab={word: row for row, word in enumerate(vocabulary)}, model_max_length=512)
    tokenizer.save_pretrained(bert)
    repository = hub / "models--neuml--pubmedbert-base-embeddings"
    snapshot = repository / "snapshots" / "abc"
    modules = [Transformer(str(bert), max_seq_length=512), Pooling(768, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(snapshot), create_model_card=False)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(hub))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("SEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield snapshot


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Articles enough to train on, as JSON lines."""
    file = tmp_path_factory.mktemp("records") / "records.jsonl"
    rows = [
        {"pmid": number, "title": f"Insulin {number} in asthma {number * 7}", "abstract": f"Trial of {number}. " * 12}
        for number in range(2, 110)
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    captured = capsys.readouterr()
    assert not stopped.value.code, captured.err
    return captured.out


def test_vectors_are_those_of_sentence_transformers(pubmedbert):
    from sentence_transformers import SentenceTransformer

    encoder = Encoder("pubmedbert")
    assert (encoder.dimension, encoder.max_length, encoder.backend) == (768, 512, "openvino")
    texts = ["Aspirin and the risk of stroke", "aspirin " * 600, "aspirin " * 510 + "stroke " * 90]
    expected = SentenceTransformer(str(pubmedbert), device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=2e-3)


def test_from_records_to_a_trained_and_judged_model(pubmedbert, records, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yml").write_text("model: pubmedbert\nindex: indexes/own\n")
    command(monkeypatch, capsys, "add", records)
    # Random weights know no meaning; the text of an article is nearest to itself.
    question = f"Insulin 60 in asthma 420 {'Trial of 60. ' * 12}".strip()
    hit = json.loads(command(monkeypatch, capsys, "query", question, "--format", "json"))[0]
    assert (hit["pmid"], hit["score"]) == (60, pytest.approx(1, abs=1e-3))
    with Index.open(tmp_path / "indexes" / "own") as index:
        assert index.status().model == "pubmedbert"
    command(monkeypatch, capsys, "train", "pairs", "-o", "pairs.jsonl", "--kinds", "title-abstract")
    values = ["max_steps=3", "batch_size=8", "held_out=10", "max_length=32", "learning_rate=1e-3"]
    options = [part for value in values for part in ("--set", value)]
    command(
        monkeypatch, capsys, "train", "model", "--pairs", "pairs.jsonl", "--base", "pubmedbert", "-o", "own", *options
    )
    assert Encoder("own").dimension == 768
    assert Encoder("own").fingerprint != Encoder("pubmedbert").fingerprint
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps([{"question": f"insulin {n}", "long_answer": f"trial {n}"} for n in range(8)]))
    judged = json.loads(
        command(
            monkeypatch,
            capsys,
            "evaluate",
            "pairs",
            pairs,
            "--model",
            "pubmedbert",
            "--model",
            "own",
            "--format",
            "json",
        )
    )
    assert [row["model"] for row in judged] == ["pubmedbert", "own"]
    assert judged[0]["pearson"] != judged[1]["pearson"]
    assert judged[0]["index"]["kind"] == "IDMap,SQfp16"
