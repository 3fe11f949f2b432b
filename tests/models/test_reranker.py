"""Cross-encoders built from their weights score as sentence-transformers does, before the activation."""

import numpy as np
import pytest

from search.models import load_reranker

from .conftest import TEXTS
from .small_models import transformer_folder


@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta", "distilbert", "mpnet"])
def test_each_kind_of_cross_encoder(tmp_path, model_type, monkeypatch):
    import torch
    from sentence_transformers import CrossEncoder

    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    folder = transformer_folder(tmp_path / "model", model_type, head="ForSequenceClassification", num_labels=1)
    reranker = load_reranker(folder)
    question = "does aspirin lower the risk of cancer?"
    pairs = [(question, text) for text in TEXTS]
    expected = CrossEncoder(str(folder), device="cpu").predict(pairs, activation_fn=torch.nn.Identity())
    assert reranker.backend == "openvino"
    assert np.ptp(expected) > 0.05
    assert np.abs(reranker.score(question, TEXTS) - expected).max() < 1e-4
    assert np.abs(load_reranker(folder, backend="torch").score(question, TEXTS) - expected).max() < 1e-4


def test_scores_that_a_sigmoid_makes_equal_stay_apart(tmp_path):
    """A saturated sigmoid gives 1.0 for both of two texts; the logits still order them."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = transformer_folder(tmp_path / "model", "bert", head="ForSequenceClassification", num_labels=1)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] *= 20
    weights["classifier.bias"] += 60
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    scores = load_reranker(folder).score("aspirin", TEXTS[:3])
    assert (torch.sigmoid(torch.from_numpy(scores)) == 1).all()
    assert len(set(scores.tolist())) == 3
