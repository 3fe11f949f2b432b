"""Encode a few questions with numpy alone, in a process that would end before OpenVINO is ready.

A command that asks one question spends far more on loading OpenVINO and on making the graph ready than on the question
itself. This runs BERT over the weights of its compiled form, which are mapped into memory, not read.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from search.models.layout import Layout
from search.models.spec import WEIGHTS, CompiledSpec
from search.models.tokens import Tokens

__all__ = ["MOST_TOKENS", "NumpyBert", "numpy_bert"]

_Array = npt.NDArray[np.float32]

#: From so many tokens on, OpenVINO is faster, its start included.
MOST_TOKENS = 512

_POOLING: dict[str, Callable[[_Array], _Array]] = {
    "mean": lambda hidden: hidden.mean(axis=0),
    "cls": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(axis=0),
}
#: erf(x) to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, formula 7.1.26.
_ERF_SCALE = np.float32(0.3275911)
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def numpy_bert(layout: Layout, folder: Path, spec: CompiledSpec) -> NumpyBert | None:
    """Return what runs the compiled model in `folder`; None if it is not a BERT with simple pooling."""
    config = layout.config
    simple = (
        layout.model_type == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and len(layout.pooling) == 1
        and layout.pooling[0] in _POOLING
        and all(module.kind in ("Pooling", "Dropout", "Normalize") for module in layout.modules)
        and layout.dimension is None
        and spec.inputs == ["input_ids", "attention_mask", "token_type_ids"]
    )
    if not simple or not spec.weights:
        return None
    with (folder / WEIGHTS).open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    weights = {
        name: np.frombuffer(data, np.float32, int(np.prod(shape)), offset).reshape(shape)
        for name, (offset, shape) in spec.weights.items()
    }
    end = "embeddings.word_embeddings.weight"
    prefix = next((name.removesuffix(end) for name in weights if name.endswith(end)), None)
    if prefix is None:
        return None
    return NumpyBert(
        {name.removeprefix(prefix): weight for name, weight in weights.items()},
        layers=int(config.get("num_hidden_layers", 12)),
        heads=int(config.get("num_attention_heads", 12)),
        eps=float(config.get("layer_norm_eps", 1e-12)),
        pooling=layout.pooling[0],
    )


@dataclass(frozen=True)
class NumpyBert:
    """BERT in evaluation mode, text by text, so that nothing is padded."""

    weights: dict[str, _Array]
    layers: int
    heads: int
    eps: float
    pooling: str

    def embed(self, texts: Sequence[Tokens]) -> _Array:
        """Return the pooled vectors of the texts, float32 (texts, dimension), not of unit length."""
        from threadpoolctl import threadpool_limits

        # Products are so small that more threads would mostly wait for each other, which costs as much as working.
        with threadpool_limits(1, "blas"):
            return np.stack([_POOLING[self.pooling](self._hidden(tokens)) for tokens in texts])

    def _hidden(self, tokens: Tokens) -> _Array:
        """Return the vectors of the tokens after the last layer, (tokens, size)."""
        table = {
            name: self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        }
        x = table["word"][tokens.ids] + table["position"][: len(tokens)] + table["token_type"][tokens.types]
        x = self._norm(x, "embeddings.LayerNorm")
        for number in range(self.layers):
            layer = f"encoder.layer.{number}."
            attended = self._linear(self._attention(x, f"{layer}attention.self."), f"{layer}attention.output.dense")
            x = self._norm(x + attended, f"{layer}attention.output.LayerNorm")
            inner = _gelu(self._linear(x, f"{layer}intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{layer}output.dense"), f"{layer}output.LayerNorm")
        return x

    def _attention(self, x: _Array, name: str) -> _Array:
        query, key, value = (
            self._linear(x, name + part).reshape(len(x), self.heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.float32(np.sqrt(query.shape[2]))
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        scores /= scores.sum(axis=2, keepdims=True)
        attended: _Array = (scores @ value).swapaxes(0, 1).reshape(len(x), -1)
        return attended

    def _linear(self, x: _Array, name: str) -> _Array:
        product: _Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return product

    def _norm(self, x: _Array, name: str) -> _Array:
        x = x - x.mean(axis=1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(self.eps))
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x: _Array) -> _Array:
    half = x * np.float32(0.5)
    return half + half * _erf(x * np.float32(np.sqrt(0.5)))


def _erf(x: _Array) -> _Array:
    size = np.abs(x)
    t = 1 / (1 + _ERF_SCALE * size)
    total = np.zeros_like(t)
    for coefficient in _ERF:
        total += np.float32(coefficient)
        total *= t
    result: _Array = np.copysign(1 - total * np.exp(-size * size), x)
    return result
