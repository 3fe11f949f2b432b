"""Model folders: on this machine, in the cache of the Hugging Face hub, or downloaded into it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from search.errors import ModelError
from search.models.weights import WEIGHT_SUFFIXES

__all__ = ["cached_snapshot", "find_folder", "holds_weights", "split_revision"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_TIMEOUT_SECONDS = 5.0
#: Files of a repository that a model may be made of: those of its root and of the folders of its modules.
_USEFUL_FILE = re.compile(
    r"([\w.-]+/)?([\w.-]+\.(json|txt|model|tiktoken)|(model|pytorch_model)[\w.-]*\.(safetensors|bin))"
)
_OTHER_FOLDERS = frozenset({"onnx", "openvino", "eval", "checkpoints", "coreml", "assets", "images"})


def split_revision(name: str) -> tuple[str, str | None]:
    """Split `name@revision`; a folder of that name is left whole."""
    if Path(name).expanduser().exists():
        return name, None
    name, _, revision = name.partition("@")
    return name, revision or None


def find_folder(name: str, revision: str | None = None, *, complete: bool = True) -> Path:
    """Return the folder of a model: a local one, or that of a name on the Hugging Face hub.

    A snapshot in the cache that lacks what sentence-transformers would read is completed from the hub, where that can
    be reached, unless `complete` is false. Raises ModelError, saying what to do, if there is no such model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(name) or folder.exists():
        what = "is a file, not the folder of a model" if folder.exists() else "does not exist"
        raise ModelError(
            f"{name} {what}. Give a folder, a name on the Hugging Face hub, or a name that `search models` lists."
        )
    snapshot = cached_snapshot(name, revision)
    if snapshot is not None and (not complete or _is_complete(snapshot)):
        return snapshot
    if snapshot is not None and (snapshot / _MARK).exists():
        return snapshot
    try:
        return _download(name, revision)
    except _Unreachable:
        if snapshot is not None:
            return snapshot
        raise


#: Says in a snapshot that nothing of the repository is missing from it that a model may be made of.
_MARK = ".complete"


def holds_weights(folder: Path) -> bool:
    """Whether weights lie in the folder or in that of a module (a broken link, left by a cut-off download, is none)."""
    return folder.is_dir() and any(
        file.suffix in WEIGHT_SUFFIXES and file.is_file() for pattern in ("*", "*/*") for file in folder.glob(pattern)
    )


def cached_snapshot(name: str, revision: str | None = None) -> Path | None:
    """Return the snapshot of `name` in the Hugging Face cache, without importing huggingface_hub (0.3 s)."""
    repository = _hub_cache() / f"models--{name.replace('/', '--')}"
    reference = repository / "refs" / (revision or "main")
    commit = reference.read_text("utf-8").strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / commit if commit else None
    return snapshot if snapshot is not None and holds_weights(snapshot) else None


def _hub_cache() -> Path:
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not hub:
        user_cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        hub = str(Path(os.environ.get("HF_HOME") or Path(user_cache) / "huggingface") / "hub")
    return Path(hub).expanduser()


def _is_complete(snapshot: Path) -> bool:
    """Whether the snapshot lists modules, and the folder of each has what it names."""
    try:
        modules = json.loads((snapshot / "modules.json").read_bytes())
        kinds = [(str(module["type"]).rpartition(".")[2], snapshot / str(module["path"])) for module in modules]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    read = {"Pooling": "config.json", "Dense": "config.json", "Transformer": "config.json"}
    if not all((folder / read[kind]).is_file() for kind, folder in kinds if kind in read):
        return False
    tokenizers = (
        "tokenizer.json",
        "vocab.txt",
        "vocab.json",
        "sentencepiece.bpe.model",
        "spiece.model",
        "tokenizer.model",
    )
    return any((folder / name).is_file() for _, folder in kinds[:1] for name in tokenizers)


class _Unreachable(ModelError):
    """The hub does not answer."""


def _download(name: str, revision: str | None) -> Path:
    """Download what is missing of a model; fails within seconds if the hub is out of reach or has no such model."""
    remedy = (
        "Copy the model's folder to this machine and name that folder as the model, or run once where there is a "
        "network; the model that needs none is: builtin."
    )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise _Unreachable(f"the model {name} is not on this machine and HF_HUB_OFFLINE forbids a download. {remedy}")
    # Only the model's files are requested; nothing about this machine is sent.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, errors, get_token

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    hub = HfApi(endpoint=endpoint)
    try:
        info = hub.model_info(name, revision=revision, timeout=_HUB_TIMEOUT_SECONDS)
        files = _needed([file.rfilename for file in info.siblings or []])
        snapshot = Path(
            hub.snapshot_download(name, revision=info.sha, allow_patterns=files, cache_dir=str(_hub_cache()))
        )
    except errors.GatedRepoError as error:
        raise ModelError(
            f"the model {name} is given only to people who accept its conditions. Accept them at {endpoint}/{name}, "
            "then put a token of that account into the environment variable HF_TOKEN."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"the model {name} has no revision {revision} on {endpoint}.") from error
    except errors.RepositoryNotFoundError as error:
        private = "that HF_TOKEN may read" if get_token() else "that is public; for a private one, set HF_TOKEN"
        raise ModelError(
            f"there is no model {name}: no such folder here, and {endpoint} has none of that name {private}. "
            "`search models` lists names."
        ) from error
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise _Unreachable(
            f"the model {name} is not on this machine and {endpoint} cannot be reached ({error}). {remedy}"
        ) from error
    _note(snapshot, revision)
    return snapshot


def _note(snapshot: Path, revision: str | None) -> None:
    """Keep for the next start that the snapshot is complete, and which commit a branch stood for."""
    references = snapshot.parents[1] / "refs"
    try:
        (snapshot / _MARK).touch()
        if revision != snapshot.name:
            references.mkdir(exist_ok=True)
            (references / (revision or "main")).write_text(snapshot.name, "utf-8")
    except OSError:
        pass


def _needed(files: list[str]) -> list[str]:
    """Return which files of a repository to fetch: of two formats of the same weights the safer one only."""
    useful = [
        file for file in files if _USEFUL_FILE.fullmatch(file) and not (set(Path(file).parts[:-1]) & _OTHER_FOLDERS)
    ]
    safe = {str(Path(file).parent) for file in useful if file.endswith(".safetensors")}
    return [
        file for file in useful if not (file.endswith((".bin", ".bin.index.json")) and str(Path(file).parent) in safe)
    ]
