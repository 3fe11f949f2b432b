"""Models of the Hugging Face hub, fetched by its own client from a hub on this machine."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from search import Index
from search.article import AbstractSection, Article
from search.config import ModelConfig
from search.errors import ModelError
from search.models import Encoder
from search.models.hub import find_folder

from .conftest import TEXTS
from .hub_server import TOKEN, running_hub
from .small_models import sentence_folder, transformer_folder

NAME = "neuml/pubmedbert-base-embeddings"

#: Two ways in which another program fills the cache of the hub: all files of the model, or those of the transformer.
USAGES = {
    "sentence-transformers": "from sentence_transformers import SentenceTransformer as S; S(NAME, device='cpu')",
    "transformers": "import transformers as t; [c.from_pretrained(NAME) for c in (t.AutoTokenizer, t.AutoModel)]",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A small model in the layout of the reference model, with its weights in both formats."""
    folder = tmp_path_factory.mktemp("repository")
    transformer = transformer_folder(folder / "transformer", "bert")
    model = sentence_folder(folder / "model", transformer, pooling="cls", normalized=True, max_length=100)
    (model / "pytorch_model.bin").write_bytes(b"the same weights in the older format")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"a graph")
    return model


@pytest.fixture
def client_settings():
    """The hub's client reads its variables when it is imported: have it read them again after the test."""
    yield
    importlib.reload(huggingface_hub.constants)


@pytest.fixture
def hub(client_settings, repository, monkeypatch, tmp_path):
    """A hub with that model, and an empty cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with running_hub() as server:
        server.models[NAME] = repository
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        importlib.reload(huggingface_hub.constants)
        yield server


def use_as(usage: str) -> None:
    """Use the model by another program, in a process of its own."""
    program = f"import warnings; warnings.simplefilter('ignore'); NAME = {NAME!r}; {USAGES[usage]}"
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def article(pmid: int, title: str) -> Article:
    return Article(pmid=pmid, title=title, abstract=(AbstractSection("An abstract."),))


def test_the_three_usages_of_the_card_in_every_order_leave_an_index_usable(hub, tmp_path):
    transformer = transformer_folder(tmp_path / "transformer", "bert")
    hub.models[NAME] = sentence_folder(tmp_path / "mean", transformer, max_length=512)
    program = Path(__file__).with_name("card_usages.py")
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(program), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    orders, *cosines = done.stdout.split()
    assert orders == "24"
    lowest = dict(each.split("=") for each in cosines)
    assert len(lowest) == 3 and min(map(float, lowest.values())) > 0.99999


def test_an_index_of_a_model_with_another_pooling_stays_usable(hub, tmp_path, repository):
    expected = Encoder(repository).encode(TEXTS)
    use_as("transformers")
    with Index.create(tmp_path / "index", model="pubmedbert") as index:
        index.add([article(1, "Aspirin and cancer"), article(2, "Asthma in children")])
        before = index.search("aspirin")
        assert abs(index.encoder.encode(TEXTS) - expected).max() < 1e-6
    use_as("sentence-transformers")
    with Index.open(tmp_path / "index") as index:
        assert index.search("aspirin") == before


def test_a_half_filled_cache_is_completed_with_what_is_missing_only(hub, repository):
    use_as("transformers")
    before = list(hub.fetched)
    assert "model.safetensors" in before and "modules.json" not in before
    encoder = Encoder("pubmedbert")
    assert encoder.settings.pooling == "cls"
    assert not encoder.notes
    missing = hub.fetched[len(before) :]
    assert {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json"} <= set(missing)
    assert not set(missing) & {"model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "tokenizer.json"}
    assert encoder.fingerprint == Encoder(repository).fingerprint
    count = len(hub.fetched)
    assert Encoder("pubmedbert").fingerprint == encoder.fingerprint
    assert len(hub.fetched) == count


def test_offline_an_assumed_pooling_is_said_and_kept(hub, repository, tmp_path, monkeypatch):
    use_as("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Index.create(tmp_path / "index", model="pubmedbert") as index:
        index.add([article(1, "Aspirin and cancer")])
        status = index.status()
        assert "mean pooling is assumed" in status.model_notes[0]
        assert (status.model_settings.pooling, status.model_settings.max_length["document"]) == ("mean", 100)
        before = index.search("aspirin")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert Encoder("pubmedbert").settings.pooling == "cls"
    with Index.open(tmp_path / "index") as index:
        assert index.search("aspirin") == before


def test_a_fresh_download_takes_one_format_of_the_weights(hub):
    folder = find_folder(NAME)
    assert hub.fetched.count("model.safetensors") == 1
    assert not {"pytorch_model.bin", "onnx/model.onnx"} & set(hub.fetched)
    assert folder.name == hub.commit(NAME) == Encoder("pubmedbert").revision


def test_a_revision_is_fetched_kept_and_refused_by_name(hub):
    commit = hub.commit(NAME)
    encoder = Encoder(f"{NAME}@{commit}")
    assert encoder.revision == commit == Encoder(ModelConfig(name=NAME, revision=commit)).revision
    with pytest.raises(ModelError, match=f"the model {NAME} has no revision v9"):
        Encoder(f"{NAME}@v9")


def test_private_and_gated_models_need_a_token_and_the_message_says_so(hub, monkeypatch, repository):
    hub.models.update({"me/private": repository, "them/gated": repository})
    hub.private.add("me/private")
    hub.gated.add("them/gated")
    with pytest.raises(ModelError, match="none of that name that is public; for a private one, set HF_TOKEN"):
        find_folder("me/private")
    with pytest.raises(
        ModelError, match=r"accept its conditions. Accept them at http://.*/them/gated, then put a token"
    ):
        find_folder("them/gated")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert (find_folder("me/private") / "modules.json").exists()
    assert (find_folder("them/gated") / "modules.json").exists()
    with pytest.raises(ModelError, match="has none of that name that HF_TOKEN may read"):
        find_folder("me/absent")


def test_a_copy_of_the_files_is_the_same_model(repository, tmp_path):
    """Files beside what decides the vectors change nothing: another format of the weights, a vocabulary, a card."""
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    fingerprint = Encoder(repository).fingerprint
    (copy / "pytorch_model.bin").unlink()
    shutil.rmtree(copy / "onnx")
    for name, content in {"vocab.txt": "a", "README.md": "b", "special_tokens_map.json": "{}", "x.json": "{}"}.items():
        (copy / name).write_text(content)
    assert Encoder(copy).fingerprint == fingerprint


def test_an_export_for_txtai_names_the_model_as_the_hub_does(hub, tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai import Embeddings

        with Index.create(tmp_path / "index", model="pubmedbert") as index:
            index.add([article(1, "Aspirin and cancer"), article(2, "Asthma in children")])
            index.export_txtai(tmp_path / "export")
        embeddings = Embeddings()
        embeddings.load(str(tmp_path / "export"))
        assert embeddings.config["path"] == NAME
        embeddings.close()
