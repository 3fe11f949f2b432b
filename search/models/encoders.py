"""The transformers that are built from their weights, in OpenVINO's operations: BERT and its kin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search.models.runtime import openvino

__all__ = ["HIDDEN", "TRANSFORMERS", "Node", "Ops", "Transformer", "Unsupported", "all_positions"]

Node = Any
_Array = npt.NDArray[Any]
_Config = Mapping[str, Any]

#: What is added to the score of a token that is not attended to: finite, so that a row of padding gives no NaN.
HIDDEN = np.float32(-1e9)


class Unsupported(Exception):
    """The model is not among those whose graph is built from their weights."""


class Ops:
    """The inputs of a graph, the weights, and the operations that its parts are made of."""

    def __init__(self, weights: Mapping[str, _Array]) -> None:
        self._op = openvino().opset13
        self._weights = {_modern_name(name): tensor for name, tensor in weights.items()}
        self._names = {id(tensor): name for name, tensor in self._weights.items()}
        self._inputs = {name: self._op.parameter([-1, -1], np.int64, name) for name in ("input_ids", "attention_mask")}
        self.ids: Node = self._inputs["input_ids"]
        self.mask: Node = self._op.convert(self._inputs["attention_mask"], "f32")
        self.length: Node = self._op.gather(self._op.shape_of(self.ids), np.int64(1), np.int64(0))
        #: 0, 1, 2, ... up to the length of the longest text, (1, tokens).
        self.places: Node = self._op.unsqueeze(
            self._op.range(np.int64(0), self.length, np.int64(1), "i64"), np.int64(0)
        )
        #: (texts, 1, 1, tokens), to be added to the scores of attention.
        self.padding: Node = self._op.multiply(
            self._op.subtract(np.float32(1), self._op.unsqueeze(self.mask, np.array([1, 2]))), HIDDEN
        )

    def types(self) -> Node:
        """Return the input that tells the two texts of a pair apart, (texts, tokens)."""
        if "token_type_ids" not in self._inputs:
            self._inputs["token_type_ids"] = self._op.parameter([-1, -1], np.int64, "token_type_ids")
        return self._inputs["token_type_ids"]

    def model(self, output: Node) -> Any:
        """Return the graph from the inputs to `output`."""
        for name, node in self._inputs.items():
            node.output(0).set_names({name})
        return openvino().Model([output], list(self._inputs.values()))

    def prefix(self, suffix: str) -> str:
        """Return what stands before `suffix` in the name of a weight: a model with a head puts its own name there."""
        for name in self._weights:
            if name.endswith(suffix):
                return name[: len(name) - len(suffix)]
        raise Unsupported(f"there are no weights called {suffix}")

    def weight(self, name: str) -> _Array:
        """Return a tensor by its name, as float32."""
        try:
            return self._weights[name]
        except KeyError as error:
            raise Unsupported(f"there are no weights called {name}") from error

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._weights

    def affine(self, x: Node, weight: _Array, bias: _Array | None) -> Node:
        """Return x W^T + b."""
        product = self._op.matmul(x, self._constant(weight), False, True)
        return product if bias is None else self._op.add(product, self._constant(bias))

    def linear(self, x: Node, name: str) -> Node:
        """Return the output of the linear layer of this name."""
        bias = f"{name}.bias"
        return self.affine(x, self.weight(f"{name}.weight"), self.weight(bias) if self.has(bias) else None)

    def embedding(self, ids: Node, table: _Array) -> Node:
        """Return the rows of a table."""
        return self._op.gather(self._constant(table), ids, np.int64(0))

    def layer_norm(self, x: Node, weight: _Array, bias: _Array | None, eps: float) -> Node:
        """Return x normalized over its last axis."""
        scaled = self._op.multiply(self._op.mvn(x, np.array([-1]), True, eps, "inside_sqrt"), self._constant(weight))
        return scaled if bias is None else self._op.add(scaled, self._constant(bias))

    def norm(self, x: Node, name: str, eps: float) -> Node:
        """Return the output of the layer normalization of this name."""
        bias = f"{name}.bias"
        return self.layer_norm(x, self.weight(f"{name}.weight"), self.weight(bias) if self.has(bias) else None, eps)

    def activation(self, x: Node, name: str | None) -> Node:
        """Return an activation by its name in transformers; None stands for none."""
        if name is None:
            return x
        if name == "gelu":
            return self._op.gelu(x, "erf")
        if name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"):
            return self._op.gelu(x, "tanh")
        if name in ("silu", "swish"):
            return self._op.swish(x)
        if name in ("relu", "tanh"):
            return getattr(self._op, name)(x)
        raise Unsupported(f"the activation {name} is not among those that are built")

    def split_heads(self, x: Node, heads: int) -> Node:
        """Return (texts, tokens, heads * size) as (texts, heads, tokens, size)."""
        split = self._op.reshape(x, np.array([0, 0, heads, -1]), True)
        return self._op.transpose(split, np.array([0, 2, 1, 3]))

    def attention(self, query: Node, key: Node, value: Node, mask: Node, scale: float | None = None) -> Node:
        """Return scaled dot-product attention of split heads, merged again to (texts, tokens, heads * size)."""
        factor = [] if scale is None else [np.float32(scale)]
        attended = self._op.scaled_dot_product_attention(query, key, value, mask, *factor, causal=False)
        return self._op.reshape(self._op.transpose(attended, np.array([0, 2, 1, 3])), np.array([0, 0, -1]), True)

    def unit(self, x: Node) -> Node:
        """Return the rows of x at unit length."""
        return self._op.divide(x, self._op.maximum(self._op.reduce_l2(x, np.array([-1]), True), np.float32(1e-12)))

    def first(self, x: Node, count: int) -> Node:
        """Return the first `count` columns of x."""
        bounds = (np.array([value], np.int64) for value in (0, count, 1, 1))
        return self._op.slice(x, *bounds)

    def _constant(self, array: _Array) -> Node:
        constant = self._op.constant(np.ascontiguousarray(array, np.float32), shared_memory=False)
        if name := self._names.get(id(array)):
            constant.set_friendly_name(name)
        return constant


def _modern_name(name: str) -> str:
    """Return the name of a tensor as it has been since 2019."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


