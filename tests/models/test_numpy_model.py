"""The questions of a brief process are encoded by numpy, and their vectors are those of OpenVINO."""

import math

import numpy as np
import pytest

from search.models import Encoder
from search.models.numpy_model import MOST_TOKENS, NumpyBert, _erf

from .conftest import TEXTS
from .small_models import edit_json, sentence_folder, transformer_folder

QUESTIONS = [*TEXTS[:8], "", "aspirin " * 60]


@pytest.fixture
def used(monkeypatch):
    """The texts that numpy has encoded."""
    texts: list[int] = []
    embed = NumpyBert.embed
    monkeypatch.setattr(NumpyBert, "embed", lambda self, some: texts.append(len(some)) or embed(self, some))
    return texts


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return transformer_folder(tmp_path_factory.mktemp("bert"), "bert")


def assert_equal_vectors(model, used) -> None:
    brief, usual = (Encoder(model, precision="fp32", backend="openvino", brief=brief) for brief in (True, False))
    for question in QUESTIONS:
        vector, expected = (encoder.encode([question], "query")[0] for encoder in (brief, usual))
        assert vector @ expected > 0.999999
        np.testing.assert_allclose(vector, expected, atol=2e-6)
    assert used == [1] * len(QUESTIONS)


def test_the_built_in_model(used):
    assert_equal_vectors("builtin", used)


@pytest.mark.parametrize(
    "layout",
    [
        {"pooling": "cls", "normalized": True, "prompts": {"query": "find: "}},
        {"pooling": "max", "max_length": 40},
        {"pooling": "mean"},
    ],
    ids=str,
)
def test_each_pooling(bert, tmp_path, layout, used):
    assert_equal_vectors(sentence_folder(tmp_path / "model", bert, **layout), used)


@pytest.mark.parametrize(
    ("model_type", "layout"),
    [
        ("bert", {"pooling": "lasttoken"}),
        ("bert", {"pooling": ["cls", "mean"]}),
        ("bert", {"dense": [(32, "GELU")]}),
        ("bert", {"truncate_dim": 16}),
        ("roberta", {"pooling": "mean"}),
        ("mpnet", {"pooling": "mean"}),
    ],
    ids=str,
)
def test_any_other_model_is_left_to_openvino(tmp_path, model_type, layout, used):
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", model_type), **layout)
    brief, usual = (Encoder(folder, precision="fp32", brief=brief) for brief in (True, False))
    assert np.array_equal(brief.encode(TEXTS, "query"), usual.encode(TEXTS, "query"))
    assert used == []


def test_another_activation_is_left_to_openvino(tmp_path, used):
    folder = transformer_folder(tmp_path / "transformer", "bert")
    edit_json(folder / "config.json", hidden_act="relu")
    Encoder(sentence_folder(tmp_path / "model", folder), precision="fp32", brief=True).encode(TEXTS[:1], "query")
    assert used == []


def test_only_few_questions_and_no_documents_are_encoded_by_numpy(used):
    encoder = Encoder("builtin", backend="openvino", brief=True)
    encoder.encode(["aspirin"], "document")
    encoder.encode(["aspirin " * 20] * (MOST_TOKENS // 20), "query")
    encoder.encode(["a"] * 100, "query")
    assert used == []
    encoder.encode(["aspirin"], "query")
    Encoder("builtin", backend="openvino").encode(["aspirin"], "query")
    assert used == [1]


def test_the_error_function():
    values = np.linspace(-6, 6, 2001, dtype=np.float32)
    np.testing.assert_allclose(_erf(values), [math.erf(value) for value in values.tolist()], atol=6e-7)
