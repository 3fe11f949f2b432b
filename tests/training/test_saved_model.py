"""Models with other weights than their base's."""

import numpy as np
import pytest

from search.errors import TrainingError
from search.training.saved_model import mix_models


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """Return a model like the tiny one with every weight a little larger."""
    from safetensors.torch import load_file

    from search.training.saved_model import save_model

    folder = tmp_path_factory.mktemp("mix") / "trained"
    weights = load_file(tiny_model / "model.safetensors")
    save_model(tiny_model, folder, {name: value + 0.25 for name, value in weights.items()})
    return folder


def weights_of(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_a_mixture_lies_between(tiny_model, trained, tmp_path):
    from sentence_transformers import SentenceTransformer

    mix_models(tiny_model, trained, tmp_path / "mixed", 0.25)
    mixed, base = weights_of(tmp_path / "mixed"), weights_of(tiny_model)
    assert mixed.keys() == base.keys()
    for name, value in mixed.items():
        assert value.dtype == np.float16
        np.testing.assert_allclose(value.astype(np.float32), base[name] + 0.0625, atol=1e-3)
    assert SentenceTransformer(str(tmp_path / "mixed"), device="cpu").encode("aspirin").dtype == np.float32


def test_what_cannot_be_mixed_is_told(tiny_model, trained, tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(TrainingError, match="already exists"):
        mix_models(tiny_model, trained, trained, 0.5)
    with pytest.raises(TrainingError, match="has no weights that can be read"):
        mix_models(tiny_model, tmp_path, tmp_path / "mixed", 0.5)
    other = tmp_path / "other"
    other.mkdir()
    save_file({"embeddings.word_embeddings.weight": np.zeros((2, 2), np.float32)}, other / "model.safetensors")
    with pytest.raises(TrainingError, match=r"other was not trained from .*: they differ in the shape of"):
        mix_models(tiny_model, other, tmp_path / "mixed", 0.5)
    assert not (tmp_path / "mixed").exists()