@dataclass(frozen=True)
class Transformer:
    """How a kind of transformer is built: token vectors (texts, tokens, size), and scores of the first one.

    `architectures` are how the names of its usual classes begin; `positions` says how many tokens it takes.
    """

    build: Callable[[Ops, _Config], Node]
    positions: Callable[[_Config], int | None]
    architectures: tuple[str, ...]
    head: Callable[[Ops, Node], Node] | None = None


@dataclass(frozen=True)
class _Names:
    """What BERT and its kin call the parts of a layer."""

    layer: str = "encoder.layer"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attended: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    output_norm: str = "output.LayerNorm"


_MPNET = _Names(
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    attended="attention.attn.o",
    attention_norm="attention.LayerNorm",
)
_DISTILBERT = _Names(
    layer="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attended="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    output_norm="output_layer_norm",
)


def _layers(
    ops: Ops, x: Node, prefix: str, names: _Names, mask: Node, *, count: int, heads: int, eps: float, activation: str
) -> Node:
    for number in range(count):
        layer = f"{prefix}{names.layer}.{number}."
        query, key, value = (
            ops.split_heads(ops.linear(x, layer + part), heads) for part in (names.query, names.key, names.value)
        )
        attended = ops.linear(ops.attention(query, key, value, mask), layer + names.attended)
        op = openvino().opset13
        x = ops.norm(op.add(x, attended), layer + names.attention_norm, eps)
        inner = ops.activation(ops.linear(x, layer + names.inner), activation)
        x = ops.norm(op.add(x, ops.linear(inner, layer + names.outer)), layer + names.output_norm, eps)
    return x


def _embedded(ops: Ops, prefix: str, positions: Node, eps: float, types: Node | None = None) -> Node:
    """Return what enters the first layer: the sum of the vectors of words, positions and types, normalized."""
    op = openvino().opset13
    table = f"{prefix}embeddings."
    x = ops.embedding(ops.ids, ops.weight(f"{table}word_embeddings.weight"))
    x = op.add(x, ops.embedding(positions, ops.weight(f"{table}position_embeddings.weight")))
    type_table = f"{table}token_type_embeddings.weight"
    if types is not None:
        x = op.add(x, ops.embedding(types, ops.weight(type_table)))
    elif ops.has(type_table):
        x = op.add(x, ops.weight(type_table)[:1])
    return ops.norm(x, f"{table}LayerNorm", eps)


def _bert(ops: Ops, config: _Config) -> Node:
    _check(config, position_embedding_type="absolute", is_decoder=False)
    prefix = ops.prefix("embeddings.word_embeddings.weight")
    types = ops.types() if config.get("type_vocab_size", 2) > 1 else None
    eps = float(config.get("layer_norm_eps", 1e-12))
    pad = _pad(config)
    x = _embedded(ops, prefix, ops.places if pad is None else _positions_after(ops, pad), eps, types)
    return _layers(ops, x, prefix, _Names(), ops.padding, eps=eps, **_size(config))


