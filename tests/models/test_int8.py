"""A model computed with 8-bit integers: smaller, close to its float32 form, and plain words where it cannot be made."""

import sys

import numpy as np
import pytest

from search.errors import ModelError
from search.models import Encoder, load_encoder
from search.models.probes import calibration_texts

#: Abstracts that the int8 form was not calibrated on: those begin the list.
TEXTS = calibration_texts(200)[-60:]


def test_the_vectors_are_close_to_those_in_float32_and_the_weights_are_bytes(build_model, model_cache):
    pytest.importorskip("nncf")
    folder = build_model(max_length=64)
    exact, coarse = Encoder(folder, precision="fp32"), Encoder(folder, precision="int8")
    expected, vectors = exact.encode(TEXTS), coarse.encode(TEXTS)
    assert coarse.precision == "int8"
    cosines = (expected * vectors).sum(axis=1)
    assert cosines.min() > 0.98
    assert not np.allclose(expected, vectors, atol=1e-4), "these were computed in float32"
    sizes = {path.parent.name: path.stat().st_size for path in model_cache.rglob("model.bin")}
    made = next(name for name in sizes if name.startswith(coarse.fingerprint) and "int8" in name)
    assert sizes[made] < 0.6 * sizes[made.replace("int8", "fp32")]


def test_without_nncf_it_says_what_to_install(build_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ModelError, match=r"needs the Python package nncf: pip install 'nncf>="):
        load_encoder(build_model(pooling="cls", max_length=48), precision="int8")
