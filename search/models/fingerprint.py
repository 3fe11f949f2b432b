"""What a model is: a short hash of what decides its vectors, not of which files a tool has fetched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from search.files import cache_folder, digest, write_cached
from search.models.layout import Layout, cannot_load, module_weights, read_json
from search.models.tokenizer_files import TokenizerFiles, tokenizer_inputs, truncation_side

__all__ = ["model_fingerprint"]

#: Keys of a config.json that do not change what the model computes.
_INCIDENTAL_KEYS = frozenset(
    {
        "__version__", "_name_or_path", "name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype",
        "use_cache", "id2label", "label2id", "auto_map", "gradient_checkpointing", "initializer_range",
        "attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout",
    }
)  # fmt: skip
#: Modules after which a vector, once it has unit length, is the same.
_WITHOUT_EFFECT = frozenset({"Normalize", "Dropout"})


class _Remembered(msgspec.Struct):
    """Digests of files, and the state of these (name, size, mtime in ns) when they were computed."""

    files: list[tuple[str, int, int]]
    digests: list[str]


def model_fingerprint(layout: Layout) -> str:
    """Return 32 hex digits that stand for weights, tokenizer, pooling and other modules, prompts, length, dimension.

    Hashing the weights takes a second per GB, so their digests are remembered by path, sizes and times of change.
    Raises ModelError if a file of the model cannot be read.
    """
    try:
        weights = [(kind, files) for kind, files in module_weights(layout) if files]
        digests = _digests(layout, [file for _, files in weights for file in files])
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(layout.folder, error) from error
    description = json.dumps([_described(layout), digests], sort_keys=True)
    return hashlib.blake2b(description.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _described(layout: Layout) -> dict[str, Any]:
    modules = [(module.kind, _plain(module.config)) for module in layout.modules if module.kind != "Pooling"]
    while modules and modules[-1][0] in _WITHOUT_EFFECT:
        modules.pop()
    config = _plain(layout.config)
    if layout.config.get("auto_map"):
        # Custom code makes a different model of the same weights.
        config["architectures"] = layout.config.get("architectures")
    return {
        "config": config,
        "lower_case": bool(layout.settings.get("do_lower_case")),
        "truncation_side": truncation_side(layout),
        "modules": modules,
        "pooling": layout.pooling,
        "include_prompt": layout.include_prompt or not any(layout.prompts.values()),
        "prompts": layout.prompts,
        "max_length": layout.max_length,
        "dimension": layout.dimension,
    }


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _INCIDENTAL_KEYS}


def _digests(layout: Layout, weights: list[Path]) -> list[str]:
    """Return the digests of the files of weights, in order, and of the tokenizer."""
    options = [layout.transformer / name for name in ("tokenizer_config.json", "special_tokens_map.json")]
    files = [*weights, *tokenizer_inputs(layout), *(file for file in options if file.is_file())]
    state = [(str(file.relative_to(layout.folder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    lower_case = bool(layout.settings.get("do_lower_case"))
    key = f"{layout.folder.resolve()} {lower_case}"
    memory = cache_folder() / "fingerprints" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.json"
    try:
        remembered = msgspec.json.decode(memory.read_bytes(), type=_Remembered)
        if remembered.files == state:
            return remembered.digests
    except (OSError, msgspec.MsgspecError):
        pass
    digests = [*(digest(file) for file in weights), _tokenizer_digest(layout)]
    write_cached(memory, msgspec.json.encode(_Remembered(state, digests)))
    return digests


def _tokenizer_digest(layout: Layout) -> str:
    content = TokenizerFiles(layout).to_json()
    if content is not None:
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    options = _plain(read_json(layout.transformer / "tokenizer_config.json"))
    return " ".join([json.dumps(options, sort_keys=True), *(digest(file) for file in tokenizer_inputs(layout))])
