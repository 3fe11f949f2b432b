"""Vectors equal those of sentence-transformers, transformers and txtai for the same weights, whatever the layout."""

import json
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from search.errors import ModelError
from search.models import Encoder, load_encoder, normalize
from search.models.tokens import pad_batch

from .conftest import TEXTS


def sentence_transformers_vectors(folder: Path, texts: list[str], kind: str = "document") -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encode = model.encode_query if kind == "query" else model.encode_document
    return encode(texts, normalize_embeddings=True, show_progress_bar=False)


def lowest_cosine(first: np.ndarray, second: np.ndarray) -> float:
    scale = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(1) / scale).min())


def test_real_weights_give_the_vectors_of_sentence_transformers(minilm):
    encoder = Encoder(minilm)
    vectors = encoder.encode(TEXTS)
    assert (encoder.backend, encoder.dimension, encoder.max_length) == ("openvino", 384, 256)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert lowest_cosine(vectors, sentence_transformers_vectors(minilm, TEXTS)) > 0.99999


def test_real_weights_give_the_vectors_of_transformers_with_mean_pooling(minilm):
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(minilm)(**inputs)[0]
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    mean = (hidden * mask).sum(1) / mask.sum(1)
    assert lowest_cosine(Encoder(minilm).encode(TEXTS), mean.numpy()) > 0.99999


@pytest.mark.parametrize("options", [{"method": "sentence-transformers"}, {"method": "transformers", "maxlength": 256}])
def test_real_weights_give_the_vectors_of_txtai(minilm, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai import Embeddings

        theirs = np.asarray(Embeddings({"path": str(minilm), "gpu": False, **options}).batchtransform(TEXTS))
    assert lowest_cosine(Encoder(minilm).encode(TEXTS), theirs) > 0.99999


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"normalized": True, "max_length": 40},
        {"pooling": "cls"},
        {"pooling": "max", "dense": 24},
        {"pooling": "lasttoken"},
        {"pooling": "weightedmean", "prompts": {"query": "question: ", "document": "article: "}},
        {"prompts": {"query": "find: "}},
    ],
    ids=str,
)
def test_every_layout_of_sentence_transformers(build_model, layout):
    folder = build_model(**layout)
    encoder = Encoder(folder)
    for kind in ("document", "query"):
        vectors = encoder.encode(TEXTS, kind)
        assert np.abs(vectors - sentence_transformers_vectors(folder, TEXTS, kind)).max() < 1e-4
    assert encoder.backend == "openvino"
    assert encoder.max_length == layout.get("max_length", 512)
    assert encoder.dimension == layout.get("dense", 64)
    same = np.allclose(encoder.encode(TEXTS), encoder.encode(TEXTS, "query"))
    assert same == ("prompts" not in layout)


def test_the_layout_of_old_sentence_transformers(build_model, tmp_path):
    """As the reference model is saved: flags for the pooling mode, short module types, no modality."""
    folder = tmp_path / "old"
    shutil.copytree(build_model(pooling="cls"), folder)
    types = ["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": type_}
        for number, (path, type_) in enumerate(zip(["", "1_Pooling"], types, strict=True))
    ]
    pooling = {"word_embedding_dimension": 64, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 50, "do_lower_case": False}))
    encoder = Encoder(folder)
    assert encoder.max_length == 50
    assert lowest_cosine(encoder.encode(TEXTS), sentence_transformers_vectors(folder, TEXTS)) > 0.99999


def test_a_plain_transformers_folder_gets_mean_pooling(plain_bert, build_model):
    assert np.abs(Encoder(plain_bert).encode(TEXTS) - Encoder(build_model()).encode(TEXTS)).max() < 1e-5


