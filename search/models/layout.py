"""What the files of a model say about how it makes vectors: its modules, pooling, prompts, lengths, dimension."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from search.errors import ModelError
from search.models.weights import WEIGHT_SUFFIXES, weight_files

__all__ = [
    "KINDS",
    "POOLING_MODES",
    "UNLIMITED",
    "Layout",
    "Module",
    "cannot_load",
    "module_weights",
    "needs_own_code",
    "read_json",
    "read_layout",
    "read_reranker_layout",
]

#: The kinds of text, which may differ in prompt and length.
KINDS = ("query", "document")
POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
#: The length in tokens of a model that sets none.
UNLIMITED = 1_000_000

_OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_SETTINGS_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
#: What config_sentence_transformers.json calls a model that gives no single vector a text.
_OTHER_KINDS = {
    "CrossEncoder": "a cross-encoder, which scores pairs of texts. Name it under `rerank`",
    "SparseEncoder": "a sparse encoder (SPLADE), which gives weights of words. Search by words needs no model",
    "MultiVectorEncoder": "a multi-vector model (ColBERT), which gives a vector for each token",
}
_HEADS = {
    "ForSequenceClassification": "a classifier or cross-encoder. If it scores pairs of texts, name it under `rerank`",
    "ForTokenClassification": "a token classifier",
    "ForQuestionAnswering": "a question-answering model, which marks answers in a text",
    "ForMultipleChoice": "a multiple-choice model",
}
_LANGUAGE_MODEL_HEADS = ("ForMaskedLM", "ForPreTraining", "ForCausalLM", "LMHeadModel", "WithLMHead")


class Module(msgspec.Struct, frozen=True):
    """A step after the transformer: its class without the package, its folder, and what its config.json says."""

    kind: str
    folder: Path
    config: dict[str, Any]


class Layout(msgspec.Struct, kw_only=True):
    """How a model makes a vector of a text, in effect: what its files say, and what was chosen in their place.

    `first` is the kind of the first module, the transformer as a rule; `modules` are those that follow it.
    `prompts` and `max_length` (tokens) are by kind of text. `dimension` is the number of dimensions that are kept;
    None stands for all. `notes` are what a user should know of the model.
    """

    folder: Path
    transformer: Path
    config: dict[str, Any]
    settings: dict[str, Any]
    first: str
    modules: list[Module]
    pooling: list[str]
    include_prompt: bool
    prompts: dict[str, str]
    max_length: dict[str, int]
    dimension: int | None
    notes: list[str]

    @property
    def model_type(self) -> str:
        """The architecture by its name in transformers: `bert`, `xlm-roberta`, ..."""
        return str(self.config.get("model_type", ""))


def read_layout(
    folder: Path,
    *,
    pooling: str | None = None,
    prompts: dict[str, str] | None = None,
    max_length: Mapping[Any, int] | None = None,
    dimension: int | None = None,
) -> Layout:
    """Read the layout of the embedding model in `folder`; the other arguments take the place of what its files say.

    Raises ModelError, saying what the folder holds, if that is not an embedding model that this program can run.
    """
    _check_weights(folder)
    options = read_json(folder / "config_sentence_transformers.json")
    _check_kind(folder, options)
    listed = _modules(folder)
    router = bool(listed) and listed[0].kind in ("Router", "Asym")
    transformer = listed[0].folder if listed and not router else folder
    config = read_json(transformer / "config.json")
    notes: list[str] = []
    modes, include_prompt = _pooling(listed, config)
    if not listed and not _is_static(config):
        _check_architecture(folder, config)
        if pooling is None:
            notes.append(_pooling_note(config, modes))
    settings = next((found for name in _SETTINGS_FILES if (found := read_json(transformer / name))), {})
    said = options.get("prompts") or {}
    default = said.get(options.get("default_prompt_name") or "")
    effective = {
        "query": said.get("query", default),
        "document": next((said[key] for key in ("document", "passage", "corpus") if key in said), default),
    }
    return Layout(
        folder=folder,
        transformer=transformer,
        config=config,
        settings=settings,
        first=listed[0].kind if listed else "Transformer",
        modules=listed if router else listed[1:],
        pooling=_chosen_modes(pooling) if pooling else modes,
        include_prompt=include_prompt,
        prompts={kind: (prompts or {}).get(kind, effective[kind] or "") for kind in KINDS},
        max_length=_lengths(transformer, config, settings, max_length or {}),
        dimension=dimension or options.get("truncate_dim"),
        notes=notes,
    )


def read_reranker_layout(folder: Path) -> Layout:
    """Read the layout of the cross-encoder in `folder`; raises ModelError if it holds no model with one score."""
    _check_weights(folder)
    listed = _modules(folder)
    transformer = listed[0].folder if listed else folder
    config = read_json(transformer / "config.json")
    heads = [str(name) for name in config.get("architectures") or []]
    said = read_json(folder / "config_sentence_transformers.json").get("model_type")
    if said != "CrossEncoder" and not any(name.endswith("ForSequenceClassification") for name in heads):
        raise ModelError(f"the model in {folder} has nothing that scores pairs of texts; it is not a reranker.")
    labels = config.get("num_labels") or len(config.get("id2label") or "1")
    if labels != 1:
        raise ModelError(f"the model in {folder} gives {labels} labels, not one score; it is not a reranker.")
    settings = read_json(transformer / "sentence_bert_config.json")
    return Layout(
        folder=folder,
        transformer=transformer,
        config=config,
        settings=settings,
        first="Transformer",
        modules=[],
        pooling=["cls"],
        include_prompt=True,
        prompts={},
        max_length={"pair": _lengths(transformer, config, settings, {})["document"]},
        dimension=None,
        notes=[],
    )


def cannot_load(folder: Path, error: Exception) -> ModelError:
    """Return the error for a model whose files cannot be read."""
    return ModelError(
        f"the model in {folder} cannot be loaded: {str(error) or type(error).__name__}. "
        "Its files may be damaged or incomplete: fetch the folder again."
    )


def needs_own_code(folder: Path, what: str) -> ModelError:
    """Return the error for a model that comes with Python code."""
    return ModelError(
        f"the model in {folder} needs code of its own ({what}), which this program does not run. Choose another model: "
        "`search models` lists some."
    )


def read_json(file: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds, {} if there is no such file; raises ModelError if it is damaged."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"the model's file {file} cannot be read: {error}. Fetch the model again.") from error
    return content if isinstance(content, dict) else {}


def _check_weights(folder: Path) -> None:
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path", "another model")
        raise ModelError(
            f"{folder} holds an adapter for {base}, not a whole model. Merge it into its base model first "
            "(`merge_and_unload` of the Python package peft) and name the folder of the result."
        )
    if not any(
        file.suffix in WEIGHT_SUFFIXES and file.is_file() for pattern in ("*", "*/*") for file in folder.glob(pattern)
    ):
        raise ModelError(
            f"{folder} holds no model: there is no model.safetensors or pytorch_model.bin in it. "
            "Give the folder in which sentence-transformers or transformers saved a model."
        )


def _check_kind(folder: Path, options: dict[str, Any]) -> None:
    kind = str(options.get("model_type") or "SentenceTransformer")
    if kind in _OTHER_KINDS:
        raise ModelError(f"the model in {folder} is {_OTHER_KINDS[kind]}; it is not an embedding model.")
    if "query_prefix" in options or "do_query_expansion" in options:
        raise ModelError(
            f"the model in {folder} is {_OTHER_KINDS['MultiVectorEncoder']}; it is not an embedding model."
        )


def _check_architecture(folder: Path, config: dict[str, Any]) -> None:
    """Raise ModelError for a folder without sentence-transformers' files whose architecture gives no text vectors."""
    for name in config.get("architectures") or []:
        what = next((text for head, text in _HEADS.items() if name.endswith(head)), None)
        if "colbert" in name.lower():
            what = _OTHER_KINDS["MultiVectorEncoder"]
        if what is not None:
            raise ModelError(f"the model in {folder} ({name}) is {what}; it is not an embedding model.")


