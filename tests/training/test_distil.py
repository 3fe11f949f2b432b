"""Distillation: its parts equal references, and a tiny model takes over what the teacher knows."""

import numpy as np
import pytest

from search.training.bm25 import BM25
from search.training.distil import (
    Batch,
    DistilParameters,
    _correlation,
    distil,
    encode_with_gradient,
    load_bert,
    mix_weights,
)


def test_bm25_equals_tantivys():
    import tantivy

    documents = ["Aspirin prevents strokes", "Statins lower the cholesterol of adults", "strokes, strokes and statins"]
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    builder.add_integer_field("row", fast=True)
    schema = builder.build()
    index = tantivy.Index(schema)
    writer = index.writer(num_threads=1)
    for row, text in enumerate(documents):
        writer.add_document(tantivy.Document(text=text, row=row))
    writer.commit()
    index.reload()
    searcher = index.searcher()
    query = index.parse_query("stroke statin", ["text"])
    hits = searcher.search(query, 10).hits
    rows = searcher.fast_field_values("row", [address for _, address in hits])
    expected = dict(zip(rows, [score for score, _ in hits], strict=True))
    own = BM25(documents)
    assert own.score_all(["stroke statin"])[0] == pytest.approx([expected[row] for row in range(3)], abs=1e-4)
    scores, largest = own.score(["stroke statin", "unknown"], [documents[1], "none of these"])
    assert scores[0] == pytest.approx([expected[1], 0], abs=1e-4)
    assert largest == pytest.approx([max(expected.values()), 1], abs=1e-4)


def test_correlation_is_pearsons_of_balanced_classes():
    import torch

    rng = np.random.default_rng(2)
    cosines = rng.normal(size=(6, 6)) + 2 * np.eye(6)
    groups = [0, 0, 1, 1, 2, 2]
    random = [cosines[i, j] for i in range(6) for j in range(6) if groups[i] != groups[j]]
    # Counting each true pair as often as there are random pairs per true one balances the classes.
    values = np.concatenate([np.repeat(np.diag(cosines), len(random) // 6), random])
    labels = np.repeat([1, 0], len(random))
    expected = np.corrcoef(values, labels)[0, 1]
    assert float(_correlation(torch.tensor(cosines), groups)) == pytest.approx(expected, abs=1e-6)


def test_encoding_equals_sentence_transformers(tiny_model):
    from sentence_transformers import SentenceTransformer

    texts = ["aspirin in adults", "stroke", "insulin for children with diabetes and pain " * 3] * 7
    model, tokenizer = load_bert(tiny_model)
    ours = encode_with_gradient(model.eval(), tokenizer, texts, 64).detach().numpy()
    np.testing.assert_allclose(ours, SentenceTransformer(str(tiny_model), device="cpu").encode(texts), atol=1e-5)


def test_a_tiny_model_moves_towards_its_teacher(tiny_model, made_pairs):
    pairs = made_pairs(96)
    batches = []
    for start in range(0, 96, 16):
        chosen = pairs[start : start + 16]
        batches.append(
            Batch(
                "claim",
                tuple(pair.anchor for pair in chosen),
                tuple(pair.positive for pair in chosen),
                tuple(range(16)),
                np.eye(16, dtype=np.float32),
            )
        )
    losses = []
    model, tokenizer = load_bert(tiny_model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = DistilParameters(steps=40, learning_rate=2e-3, warmup_steps=4, max_length=64, frozen_layers=0)
    after, average = distil(model, tokenizer, batches, parameters, lambda step, kind, loss: losses.append(loss))
    assert len(losses) == 40
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    # Word embeddings stay as they were, and the average lies between.
    name = "embeddings.word_embeddings.weight"
    assert bool((after[name] == before[name]).all())
    half = mix_weights([(0.5, before), (0.5, after)])
    layer = "encoder.layer.1.output.dense.weight"
    np.testing.assert_allclose(half[layer], (before[layer] + after[layer]) / 2, atol=1e-6)
    assert not bool((average[layer] == after[layer]).all())