def test_two_towers_with_cls_pooling(plain_bert, build_model, monkeypatch):
    """MedCPT's layout: two plain folders, the vector of the first token, one tower for each kind of text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from search.models import presets

    query_tower = build_model(pooling="cls", prompts={"query": "find: "})
    towers = presets.Preset(
        document=str(plain_bert), query=str(query_tower), pooling="cls", parameters=1, dimensions=64, licence="none"
    )
    monkeypatch.setitem(presets.PRESETS, "medcpt", towers)
    encoder = Encoder("medcpt")
    inputs = AutoTokenizer.from_pretrained(plain_bert)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        first = AutoModel.from_pretrained(plain_bert)(**inputs)[0][:, 0].numpy()
    assert lowest_cosine(encoder.encode(TEXTS), first) > 0.99999
    assert np.array_equal(encoder.encode(TEXTS, "query"), Encoder(query_tower).encode(TEXTS, "query"))
    assert encoder.fingerprint not in {Encoder(plain_bert).fingerprint, Encoder(query_tower).fingerprint}


def test_torch_gives_the_same_vectors(build_model):
    folder = build_model(prompts={"query": "find: "})
    on_torch = Encoder(folder, backend="torch")
    assert on_torch.backend == "torch"
    assert (on_torch.dimension, on_torch.max_length) == (64, 512)
    for kind in ("document", "query"):
        assert np.abs(on_torch.encode(TEXTS, kind) - Encoder(folder).encode(TEXTS, kind)).max() < 1e-4


def test_weights_in_float16_are_computed_with_in_float32(build_model, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder, half = build_model(), tmp_path / "half"
    shutil.copytree(folder, half)
    weights = {name: tensor.astype(np.float16) for name, tensor in load_file(half / "model.safetensors").items()}
    save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
    vectors = Encoder(half).encode(TEXTS)
    assert 1e-8 < np.abs(vectors - Encoder(folder).encode(TEXTS)).max() < 1e-2
    assert np.abs(vectors - Encoder(half, backend="torch").encode(TEXTS)).max() < 1e-4


def test_a_vector_does_not_depend_on_its_neighbours(minilm):
    encoder = Encoder(minilm)
    texts = TEXTS * 9
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.abs(together - np.tile(alone, (9, 1))).max() < 1e-5
    assert np.abs(encoder.encode(texts[::-1])[::-1] - together).max() < 1e-5


def test_many_texts_come_back_in_order(build_model, monkeypatch):
    """More texts than are tokenized at once: windows, batches and streams must not mix them up."""
    monkeypatch.setattr("search.models.openvino_model._WINDOW", 64)
    encoder = Encoder(build_model())
    texts = [f"{'word ' * (number % 37)}{number}" for number in range(300)]
    vectors = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts[::23]])
    assert np.abs(vectors[::23] - alone).max() < 1e-5


def test_no_texts(build_model):
    assert Encoder(build_model()).encode([]).shape == (0, 64)


def test_odd_texts_have_the_vector_of_what_is_readable_in_them(build_model):
    encoder = Encoder(build_model())
    odd = encoder.encode(["heart\ud800 failure", "heart\x00 failure", "heart failure"])
    assert np.isfinite(odd).all()
    assert np.array_equal(odd[1], odd[2])
    assert np.array_equal(odd[0], encoder.encode(["heart? failure"])[0])


@pytest.mark.parametrize("huge", ["heart failure " * 8_000, "x" * 100_000, " " * 100_000 + "heart", "a-" * 50_000])
def test_a_question_of_100_000_characters_is_cut_as_any_other(minilm, huge):
    encoder = load_encoder(minilm)
    start = time.perf_counter()
    vector = encoder.encode([huge], "query")
    assert time.perf_counter() - start < 5
    assert lowest_cosine(vector, sentence_transformers_vectors(minilm, [huge], "query")) > 0.99999


@pytest.mark.parametrize("texts", ["one text", [b"bytes"], ["text", None], [3.5]])
def test_what_is_not_a_list_of_strings_is_refused(build_model, texts):
    with pytest.raises(ModelError, match=r"list of texts|not a string"):
        Encoder(build_model()).encode(texts)


def test_unknown_options_are_refused(build_model):
    with pytest.raises(ModelError, match="precision 'fp8' is not known"):
        Encoder(build_model(), precision="fp8")
    with pytest.raises(ModelError, match="kind 'title' is not known"):
        Encoder(build_model()).encode(["text"], "title")


def test_normalize():
    rows = np.array([[3, 4], [0, 0], [60000, 60000]], np.float16)
    assert np.allclose(normalize(rows), [[0.6, 0.8], [0, 0], [0.5**0.5, 0.5**0.5]], atol=1e-6)


RUN_WITHOUT_TORCH = """
import sys
from search.models import Encoder
vector = Encoder(sys.argv[1]).encode(["aspirin and cancer"], "query")
heavy = [name for name in ("torch", "transformers", "sentence_transformers", "txtai", "nncf") if name in sys.modules]
print(round(float(vector[0, 0]), 5), heavy)
"""


def test_a_new_process_compiles_and_encodes_without_torch(minilm, model_cache, tmp_path, monkeypatch):
    """In a process without torch the first use compiles in a child process, the second finds it compiled."""
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path))
    expected = sentence_transformers_vectors(minilm, ["aspirin and cancer"], "query")[0, 0]
    for _ in range(2):
        command = [sys.executable, "-c", RUN_WITHOUT_TORCH, str(minilm)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        first, heavy = done.stdout.split(maxsplit=1)
        assert float(first) == pytest.approx(expected, abs=2e-5)
        assert heavy.strip() == "[]"


def test_a_question_has_the_same_vector_to_the_bit_alone_and_among_others(minilm):
    encoder = Encoder(minilm)
    alone = np.concatenate([encoder.encode([text], kind="query") for text in TEXTS])
    assert (encoder.encode(TEXTS, kind="query") == alone).all()


def test_many_questions_have_to_the_bit_the_vectors_of_each_alone(minilm):
    """So many that they run on all cores side by side, of many lengths, up to more than the model takes."""
    encoder = Encoder(minilm)
    questions = [f"{'does it help ' * (number % 40)}{number}" for number in range(200)] + ["very " * 400]
    together = encoder.encode(questions, kind="query")
    for place in (*range(0, 200, 9), 200):
        assert (encoder.encode([questions[place]], kind="query")[0] == together[place]).all(), questions[place]


@pytest.mark.parametrize("kind", ["query", "document"])
def test_small_jobs_come_in_few_shapes(build_model, monkeypatch, kind):
    """OpenVINO keeps something for each shape it has met: a server would grow with every new one."""
    shapes = set()

    def noted(*args):
        inputs = pad_batch(*args)
        shapes.add(inputs["input_ids"].shape)
        return inputs

    monkeypatch.setattr("search.models.openvino_model.pad_batch", noted)
    encoder = Encoder(build_model())
    longest = encoder.max_length
    for count in range(1, 40, 3):
        encoder.encode([f"{'word ' * (7 * number % 41)}{count}" for number in range(count)], kind=kind)
    encoder.encode(["word " * 1000], kind=kind)
    assert {size for size, _ in shapes} <= {1, 2, 4, 8, 16, 32}
    assert all(length % 8 == 0 or length == longest for _, length in shapes)
    assert max(length for _, length in shapes) == longest


def test_a_batch_that_does_not_fit_the_memory_of_a_gpu_is_halved_until_it_does(minilm, monkeypatch):
    import torch

    encoder = Encoder(minilm, backend="torch")
    expected = encoder.encode(TEXTS)
    model = encoder._document_backend._model
    encode, sizes = model.encode_document, []

    def scarce(texts, batch_size, **options):
        sizes.append(batch_size)
        if batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(texts, batch_size=batch_size, **options)

    monkeypatch.setattr(model, "encode_document", scarce)
    most = 5
    assert np.allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert np.allclose(encoder.encode(TEXTS[:2]), expected[:2], atol=1e-5)
    # What fits is remembered.
    assert sizes == [16, 8, 4, 4]
    most = 0
    with pytest.raises(ModelError, match="one text and the model do not fit"):
        encoder.encode(TEXTS)