def _modules(folder: Path) -> list[Module]:
    """Return the modules that modules.json lists, [] without that file."""
    try:
        listed = json.loads((folder / "modules.json").read_bytes())
        entries = [(str(entry["type"]), folder / str(entry["path"])) for entry in listed]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'modules.json'} cannot be read: {error}. Fetch the model again.") from error
    for kind, _ in entries:
        if kind.startswith("pylate.") or kind.endswith(".MultiVectorMask"):
            raise ModelError(
                f"the model in {folder} is {_OTHER_KINDS['MultiVectorEncoder']}; it is not an embedding model."
            )
        if kind.endswith((".SpladePooling", ".MLMTransformer")):
            raise ModelError(f"the model in {folder} is {_OTHER_KINDS['SparseEncoder']}; it is not an embedding model.")
        if not kind.startswith("sentence_transformers."):
            raise needs_own_code(folder, f"the module {kind}")
    return [Module(kind.rpartition(".")[2], path, read_json(path / "config.json")) for kind, path in entries]


def _pooling(modules: Sequence[Module], config: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the pooling modes, [] where no module pools, and whether the tokens of the prompt are pooled too."""
    if not modules:
        architecture = (config.get("architectures") or [""])[0]
        is_causal = architecture.endswith("ForCausalLM") and config.get("is_causal", True)
        return ["lasttoken" if is_causal else "mean"], True
    said = next((module.config for module in modules if module.kind == "Pooling"), None)
    if said is None:
        return [], True
    modes = said.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _OLD_POOLING_KEYS.items() if said.get(key)] or ["mean"]
    return [modes] if isinstance(modes, str) else list(modes), bool(said.get("include_prompt", True))


def _chosen_modes(pooling: str) -> list[str]:
    modes = pooling.split("+")
    unknown = [mode for mode in modes if mode not in POOLING_MODES]
    if unknown:
        raise ModelError(f"the pooling {unknown[0]!r} is not known; it is one of {', '.join(POOLING_MODES)}.")
    return modes


def _pooling_note(config: dict[str, Any], modes: Sequence[str]) -> str:
    architecture = (config.get("architectures") or [""])[0]
    if architecture.endswith(_LANGUAGE_MODEL_HEADS):
        return (
            f"this is a language model ({architecture}) whose files do not say that it was trained for search; "
            f"{modes[0]} pooling is assumed, and results may be poor"
        )
    return f"the model's files do not say how token vectors are pooled; {modes[0]} pooling is assumed"


def _is_static(config: dict[str, Any]) -> bool:
    return config.get("model_type") == "model2vec"


def _lengths(
    folder: Path, config: dict[str, Any], settings: dict[str, Any], chosen: Mapping[Any, int]
) -> dict[str, int]:
    """Return the most tokens of each kind of text: as chosen, else by the rules of sentence-transformers."""
    arguments = settings.get("processor_kwargs") or settings.get("tokenizer_args") or {}
    longest = settings.get("max_seq_length") or arguments.get("model_max_length")
    if longest is None:
        longest = read_json(folder / "tokenizer_config.json").get("model_max_length") or UNLIMITED
        positions = config.get("max_position_embeddings", -1)
        if positions is not None and positions != -1:
            longest = min(longest, positions)
    said = {kind: chosen.get(kind) or settings.get(f"{kind}_length") or longest for kind in KINDS}
    return {kind: int(min(length, UNLIMITED)) for kind, length in said.items()}


def module_weights(layout: Layout) -> list[tuple[str, list[Path]]]:
    """Return the files of weights of each module, the transformer first: what decides vectors, and nothing else."""
    files = [("transformer", weight_files(layout.transformer))]
    return files + [(module.kind, weight_files(module.folder)) for module in layout.modules]
