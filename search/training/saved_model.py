"""Write a model with other weights than its base's, and mix the weights of two."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.errors import TrainingError

__all__ = ["mix_models", "mix_weights", "refuse_existing", "save_model"]

_WEIGHTS = "model.safetensors"


def mix_models(base: Path, trained: Path, output: Path, share: float) -> None:
    """Write the model whose weights are `share` of the trained model's and the rest of its base's.

    What a short training gains is kept for the greater part, and what it loses of all else that the base knew is lost
    less (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Raises TrainingError: a folder without
    weights, two models that are not of one shape, an output that is there.
    """
    refuse_existing(output)
    new, old = _load_weights(trained), _load_weights(base)
    different = sorted(
        name
        for name in new.keys() | old.keys()
        if getattr(new.get(name), "shape", None) != getattr(old.get(name), "shape", None)
    )
    if different:
        raise TrainingError(f"{trained} was not trained from {base}: they differ in the shape of {different[0]}")
    partial = output.with_name(f"{output.name}.partial")
    try:
        save_model(base, partial, mix_weights(new, old, share))
        partial.replace(output)
    except OSError as error:
        raise TrainingError(f"{output} cannot be written: {error}") from error


def mix_weights(trained: Mapping[str, Any], base: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return `share` of the trained weights plus the rest of the base's."""
    return {name: share * value.float() + (1 - share) * base[name].float() for name, value in trained.items()}


def refuse_existing(output: Path) -> None:
    """Raise TrainingError where a new model would replace something."""
    if output.exists():
        raise TrainingError(f"{output} already exists; choose another name or remove it")


def save_model(base: Path, output: Path, weights: Mapping[str, Any]) -> None:
    """Copy the base's folder with other weights, in float16 and with float32 as the type to compute in."""
    import torch
    from safetensors.torch import load_file, save

    shutil.rmtree(output, ignore_errors=True)
    ignored = shutil.ignore_patterns("README.md", "data_config.json", "vocab.txt", ".gitattributes", _WEIGHTS)
    shutil.copytree(base, output, ignore=ignored)
    names = load_file(base / _WEIGHTS)
    halves = {name: weights[name].to(torch.float16).contiguous() for name in names if name in weights}
    # Written by Python, whose errors of a full disk are OSErrors; the libraries have others.
    (output / _WEIGHTS).write_bytes(save(halves, metadata={"format": "pt"}))
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    # A loader that takes the file's type would compute in half precision, which a CPU does slowly and badly.
    config.pop("torch_dtype", None)
    config["dtype"] = "float32"
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _load_weights(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{folder} has no weights that can be read ({error}); give the folder of a model"
        ) from error
    # Some files hold counters besides, which are the same in every model.
    return {name: value for name, value in weights.items() if value.dtype.is_floating_point}
