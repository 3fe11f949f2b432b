"""What is not an embedding model is refused by what it is; unusual embedding models are right, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from search.config import ModelConfig, PromptsConfig
from search.errors import ModelError
from search.models import Encoder, load_reranker

from .conftest import TEXTS
from .small_models import edit_json, sentence_folder, t5_folder, transformer_folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return transformer_folder(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture
def model(bert, tmp_path) -> Path:
    return sentence_folder(tmp_path / "model", bert)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float((first * second).sum(1).min())


def _kind(folder: Path, kind: str) -> None:
    edit_json(folder / "config_sentence_transformers.json", model_type=kind)


def _architecture(folder: Path, name: str, **config: object) -> None:
    (folder / "modules.json").unlink()
    edit_json(folder / "config.json", architectures=[name], **config)


def _module(folder: Path, kind: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_More", "type": kind})
    (folder / "modules.json").write_text(json.dumps(modules))


def _adapter(folder: Path) -> None:
    for name in ("config.json", "model.safetensors", "modules.json"):
        (folder / name).unlink()
    (folder / "adapter_model.safetensors").touch()
    edit_json(folder / "adapter_config.json", base_model_name_or_path="a/base")


REFUSED = {
    "CrossEncoder": (lambda folder: _kind(folder, "CrossEncoder"), "is a cross-encoder.* Name it under `rerank`"),
    "SparseEncoder": (lambda folder: _kind(folder, "SparseEncoder"), r"is a sparse encoder \(SPLADE\)"),
    "MultiVectorEncoder": (lambda folder: _kind(folder, "MultiVectorEncoder"), r"is a multi-vector model \(ColBERT\)"),
    "SpladePooling": (lambda folder: _module(folder, "sentence_transformers.models.SpladePooling"), "SPLADE"),
    "PyLate": (lambda folder: _module(folder, "pylate.models.Dense.Dense"), "ColBERT"),
    "HF_ColBERT": (lambda folder: _architecture(folder, "HF_ColBERT"), "ColBERT"),
    "classifier": (lambda folder: _architecture(folder, "BertForSequenceClassification"), "is a classifier or cross"),
    "question answering": (lambda folder: _architecture(folder, "BertForQuestionAnswering"), "is a question-answering"),
    "adapter": (_adapter, "holds an adapter for a/base, not a whole model"),
    "custom module": (lambda folder: _module(folder, "custom_st.Transformer"), "needs code of its own .*does not run"),
    "custom architecture": (
        lambda folder: _architecture(folder, "JinaBertForMaskedLM", auto_map={"AutoModel": "modeling.JinaBert"}),
        "needs code of its own .*does not run",
    ),
    "custom model type": (
        lambda folder: edit_json(folder / "config.json", model_type="new", auto_map={"AutoModel": "modeling.New"}),
        "needs code of its own .*does not run",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_an_embedding_model_is_refused_by_name(model, name):
    change, message = REFUSED[name]
    change(model)
    with pytest.raises(ModelError, match=message):
        Encoder(model).encode(["a text"])


def test_a_language_model_never_trained_for_search_is_said_to_be_one(bert, tmp_path):
    encoder = Encoder(transformer_folder(tmp_path / "language-model", "bert", head="ForMaskedLM"))
    assert encoder.notes == [
        "this is a language model (BertForMaskedLM) whose files do not say that it was trained for search; "
        "mean pooling is assumed, and results may be poor"
    ]
    assert "do not say how token vectors are pooled; mean pooling is assumed" in Encoder(bert).notes[0]
    assert not Encoder(ModelConfig(name=str(bert), pooling="cls")).notes


def test_an_embedding_model_is_not_a_reranker(model, bert, tmp_path):
    with pytest.raises(ModelError, match="nothing that scores pairs of texts; it is not a reranker"):
        load_reranker(model).score("a question", ["a text"])
    several = transformer_folder(tmp_path / "nli", "bert", head="ForSequenceClassification", num_labels=3)
    with pytest.raises(ModelError, match="gives 3 labels, not one score; it is not a reranker"):
        load_reranker(several)


@pytest.mark.parametrize("default", ["document", "query", None])
def test_a_router_sends_questions_and_documents_through_their_own_towers(bert, tmp_path, default):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Router
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    def tower(size: int) -> list:
        transformer = Transformer(str(bert))
        return [transformer, Pooling(48, pooling_mode="mean"), Dense(48, size)]

    import torch

    torch.manual_seed(6)
    router = Router.for_query_document(tower(32), tower(32))
    router.default_route = default
    folder = tmp_path / "router"
    SentenceTransformer(modules=[router], device="cpu").save(str(folder))
    theirs = SentenceTransformer(str(folder), device="cpu")
    encoder = Encoder(folder)
    for kind, encode in {"query": theirs.encode_query, "document": theirs.encode_document}.items():
        assert cosine(encoder.encode(TEXTS, kind), encode(TEXTS, normalize_embeddings=True)) > 0.99999


def test_a_router_whose_questions_go_through_static_embeddings(bert, minilm, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    rows = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), 48)).astype(np.float32)
    static = StaticEmbedding(tokenizer, embedding_weights=rows)
    router = Router.for_query_document([static], [Transformer(str(bert)), Pooling(48, pooling_mode="mean")])
    folder = tmp_path / "router"
    SentenceTransformer(modules=[router], device="cpu").save(str(folder))
    theirs = SentenceTransformer(str(folder), device="cpu")
    encoder = Encoder(folder)
    texts = [text for text in TEXTS if text.strip()]
    for kind, encode in {"query": theirs.encode_query, "document": theirs.encode_document}.items():
        assert cosine(encoder.encode(texts, kind), encode(texts, normalize_embeddings=True)) > 0.99999


def test_a_model_that_runs_on_torch_says_so(tmp_path, monkeypatch):
    from search import Index
    from search.models import trace

    folder = sentence_folder(tmp_path / "model", t5_folder(tmp_path / "transformer"), max_length=100)

    def fails(*_):
        raise RuntimeError("an operation is not known")

    monkeypatch.setattr(trace, "_convert", fails)
    encoder = Encoder(folder)
    reason = "it runs on torch, since it does not run on OpenVINO"
    assert encoder.backend == "torch" and any(note.startswith(reason) for note in encoder.notes)
    with Index.create(tmp_path / "index", model=str(folder)) as index:
        assert any(note.startswith(reason) for note in index.status().model_notes)


def test_static_embeddings_with_prompts_truncation_and_without_a_limit(minilm, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.enable_truncation(20)
    rows = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), 24)).astype(np.float32)
    folder = tmp_path / "static"
    module = StaticEmbedding(tokenizer, embedding_weights=rows)
    SentenceTransformer(modules=[module], prompts={"query": "find: "}, device="cpu").save(str(folder))
    theirs = SentenceTransformer(str(folder), device="cpu")
    texts = [text for text in TEXTS if text.strip()]
    for backend in ("auto", "torch"):
        encoder = Encoder(folder, backend=backend)
        assert encoder.backend == ("static" if backend == "auto" else "torch")
        for kind, encode in {"query": theirs.encode_query, "document": theirs.encode_document}.items():
            assert cosine(encoder.encode(texts, kind), encode(texts, normalize_embeddings=True)) > 0.99999


def test_a_mapping_takes_the_place_of_what_the_files_say(model, bert):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    config = ModelConfig(
        name=str(model),
        pooling="cls",
        prompts=PromptsConfig(query="query: ", document="passage: "),
        max_length={"query": 9, "document": 40},
        dimension=12,
    )
    encoder = Encoder(config)
    modules = [Transformer(str(bert), query_length=9, document_length=40), Pooling(48, pooling_mode="cls")]
    prompts = {"query": "query: ", "document": "passage: "}
    theirs = SentenceTransformer(modules=modules, prompts=prompts, truncate_dim=12, device="cpu")
    for kind, encode in {"query": theirs.encode_query, "document": theirs.encode_document}.items():
        expected = encode(TEXTS, normalize_embeddings=True)
        assert cosine(encoder.encode(TEXTS, kind), expected) > 0.99999
        assert cosine(Encoder(config, backend="torch").encode(TEXTS, kind), expected) > 0.99999
    assert encoder.dimension == 12
    assert encoder.settings.pooling == "cls"
    assert encoder.settings.max_length == {"query": 9, "document": 40}
    assert Encoder(encoder.settings).fingerprint == encoder.fingerprint != Encoder(model).fingerprint


def test_a_pooling_that_is_not_known_is_refused(model):
    with pytest.raises(ModelError, match="the pooling 'first' is not known; it is one of cls, max, mean"):
        Encoder(ModelConfig(name=str(model), pooling="first"))


def test_without_torch_the_extra_is_named(model, monkeypatch):
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "sentence_transformers" else known(name, *more)
    )
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["numpy>=1", "torch>=2.6; extra == 'models'"])
    edit_json(model / "config.json", model_type="electra", architectures=["ElectraModel"])
    with pytest.raises(ModelError, match=r"needs the extra `models`.*model type electra.*: pip install 'torch>=2.6'"):
        Encoder(model).encode(["a text"])


def test_articles_as_the_pair_that_medcpt_was_trained_on(tmp_path, monkeypatch):
    """Two towers, the vector of the first token, articles as (title, abstract), questions of 64 tokens."""
    import torch
    from msgspec.structs import replace
    from transformers import AutoModel, AutoTokenizer

    from search import Index
    from search.article import AbstractSection, Article
    from search.models import presets

    towers = {
        "document": transformer_folder(tmp_path / "article", "bert"),
        "query": transformer_folder(tmp_path / "question", "bert", initializer_range=0.5),
    }
    preset = replace(presets.PRESETS["medcpt"], **{kind: str(folder) for kind, folder in towers.items()})
    monkeypatch.setitem(presets.PRESETS, "medcpt", preset)

    def theirs(kind: str, texts: list, length: int) -> np.ndarray:
        tokenizer = AutoTokenizer.from_pretrained(towers[kind])
        inputs = tokenizer(texts, truncation=True, padding=True, return_tensors="pt", max_length=length)
        with torch.no_grad():
            first = AutoModel.from_pretrained(towers[kind])(**inputs).last_hidden_state[:, 0].numpy()
        return first / np.linalg.norm(first, axis=1, keepdims=True)

    pairs = [
        ("Aspirin and cancer", "We followed 240 adults. " * 60),
        ("Asthma", ""),
        ("A title " * 90, "An abstract " * 90),
    ]
    articles = [
        Article(pmid=pmid, title=title.strip(), abstract=(AbstractSection(text.strip()),) if text else ())
        for pmid, (title, text) in enumerate(pairs, 1)
    ]
    expected = theirs("document", [[article.title, article.abstract_text] for article in articles], 512)
    long_question = "does aspirin prevent cancer " * 20
    with Index.create(tmp_path / "index", model="medcpt") as index:
        index.add(articles[:2])
        index.add(articles[2:], encode=False)
        index.encode()
        with index._reader.view() as view:
            stored = view.store.vectors([1, 2, 3])[1]
        assert cosine(np.asarray(stored, np.float32), expected) > 0.9999
        asked = index.encoder.encode([long_question], "query")
        assert cosine(asked, theirs("query", [long_question], 64)) > 0.99999
        assert (index.status().model_settings.pairs, index.status().model_settings.pooling) == (True, "cls")
    with Index.open(tmp_path / "index") as index:
        (best,) = index.search(long_question, 1, mode="semantic", feedback=False)
        assert best.score == pytest.approx((expected @ asked[0]).max(), abs=1e-3)
