"""Training asks the network for nothing: the base is there, and no report of the run goes anywhere."""

import json

import pytest
from hostile.test_network import watched

ABSTRACTS = [
    {
        "_id": str(number),
        "title": f"Trial {number}",
        "text": "BACKGROUND: Pain is common. METHODS: We treated adults. RESULTS: Pain fell. CONCLUSIONS: It helps.",
    }
    for number in range(200)
]
PARAMETERS = {"batch_size": 8, "max_steps": 2, "held_out": 20, "evaluation_steps": 2, "checkpoint_steps": 2}

#: `train hybrid` wants tens of thousands of articles; this is what it does with them.
TEACH = """
from pathlib import Path
from search.training.bm25_matrix import BM25
from search.training.hybrid import (
    Bank, HybridParameters, TeachingModel, TrainingQuestion, encode_with_gradient, load_bert, teach,
)
from search.training.saved_model import save_model
model, tokenizer = load_bert(Path("BASE"))
texts = [f"aspirin and stroke in trial {number}" for number in range(40)]
def encode(some):
    return encode_with_gradient(model.eval(), tokenizer, some, 64).detach().numpy()
parameters = HybridParameters(steps=2, questions=4, pairs=4, warmup_steps=1, frozen_layers=0, anchors=2)
teach(model, tokenizer, Bank(texts, BM25(texts), [TeachingModel(encode, encode(texts))]),
      lambda chance, count: [TrainingQuestion("made", text) for text in chance.sample(texts, count)],
      [(text, text) for text in texts], parameters, lambda step, losses: None)
"""


def test_training_asks_nobody(tiny_model, made_pairs, tmp_path):
    pytest.importorskip("sentence_transformers")
    lines = [
        json.dumps({"anchor": pair.anchor, "positive": pair.positive, "kind": pair.kind, "pmids": pair.pmids})
        for pair in made_pairs(200)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, ABSTRACTS)))
    values = [word for name, value in PARAMETERS.items() for word in ("--set", f"{name}={value}")]
    base = ["--base", str(tiny_model)]
    ended, events, lost = watched(
        tmp_path,
        [
            ["train", "model", "--pairs", "pairs.jsonl", *base, "-o", "trained", *values],
            ["train", "mix", "trained", *base, "--share", "0.5", "-o", "mixed"],
            ["train", "roles", "corpus.jsonl", "-o", "roles"],
            ["-c", TEACH.replace("BASE", str(tiny_model))],
        ],
    )
    assert [code for code, _ in ended] == [0, 0, 0, 0], ended
    assert events == [] and not lost
