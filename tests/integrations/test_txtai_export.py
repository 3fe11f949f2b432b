"""What `search export --format txtai` writes is opened by plain txtai, with this program's scores, for any model."""

import warnings

import numpy as np
import pytest
from helpers import article
from models.small_models import edit_json, sentence_folder, t5_folder, transformer_folder

from search import Index
from search.config import ModelConfig, PromptsConfig
from search.errors import ExportError

TITLES = [
    "Aspirin and cancer of the colon",
    "Asthma in children",
    "Risk of stroke in adults",
    "Statins and muscle pain",
]
QUESTION = "the risk of cancer"

#: Layouts that txtai reads from the files of a model only in part.
LAYOUTS = {
    "dense": ("bert", {"dense": [(64, "Identity")], "normalized": True}),
    "gemma": (
        "gemma3_text",
        {
            "dense": [(96, "Identity"), (48, "Identity")],
            "normalized": True,
            "prompts": {"query": "q: ", "document": "d: "},
        },
    ),
    "cls and prompts": ("bert", {"pooling": "cls", "prompts": {"query": "query: ", "document": "passage: "}}),
    "short": ("bert", {"normalized": True, "max_length": 20}),
    "mean and max": ("mpnet", {"pooling": ["mean", "max"]}),
    "last token": ("qwen3", {"pooling": "lasttoken", "normalized": True}),
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def exported(tmp_path, model, **options):
    """An index of a model, exported; txtai's own view of it, and the scores that this program gives."""
    from txtai import Embeddings

    with Index.create(tmp_path / "index", model=model) as index:
        index.add([article(row, title, "long text of an abstract. " * 12) for row, title in enumerate(TITLES, 1)])
        assert index.export_txtai(tmp_path / "export", **options) == len(TITLES)
        expected = [(hit.pmid, hit.score) for hit in index.search(QUESTION, feedback=False)]
    embeddings = Embeddings()
    embeddings.load(str(tmp_path / "export"))
    return embeddings, expected


def assert_same(embeddings, expected):
    # txtai shows no negative scores.
    expected = [(pmid, score) for pmid, score in expected if score > 0]
    found = embeddings.search(QUESTION, 10, weights=1.0)
    assert expected
    assert [int(row["id"]) for row in found] == [pmid for pmid, _ in expected]
    assert [row["score"] for row in found] == pytest.approx([score for _, score in expected], abs=2e-3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_has_the_same_scores(tmp_path, name):
    model_type, layout = LAYOUTS[name]
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", model_type), **layout)
    if model_type == "qwen3":
        edit_json(folder / "tokenizer_config.json", padding_side="left")
    embeddings, expected = exported(tmp_path, str(folder))
    assert_same(embeddings, expected)
    # What is added later is encoded by txtai, as the rest was.
    with Index.open(tmp_path / "index") as index:
        vector = index.encoder.encode(["Zebras and stripes"])[0]
    assert vector @ np.asarray(embeddings.batchtransform(["Zebras and stripes"], "data")[0]) > 0.999
    embeddings.close()


def test_what_was_chosen_in_place_of_the_files(tmp_path):
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", "bert"), normalized=True)
    prompts = PromptsConfig(query="query: ", document="passage: ")
    model = ModelConfig(name=str(folder), prompts=prompts, dimension=16, max_length=24)
    embeddings, expected = exported(tmp_path, model)
    assert_same(embeddings, expected)
    assert embeddings.config["dimensionality"] == 16 and embeddings.config["instructions"]["query"] == "query: "
    embeddings.close()


def test_static_embeddings(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    transformer = transformer_folder(tmp_path / "transformer", "bert")
    tokenizer = Tokenizer.from_file(str(transformer / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=32)]).save(str(tmp_path / "model"))
    embeddings, expected = exported(tmp_path, str(tmp_path / "model"))
    assert_same(embeddings, expected)
    assert embeddings.config["method"] == "sentence-transformers"
    embeddings.close()


def test_an_encoder_of_t5(tmp_path):
    model = sentence_folder(tmp_path / "model", t5_folder(tmp_path / "transformer"), normalized=True, max_length=100)
    embeddings, expected = exported(tmp_path, str(model))
    assert_same(embeddings, expected)
    assert embeddings.config["method"] == "sentence-transformers"
    embeddings.close()


def test_words_on_request(tmp_path):
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", "bert"), normalized=True)
    embeddings, expected = exported(tmp_path, str(folder), hybrid=True)
    assert_same(embeddings, expected)
    (word,) = embeddings.search("muscle", 1, weights=0.0)
    assert word["id"] == "4"
    embeddings.close()
    with Index.open(tmp_path / "index") as index:
        index.export_txtai(tmp_path / "plain", index.get_many([1, 2]))
    from txtai import Embeddings

    plain = Embeddings()
    plain.load(str(tmp_path / "plain"))
    assert plain.scoring is None and plain.graph is None and plain.count() == 2
    plain.close()


def test_a_graph_on_request(tmp_path):
    pytest.importorskip("grandcypher", reason="txtai's graphs need its extra `graph`")
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", "bert"), normalized=True)
    embeddings, expected = exported(tmp_path, str(folder), graph=True)
    graph = embeddings.search(QUESTION, 2, graph=True)
    found = {str(graph.attribute(node, "id")) for node in graph.scan()}
    assert found == {str(pmid) for pmid, score in expected[:2] if score > 0}
    embeddings.close()


def test_a_graph_without_its_package_is_refused(tmp_path, monkeypatch, built_demo):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "grandcypher" else real(name, *rest)
    )
    with Index.open(built_demo) as index, pytest.raises(ExportError, match=r"pip install 'txtai\[graph\]'"):
        index.export_txtai(tmp_path / "export", graph=True)
    assert not list(tmp_path.glob("export*"))


def test_a_model_that_txtai_cannot_use_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", "bert"), normalized=True)
    model = ModelConfig(name=str(folder), pooling="cls")
    with pytest.raises(ExportError, match=r"txtai cannot encode questions as .* does \(a vector with a cosine of"):
        exported(tmp_path, model)
    assert not list(tmp_path.glob("export*"))


def test_an_export_that_answers_wrongly_is_not_kept(tmp_path, monkeypatch):
    folder = sentence_folder(tmp_path / "model", transformer_folder(tmp_path / "transformer", "bert"), normalized=True)
    real = transformer_folder(tmp_path / "other", "bert", initializer_range=1.0)
    other = sentence_folder(tmp_path / "wrong", real, pooling="cls", normalized=True)
    monkeypatch.setattr("search.integrations.txtai_export._settings", lambda *_: {"path": str(other)})
    with pytest.raises(ExportError, match="txtai scores PMID .* for a question to which it has the cosine"):
        exported(tmp_path, str(folder))
    assert not list(tmp_path.glob("export*"))
