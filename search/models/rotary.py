"""The transformers with rotary positions that are built from their weights: ModernBERT, Qwen3, Gemma 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search.models.encoders import HIDDEN, Node, Ops, Transformer, Unsupported, all_positions
from search.models.runtime import openvino

__all__ = ["ROTARY_TRANSFORMERS"]

_Config = Mapping[str, Any]
_SLIDING, _FULL = "sliding_attention", "full_attention"


def _modernbert(ops: Ops, config: _Config) -> Node:
    op = openvino().opset13
    prefix = ops.prefix("embeddings.tok_embeddings.weight")
    heads, eps = int(config.get("num_attention_heads", 12)), float(config.get("norm_eps", 1e-5))
    size = int(config.get("hidden_size", 768)) // heads
    count, every = int(config.get("num_hidden_layers", 22)), int(config.get("global_attn_every_n_layers", 3))
    kinds = config.get("layer_types") or [_SLIDING if number % every else _FULL for number in range(count)]
    thetas = {
        _FULL: _theta(config, _FULL, config.get("global_rope_theta", 160_000.0)),
        _SLIDING: _theta(config, _SLIDING, config.get("local_rope_theta", 10_000.0)),
    }
    angles = {kind: _angles(ops, theta, size) for kind, theta in thetas.items()}
    near = _window(ops, int(config.get("local_attention", 128)) // 2)
    masks = {_FULL: ops.padding, _SLIDING: op.add(ops.padding, near)}
    x = ops.norm(
        ops.embedding(ops.ids, ops.weight(f"{prefix}embeddings.tok_embeddings.weight")), f"{prefix}embeddings.norm", eps
    )
    for number, kind in enumerate(kinds):
        layer = f"{prefix}layers.{number}."
        normed = ops.norm(x, f"{layer}attn_norm", eps) if number else x
        parts = op.split(ops.linear(normed, f"{layer}attn.Wqkv"), np.int64(2), 3)
        query, key, value = (ops.split_heads(part, heads) for part in parts.outputs())
        attended = ops.attention(_turned(query, angles[kind]), _turned(key, angles[kind]), value, masks[kind])
        x = op.add(x, ops.linear(attended, f"{layer}attn.Wo"))
        inner, gate = op.split(
            ops.linear(ops.norm(x, f"{layer}mlp_norm", eps), f"{layer}mlp.Wi"), np.int64(2), 2
        ).outputs()
        gated = op.multiply(ops.activation(inner, str(config.get("hidden_activation", "gelu"))), gate)
        x = op.add(x, ops.linear(gated, f"{layer}mlp.Wo"))
    return ops.norm(x, f"{prefix}final_norm", eps)


def _qwen3(ops: Ops, config: _Config) -> Node:
    op = openvino().opset13
    if not config.get("is_causal", True) or _SLIDING in (config.get("layer_types") or []):
        raise Unsupported("its attention is not the usual one of Qwen3")
    prefix = ops.prefix("embed_tokens.weight")
    eps = float(config.get("rms_norm_eps", 1e-6))
    size = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    angles = _angles(ops, _theta(config, None, config.get("rope_theta", 10_000.0)), size)
    mask = op.add(ops.padding, _causal(ops))
    x = ops.embedding(ops.ids, ops.weight(f"{prefix}embed_tokens.weight"))
    for number in range(int(config["num_hidden_layers"])):
        layer = f"{prefix}layers.{number}."
        normed = _rms(ops, x, f"{layer}input_layernorm", eps)
        attended = _grouped_attention(ops, normed, f"{layer}self_attn.", config, angles, mask, eps, shift=0.0)
        x = op.add(x, attended)
        x = op.add(x, _gated(ops, _rms(ops, x, f"{layer}post_attention_layernorm", eps), f"{layer}mlp.", "silu"))
    return _rms(ops, x, f"{prefix}norm", eps)


def _gemma3(ops: Ops, config: _Config) -> Node:
    op = openvino().opset13
    if config.get("attn_logit_softcapping") or config.get("final_logit_softcapping"):
        raise Unsupported("its attention is capped")
    prefix = ops.prefix("embed_tokens.weight")
    eps, size = float(config.get("rms_norm_eps", 1e-6)), int(config.get("head_dim", 256))
    count, every = int(config["num_hidden_layers"]), int(config.get("sliding_window_pattern", 6))
    kinds = config.get("layer_types") or [_SLIDING if (number + 1) % every else _FULL for number in range(count)]
    angles = {
        _FULL: _angles(ops, _theta(config, _FULL, config.get("rope_theta", 1_000_000.0)), size),
        _SLIDING: _angles(ops, _theta(config, _SLIDING, config.get("rope_local_base_freq", 10_000.0)), size),
    }
    both_ways = bool(config.get("use_bidirectional_attention"))
    window = int(config.get("sliding_window", 4096))
    base = ops.padding if both_ways else op.add(ops.padding, _causal(ops))
    # transformers halves the window where attention goes both ways, and counts the token itself.
    masks = {_FULL: base, _SLIDING: op.add(base, _window(ops, window // 2 if both_ways else window - 1))}
    scale = np.float32(float(config["hidden_size"]) ** 0.5)
    x = op.multiply(ops.embedding(ops.ids, ops.weight(f"{prefix}embed_tokens.weight")), scale)
    activation = str(config.get("hidden_activation", "gelu_pytorch_tanh"))
    for number, kind in enumerate(kinds):
        layer = f"{prefix}layers.{number}."
        normed = _rms(ops, x, f"{layer}input_layernorm", eps, shift=1.0)
        attended = _grouped_attention(
            ops, normed, f"{layer}self_attn.", config, angles[kind], masks[kind], eps, shift=1.0
        )
        x = op.add(x, _rms(ops, attended, f"{layer}post_attention_layernorm", eps, shift=1.0))
        inner = _gated(
            ops, _rms(ops, x, f"{layer}pre_feedforward_layernorm", eps, shift=1.0), f"{layer}mlp.", activation
        )
        x = op.add(x, _rms(ops, inner, f"{layer}post_feedforward_layernorm", eps, shift=1.0))
    return _rms(ops, x, f"{prefix}norm", eps, shift=1.0)


def _theta(config: _Config, kind: str | None, old: float) -> float:
    """Return the base of the rotary angles, of a kind of layer where kinds differ."""
    said: Mapping[str, Any] = config.get("rope_parameters") or {}
    said = said.get(kind) or said if kind else said
    scaling = config.get("rope_scaling") or {}
    if (
        said.get("rope_type", "default") != "default"
        or scaling.get("rope_type", scaling.get("type", "default")) != "default"
    ):
        raise Unsupported("its rotary positions are scaled")
    return float(said.get("rope_theta", old))


def _angles(ops: Ops, theta: float, size: int) -> tuple[Node, Node]:
    """Return cosines and sines of the angles by which each position turns a head, (1, 1, tokens, size)."""
    op = openvino().opset13
    steps = (1.0 / theta ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))).astype(np.float32)
    places = op.unsqueeze(op.convert(ops.places, "f32"), np.array([1, 3]))
    half = op.multiply(places, np.ascontiguousarray(steps))
    whole = op.concat([half, half], 3)
    return op.cos(whole), op.sin(whole)


def _turned(x: Node, angles: tuple[Node, Node]) -> Node:
    op = openvino().opset13
    first, second = op.split(x, np.int64(3), 2).outputs()
    half = op.concat([op.negative(second), first], 3)
    return op.add(op.multiply(x, angles[0]), op.multiply(half, angles[1]))


def _distances(ops: Ops) -> Node:
    """Return by how much each token (last axis) follows each, (tokens, tokens)."""
    op = openvino().opset13
    places = op.squeeze(ops.places, np.array([0]))
    return op.subtract(op.unsqueeze(places, np.int64(0)), op.unsqueeze(places, np.int64(1)))


def _hidden_where(ops: Ops, condition: Node) -> Node:
    op = openvino().opset13
    return op.unsqueeze(op.multiply(op.convert(condition, "f32"), HIDDEN), np.array([0, 1]))


def _window(ops: Ops, width: int) -> Node:
    op = openvino().opset13
    return _hidden_where(ops, op.greater(op.absolute(_distances(ops)), np.int64(width)))


def _causal(ops: Ops) -> Node:
    op = openvino().opset13
    return _hidden_where(ops, op.greater(_distances(ops), np.int64(0)))


def _rms(ops: Ops, x: Node, name: str, eps: float, shift: float = 0.0) -> Node:
    """Return x by the root of its mean square, times the weights (Gemma keeps them less one)."""
    op = openvino().opset13
    mean = op.reduce_mean(op.multiply(x, x), np.array([-1]), True)
    scaled = op.divide(x, op.sqrt(op.add(mean, np.float32(eps))))
    return op.multiply(scaled, (ops.weight(f"{name}.weight") + np.float32(shift)).astype(np.float32))


def _grouped_attention(
    ops: Ops, x: Node, name: str, config: _Config, angles: tuple[Node, Node], mask: Node, eps: float, *, shift: float
) -> Node:
    """Return attention in which several heads share keys and values; queries and keys are normalized by head."""
    op = openvino().opset13
    heads, groups = int(config["num_attention_heads"]), int(config["num_key_value_heads"])
    query = _rms(ops, ops.split_heads(ops.linear(x, f"{name}q_proj"), heads), f"{name}q_norm", eps, shift)
    key = _rms(ops, ops.split_heads(ops.linear(x, f"{name}k_proj"), groups), f"{name}k_norm", eps, shift)
    value = ops.split_heads(ops.linear(x, f"{name}v_proj"), groups)
    shared = np.repeat(np.arange(groups), heads // groups)
    key, value = (op.gather(part, shared, np.int64(1)) for part in (_turned(key, angles), value))
    scalar = config.get("query_pre_attn_scalar")
    attended = ops.attention(
        _turned(query, angles), key, value, mask, None if scalar is None else float(scalar) ** -0.5
    )
    return ops.linear(attended, f"{name}o_proj")


def _gated(ops: Ops, x: Node, name: str, activation: str) -> Node:
    op = openvino().opset13
    gate = ops.activation(ops.linear(x, f"{name}gate_proj"), activation)
    return ops.linear(op.multiply(gate, ops.linear(x, f"{name}up_proj")), f"{name}down_proj")


ROTARY_TRANSFORMERS = {
    "modernbert": Transformer(_modernbert, all_positions, ("ModernBert",)),
    "qwen3": Transformer(_qwen3, all_positions, ("Qwen3",)),
    "gemma3_text": Transformer(_gemma3, all_positions, ("Gemma3",)),
}
