"""Build the graph of an embedding model straight from its weights: neither torch nor transformers is needed.

A graph takes `input_ids` and `attention_mask` (texts, tokens), texts padded on the right, and gives (texts, dimension).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search.models.encoders import TRANSFORMERS, Node, Ops, Transformer, Unsupported
from search.models.layout import Layout, Module, needs_own_code
from search.models.rotary import ROTARY_TRANSFORMERS
from search.models.runtime import openvino
from search.models.weights import read_weights

__all__ = ["build_encoder", "build_reranker", "padding_token", "position_limit"]

_TRANSFORMERS = {**TRANSFORMERS, **ROTARY_TRANSFORMERS}
_DENSE_ACTIVATIONS = {"Identity": None, "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu"}


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens the transformer has positions for; None where nothing limits them."""
    transformer = _TRANSFORMERS.get(str(config.get("model_type")))
    return transformer.positions(config) if transformer else None


def padding_token(config: Mapping[str, Any]) -> int:
    """Return the number of the token that fills up shorter texts."""
    pad = config.get("pad_token_id")
    return 1 if config.get("model_type") == "mpnet" else int(pad or 0)


def build_encoder(layout: Layout) -> Any:
    """Return the OpenVINO graph of an embedding model; raises Unsupported, saying why, for a layout it cannot build."""
    _check_encoder(layout)
    ops = Ops(read_weights(layout.transformer))
    hidden = _transformer(layout).build(ops, layout.config)
    vectors = _pooled(ops, hidden, layout.pooling)
    for module in layout.modules:
        vectors = _module(ops, vectors, module)
    if layout.dimension is not None:
        vectors = ops.first(vectors, layout.dimension)
    return ops.model(vectors)


def build_reranker(layout: Layout) -> Any:
    """Return the graph of a cross-encoder, which gives logits (pairs, 1); raises as `build_encoder`."""
    transformer = _transformer(layout)
    if transformer.head is None:
        raise Unsupported(f"no scoring head is known for the model type {layout.model_type}")
    ops = Ops(read_weights(layout.transformer))
    hidden = transformer.build(ops, layout.config)
    return ops.model(transformer.head(ops, _cls(ops, hidden)))


def _transformer(layout: Layout) -> Transformer:
    config, model_type = layout.config, layout.model_type
    if model_type not in _TRANSFORMERS:
        raise Unsupported(f"the model type {model_type} is not among those that are built from their weights")
    transformer = _TRANSFORMERS[model_type]
    names = [str(name) for name in config.get("architectures") or []]
    if not all(name.startswith(transformer.architectures) for name in names):
        if config.get("auto_map"):
            raise needs_own_code(layout.folder, names[0])
        raise Unsupported(f"the architecture {names[0]} is not the usual one of the model type {model_type}")
    return transformer


def _check_encoder(layout: Layout) -> None:
    if layout.first != "Transformer":
        raise Unsupported(f"its first module is {layout.first}")
    if not layout.pooling:
        raise Unsupported("no module pools the token vectors")
    if not layout.include_prompt and any(layout.prompts.values()):
        raise Unsupported("the tokens of the prompt are left out of the pooling")
    settings = layout.settings
    if settings.get("transformer_task", "feature-extraction") != "feature-extraction" or settings.get(
        "query_expansion"
    ):
        raise Unsupported("the transformer is not used to extract features")
    arguments = [settings.get(name) for name in ("model_kwargs", "model_args", "config_kwargs", "config_args")]
    if any(arguments) or settings.get("processing_kwargs"):
        raise Unsupported("the files pass arguments to transformers")
    kinds = [module.kind for module in layout.modules]
    if kinds and kinds[0] != "Pooling":
        raise Unsupported(f"the module {kinds[0]} follows the transformer")


def _module(ops: Ops, vectors: Node, module: Module) -> Node:
    """Return the vectors after one of the modules that follow the transformer."""
    if module.kind in ("Pooling", "Dropout"):
        return vectors
    if module.kind == "Normalize":
        return ops.unit(vectors)
    weights = read_weights(module.folder)
    if module.kind == "LayerNorm":
        return ops.layer_norm(vectors, weights["norm.weight"], weights["norm.bias"], 1e-5)
    if module.kind == "Dense":
        activation = str(module.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
        name = activation.rpartition(".")[2]
        names = [module.config.get(key, "sentence_embedding") for key in ("module_input_name", "module_output_name")]
        if name in _DENSE_ACTIVATIONS and names[0] == names[1] == "sentence_embedding":
            if module.config.get("use_residual"):
                raise Unsupported("a Dense module adds its input to its output")
            dense = ops.affine(vectors, weights["linear.weight"], weights.get("linear.bias"))
            return ops.activation(dense, _DENSE_ACTIVATIONS[name])
        raise Unsupported(f"a Dense module uses {activation}")
    raise Unsupported(f"the module {module.kind} is not among those that are built from their weights")


def _pooled(ops: Ops, hidden: Node, modes: list[str]) -> Node:
    op = openvino().opset13
    pools = {
        "cls": _cls,
        "max": _maximum,
        "mean": lambda ops, hidden: _weighted(ops, hidden, ops.mask),
        "mean_sqrt_len_tokens": lambda ops, hidden: _weighted(ops, hidden, ops.mask, root=True),
        "weightedmean": lambda ops, hidden: _weighted(
            ops, hidden, op.multiply(ops.mask, op.add(op.convert(ops.places, "f32"), np.float32(1)))
        ),
        "lasttoken": _last,
    }
    vectors = [pools[mode](ops, hidden) for mode in modes]
    return vectors[0] if len(vectors) == 1 else op.concat(vectors, 1)


def _cls(ops: Ops, hidden: Node) -> Node:
    return openvino().opset13.gather(hidden, np.int64(0), np.int64(1))


def _last(ops: Ops, hidden: Node) -> Node:
    op = openvino().opset13
    last = op.subtract(op.convert(op.reduce_sum(ops.mask, np.array([1]), True), "i64"), np.int64(1))
    return op.squeeze(op.gather(hidden, last, np.int64(1), batch_dims=1), np.array([1]))


def _maximum(ops: Ops, hidden: Node) -> Node:
    op = openvino().opset13
    masked = op.add(
        hidden, op.unsqueeze(op.multiply(op.subtract(np.float32(1), ops.mask), np.float32(-1e30)), np.int64(2))
    )
    return op.reduce_max(masked, np.array([1]))


def _weighted(ops: Ops, hidden: Node, weights: Node, *, root: bool = False) -> Node:
    """Return the mean of token vectors under weights (texts, tokens), or with `root` the sum by the root of theirs."""
    op = openvino().opset13
    total = op.reduce_sum(op.multiply(hidden, op.unsqueeze(weights, np.int64(2))), np.array([1]))
    divisor = op.maximum(op.reduce_sum(weights, np.array([1]), True), np.float32(1e-9))
    return op.divide(total, op.sqrt(divisor) if root else divisor)
