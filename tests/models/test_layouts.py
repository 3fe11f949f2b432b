"""Graphs built from the weights give the vectors of sentence-transformers, whatever the layout."""

from pathlib import Path

import pytest

from search.models import Encoder

from .conftest import TEXTS
from .small_models import edit_json, sentence_folder, transformer_folder

TYPES = ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta", "camembert"]
ROTARY = ["modernbert", "qwen3", "gemma3_text"]
LENGTHS = ["word " * count for count in (1, 3, 8, 9, 30, 31, 140, 700)]
ALL_TEXTS = [*TEXTS, *LENGTHS, "[MASK] <mask> [SEP] </s> <pad> [PAD] in a text", "-" * 3000]


@pytest.fixture(scope="module")
def transformers_of(tmp_path_factory):
    """Return a function that gives the folder of a small random transformer of a type."""
    made: dict[str, Path] = {}

    def folder(model_type: str) -> Path:
        if model_type not in made:
            made[model_type] = transformer_folder(tmp_path_factory.mktemp(model_type), model_type)
        return made[model_type]

    return folder


def lowest_cosine(folder: Path, encoder: Encoder) -> float:
    """Return the lowest cosine to sentence-transformers over many texts, as questions and as documents."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True).float()
    lowest = 1.0
    for kind, encode in {"query": model.encode_query, "document": model.encode_document}.items():
        theirs = encode(ALL_TEXTS, normalize_embeddings=True, show_progress_bar=False)
        lowest = min(lowest, float((encoder.encode(ALL_TEXTS, kind) * theirs).sum(1).min()))
    return lowest


def assert_built_and_equal(folder: Path) -> Encoder:
    encoder = Encoder(folder, precision="fp32")
    assert encoder.backend == "openvino"
    assert lowest_cosine(folder, encoder) > 0.99999
    return encoder


@pytest.mark.parametrize("model_type", [*TYPES, *ROTARY])
def test_each_transformer_with_mean_pooling(transformers_of, tmp_path, model_type, monkeypatch):
    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    assert_built_and_equal(sentence_folder(tmp_path / "model", transformers_of(model_type), normalized=True))


@pytest.mark.parametrize(
    "layout",
    [
        {"pooling": "cls", "normalized": True, "prompts": {"query": "find: "}},
        {"pooling": "max", "max_length": 40},
        {"pooling": "lasttoken", "prompts": {"query": "question: ", "passage": "article: "}},
        {"pooling": "weightedmean"},
        {"pooling": "mean_sqrt_len_tokens"},
        {"pooling": ["cls", "mean", "max"], "dense": [(30, "Tanh"), (20, "Identity")], "layer_norm": True},
        {"dense": [(32, "GELU")], "normalized": True, "truncate_dim": 16},
    ],
    ids=str,
)
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_each_module_that_follows(transformers_of, tmp_path, model_type, layout, monkeypatch):
    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    encoder = assert_built_and_equal(sentence_folder(tmp_path / "model", transformers_of(model_type), **layout))
    assert encoder.dimension == layout.get("truncate_dim", layout.get("dense", [(48,)])[-1][0])
    assert encoder.max_length == layout.get("max_length", 512)


PRESET_LAYOUTS = {
    # Of each preset: the transformer, and what stands in its files besides.
    "pubmedbert": ("bert", {"max_length": 512}),
    "biomedbert": ("bert", {"normalized": True}),
    "mdbr-leaf-ir": ("bert", {"dense": [(64, "Identity")], "normalized": True, "prompts": {"query": "Represent: "}}),
    "bge-base": ("bert", {"pooling": "cls", "normalized": True}),
    "gte-base": ("bert", {"normalized": True}),
    "arctic-m": ("bert", {"pooling": "cls", "normalized": True, "prompts": {"query": "Represent: "}}),
    "denseon": ("modernbert", {"pooling": "cls", "prompts": {"query": "query: ", "document": "document: "}}),
    "bioclinical-modernbert": ("modernbert", {}),
    "qwen3": ("qwen3", {"pooling": "lasttoken", "normalized": True, "prompts": {"query": "Instruct: find\nQuery:"}}),
    "embeddinggemma": (
        "gemma3_text",
        {
            "dense": [(96, "Identity"), (48, "Identity")],
            "normalized": True,
            "prompts": {"query": "task: search result | query: ", "document": "title: none | text: "},
        },
    ),
    "mpnet": ("mpnet", {"normalized": True, "max_length": 384}),
}


@pytest.mark.parametrize("name", PRESET_LAYOUTS)
def test_the_layout_of_each_preset_with_small_random_weights(transformers_of, tmp_path, name, monkeypatch):
    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    model_type, layout = PRESET_LAYOUTS[name]
    folder = sentence_folder(tmp_path / "model", transformers_of(model_type), **layout)
    if model_type == "qwen3":
        edit_json(folder / "tokenizer_config.json", padding_side="left")
    assert not assert_built_and_equal(folder).notes


def _halved(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    edit_json(folder / "config.json", dtype="bfloat16")


def _as_torch_archive(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    # A slice and a transposed view: their storage holds more than they do, in another order.
    name = next(name for name in weights if name.endswith("key.weight"))
    weights[name] = weights[name].T.contiguous().T
    torch.save({key: torch.nn.Parameter(value) for key, value in weights.items()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _in_parts(folder: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1


def _vocabulary_only(folder: Path) -> None:
    import json

    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    words = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
    if "merges" in vocabulary:
        (folder / "vocab.json").write_text(json.dumps(vocabulary["vocab"]))
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in vocabulary["merges"]]
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    else:
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def _cased(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False)


def _lower_cased(folder: Path) -> None:
    edit_json(folder / "sentence_bert_config.json", do_lower_case=True)


def _cut_at_the_start(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", truncation_side="left")


def _other_lengths(folder: Path) -> None:
    edit_json(folder / "sentence_bert_config.json", query_length=7, document_length=30)


def _old_layout(folder: Path) -> None:
    import json

    types = ["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(zip(["0_Transformer", "1_Pooling"], types, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    pooling = {"word_embedding_dimension": 48, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "0_Transformer").mkdir()
    for file in list(folder.iterdir()):
        if file.is_file() and file.name not in ("modules.json", "config_sentence_transformers.json"):
            file.rename(folder / "0_Transformer" / file.name)
    (folder / "0_Transformer" / "sentence_bert_config.json").write_text(
        '{"max_seq_length": 50, "do_lower_case": false}'
    )


def _approximate_gelu(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_act="gelu_new")


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
@pytest.mark.parametrize(
    "change",
    [
        _halved, _as_torch_archive, _in_parts, _vocabulary_only, _cased, _lower_cased, _cut_at_the_start,
        _other_lengths, _old_layout, _approximate_gelu,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_each_way_in_which_the_files_may_be_written(transformers_of, tmp_path, model_type, change, monkeypatch):
    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    folder = sentence_folder(tmp_path / "model", transformers_of(model_type))
    change(folder)
    assert_built_and_equal(folder)


@pytest.mark.parametrize("model_type", TYPES)
def test_weights_under_the_name_of_a_model_with_a_head(tmp_path, model_type, monkeypatch):
    monkeypatch.setattr("search.models.compile._trace", lambda *_: pytest.fail("it was traced with torch"))
    encoder = assert_built_and_equal(transformer_folder(tmp_path / "model", model_type, head="ForMaskedLM"))
    assert "was trained for search" in encoder.notes[0]
