"""Teaching the hybrid ranking: its parts equal references, and a tiny model takes over what the teacher knows."""

import numpy as np
import pytest

from search.retrieval import feedback
from search.training.bm25_matrix import BM25
from search.training.hybrid import (
    Bank,
    HybridParameters,
    TeachingModel,
    TrainingQuestion,
    _correlation,
    encode_with_gradient,
    load_bert,
    teach,
)

DOCUMENTS = ["Aspirin prevents strokes", "Statins lower the cholesterol of adults", "strokes, strokes and statins"]


def test_the_teacher_is_the_hybrid_ranking_without_the_text_asked_with():
    bm25 = BM25(DOCUMENTS)
    vectors = np.array([[0.6, 0.0, 0.8], [1.0, 0.0, 0.0]], np.float32)
    bank = Bank(DOCUMENTS, bm25, [TeachingModel(lambda _: vectors, np.eye(3, dtype=np.float32))])
    parameters = HybridParameters(temperature=0.5, bm25_weight=0.4, answer_weight=0.25)
    questions = [TrainingQuestion("title", "strokes statins", own=2), TrainingQuestion("claim", "unknown", answer=1)]
    target, left_out = bank.teacher(questions, parameters)
    words = bm25.score_all(bm25.terms(["strokes statins"]))[0, :2]
    expected = np.exp((vectors[0, :2] + 0.4 * words / words.max()) / 0.5)
    assert target[0] == pytest.approx([*(expected / expected.sum()), 0], abs=1e-6)
    # A known answer has its part; where no word is known, the cosine alone decides.
    plain = np.exp(vectors[1] / 0.5)
    assert target[1] == pytest.approx(0.75 * plain / plain.sum() + [0, 0.25, 0], abs=1e-6)
    assert left_out.tolist() == [[False, False, True], [False] * 3]


def test_the_teacher_with_feedback_learns_from_its_first_answers_with_each_model():
    bm25 = BM25(DOCUMENTS)
    asked = [np.array([[0.6, 0.0, 0.8]], np.float32), np.array([[0.0, 1.0]], np.float32)]
    stored = [np.eye(3, dtype=np.float32), np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], np.float32)]
    models = [
        TeachingModel(lambda _, vectors=vectors: vectors, rows) for vectors, rows in zip(asked, stored, strict=True)
    ]
    target, _ = Bank(DOCUMENTS, bm25, models).teacher(
        [TrainingQuestion("topic", "strokes")], HybridParameters(temperature=0.5, feedback=True)
    )
    terms = bm25.terms(["strokes"])
    words = bm25.score_all(terms)[0]
    first = (stored[0] @ asked[0][0] + stored[1] @ asked[1][0]) / 2 + 0.4 * words / words.max()
    weights = np.exp((first - first.max()) / feedback.TEMPERATURE)
    weights /= weights.sum()
    cosines = np.zeros(3)
    for vectors, rows in zip(asked, stored, strict=True):
        mean = weights @ rows
        moved = vectors[0] + feedback.MOVE * mean / np.linalg.norm(mean)
        cosines += rows @ (moved / np.linalg.norm(moved)) / 2
    words = bm25.score_all(bm25.with_telling_words(terms, weights[None]))[0]
    expected = np.exp((cosines + feedback.WEIGHT * words / words.max()) / 0.5)
    assert target[0] == pytest.approx(expected / expected.sum(), abs=1e-6)


def test_telling_words_have_half_the_weight_of_the_questions_own():
    bm25 = BM25([*DOCUMENTS, "Adults and strokes and adults", "And of adults"])
    terms = bm25.terms(["strokes statins"])
    added = (bm25.with_telling_words(terms, np.array([[0, 1, 0, 0, 0]], np.float32)) - terms).toarray()[0]
    # One document teaches: its words, each as rare as it is; two words of the question's own lend them one in all.
    assert added.sum() == pytest.approx(1, abs=1e-5)
    lower, adults, statins = (added[bm25.terms([word]).indices[0]] for word in ("lower", "adults", "statins"))
    assert lower > statins > adults > 0


def test_correlation_is_pearsons_of_balanced_classes():
    import torch

    cosines = np.random.default_rng(2).normal(size=(6, 6)) + 2 * np.eye(6)
    others = cosines[~np.eye(6, dtype=bool)]
    # Counting each true pair as often as there are others to it balances the classes.
    values = np.concatenate([np.repeat(np.diag(cosines), 5), others])
    expected = np.corrcoef(values, np.repeat([1, 0], 30))[0, 1]
    assert float(_correlation(torch.tensor(cosines))) == pytest.approx(expected, abs=1e-6)


def test_encoding_equals_sentence_transformers(tiny_model):
    from sentence_transformers import SentenceTransformer

    texts = ["aspirin in adults", "stroke", "insulin for children with diabetes and pain " * 3] * 7
    model, tokenizer = load_bert(tiny_model)
    ours = encode_with_gradient(model.eval(), tokenizer, texts, 64).detach().numpy()
    np.testing.assert_allclose(ours, SentenceTransformer(str(tiny_model), device="cpu").encode(texts), atol=1e-5)


def test_a_tiny_model_learns_the_ranking_and_leaves_the_documents(tiny_model, made_pairs):
    pairs = made_pairs(96)
    documents = [pair.positive for pair in pairs]
    model, tokenizer = load_bert(tiny_model)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    base, _ = load_bert(tiny_model)

    def encode(texts):
        return encode_with_gradient(base.eval(), tokenizer, texts, 64).detach().numpy()

    bank = Bank(documents, BM25(documents), [TeachingModel(encode, encode(documents))])
    losses = {"questions": [], "pairs": [], "anchors": []}
    parameters = HybridParameters(
        steps=80,
        questions=24,
        pairs=8,
        learning_rate=5e-3,
        warmup_steps=4,
        frozen_layers=0,
        anchor_length=64,
        anchors=12,
        anchor_weight=20,
    )
    teach(
        model,
        tokenizer,
        bank,
        lambda chance, count: [TrainingQuestion("made", pair.anchor) for pair in chance.sample(pairs, count)],
        [(pair.anchor, pair.positive) for pair in pairs],
        parameters,
        lambda step, found: [losses[name].append(loss) for name, loss in found.items()],
    )
    assert [len(found) for found in losses.values()] == [80, 80, 80]
    assert np.mean(losses["questions"][-8:]) < 0.8 * np.mean(losses["questions"][:8])
    # On questions it has not seen, the model alone is now nearer to the teacher than the base alone.
    asked = [TrainingQuestion("made", pair.anchor) for pair in made_pairs(120)[96:]]
    texts = [question.text for question in asked]
    target, _ = bank.teacher(asked, parameters)

    def divergence(vectors):
        scaled = vectors @ bank.vectors.T / parameters.temperature
        own = np.exp(scaled - scaled.max(1, keepdims=True))
        own /= own.sum(1, keepdims=True)
        return float((target * np.log((target + 1e-12) / (own + 1e-12))).sum(1).mean())

    taught = encode_with_gradient(model.eval(), tokenizer, texts, 64).detach().numpy()
    assert divergence(taught) < 0.9 * divergence(encode(texts))
    moved = (encode_with_gradient(model, tokenizer, documents, 64).detach().numpy() * bank.vectors).sum(1)
    assert moved.min() > 0.95
    # Word embeddings stay as they were.
    after = model.state_dict()
    assert bool((after["embeddings.word_embeddings.weight"] == before["embeddings.word_embeddings.weight"]).all())