def _mpnet(ops: Ops, config: _Config) -> Node:
    prefix = ops.prefix("embeddings.word_embeddings.weight")
    eps = float(config.get("layer_norm_eps", 1e-12))
    x = _embedded(ops, prefix, _positions_after(ops, 1), eps)
    table = ops.weight(f"{prefix}encoder.relative_attention_bias.weight")
    mask = openvino().opset13.add(ops.padding, _relative_bias(ops, table, all_positions(config)))
    return _layers(ops, x, prefix, _MPNET, mask, eps=eps, **_size(config))


def _distilbert(ops: Ops, config: _Config) -> Node:
    prefix = ops.prefix("embeddings.word_embeddings.weight")
    x = _embedded(ops, prefix, ops.places, 1e-12)
    size = {"count": int(config.get("n_layers", 6)), "heads": int(config.get("n_heads", 12))}
    activation = str(config.get("activation", "gelu"))
    return _layers(ops, x, prefix, _DISTILBERT, ops.padding, eps=1e-12, activation=activation, **size)


def _size(config: _Config) -> dict[str, Any]:
    return {
        "count": int(config.get("num_hidden_layers", 12)),
        "heads": int(config.get("num_attention_heads", 12)),
        "activation": str(config.get("hidden_act", "gelu")),
    }


def _check(config: _Config, **expected: Any) -> None:
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise Unsupported(f"its config has {key} {config[key]!r}")


def _pad(config: _Config) -> int | None:
    """Return the number of the padding token where positions are counted from it, as in RoBERTa."""
    return None if config["model_type"] == "bert" else int(config.get("pad_token_id", 1))


def _positions_after(ops: Ops, pad: int) -> Node:
    """Return positions that begin after the number of the padding token and pass over padding."""
    op = openvino().opset13
    real = op.convert(op.not_equal(ops.ids, np.int64(pad)), "i64")
    counted = op.multiply(op.cumsum(real, np.int64(1)), real)
    return op.add(counted, np.int64(pad))


def _relative_bias(ops: Ops, table: _Array, longest: int) -> Node:
    """Return MPNet's bias of attention by distance, (1, heads, tokens, tokens); its buckets are those of T5."""
    op = openvino().opset13
    distances = np.arange(-longest, longest + 1)
    half = len(table) // 2
    exact = half // 2
    size = np.abs(distances)
    far = exact + (
        np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact))
        / np.float32(math.log(128 / exact))
        * np.float32(half - exact)
    ).astype(np.int64)
    buckets = np.where(distances > 0, half, 0) + np.where(size < exact, size, np.minimum(far, half - 1))
    by_distance = table[buckets]
    places = op.squeeze(ops.places, np.array([0]))
    between = op.subtract(op.unsqueeze(places, np.int64(0)), op.unsqueeze(places, np.int64(1)))
    bias = ops.embedding(op.add(between, np.int64(longest)), by_distance)
    return op.unsqueeze(op.transpose(bias, np.array([2, 0, 1])), np.int64(0))


def _bert_head(ops: Ops, first: Node) -> Node:
    prefix = ops.prefix("pooler.dense.weight")
    return ops.linear(ops.activation(ops.linear(first, f"{prefix}pooler.dense"), "tanh"), "classifier")


def _roberta_head(ops: Ops, first: Node) -> Node:
    return ops.linear(ops.activation(ops.linear(first, "classifier.dense"), "tanh"), "classifier.out_proj")


def _distilbert_head(ops: Ops, first: Node) -> Node:
    return ops.linear(ops.activation(ops.linear(first, "pre_classifier"), "relu"), "classifier")


def all_positions(config: _Config) -> int:
    """Return how many tokens a transformer with a position for each takes."""
    return int(config.get("max_position_embeddings", 512))


def _positions_but_padding(config: _Config) -> int:
    return all_positions(config) - int(config.get("pad_token_id", 1)) - 1


TRANSFORMERS = {
    "bert": Transformer(_bert, all_positions, ("Bert",), _bert_head),
    "roberta": Transformer(_bert, _positions_but_padding, ("Roberta",), _roberta_head),
    "xlm-roberta": Transformer(_bert, _positions_but_padding, ("XLMRoberta",), _roberta_head),
    "camembert": Transformer(_bert, _positions_but_padding, ("Camembert",), _roberta_head),
    "distilbert": Transformer(_distilbert, all_positions, ("DistilBert",), _distilbert_head),
    "mpnet": Transformer(_mpnet, _positions_but_padding, ("MPNet",), _roberta_head),
}
