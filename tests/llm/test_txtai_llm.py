"""A tiny language model with random weights, made here, writes through txtai; nothing it writes passes."""

from importlib.util import find_spec

import pytest

from search import Index
from search.config import LlmConfig
from search.errors import ConfigError, ModelError

pytest.importorskip("txtai", reason="the package txtai is not installed")

VOCABULARY = ["aspirin", "lowers", "risk", "cancer", "the", "of", "in", "trial", "[1]", "."]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = {word: number for number, word in enumerate(["<unk>", "<end>", *VOCABULARY])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>", pad_token="<end>", model_max_length=4096
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    size = GPT2Config(
        vocab_size=len(words), n_positions=4096, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    GPT2LMHeadModel(size).save_pretrained(folder)
    return folder


def test_a_local_model_writes_and_is_checked(built_demo, tiny_model, monkeypatch):
    monkeypatch.setattr("search.llm.txtai_llm.MOST_TOKENS", 40)
    with Index.open(built_demo) as index:
        answer = index.ask("does aspirin lower the risk of bowel cancer?", llm=LlmConfig(path=str(tiny_model))).read()
    assert (answer.model, answer.status) == (tiny_model.name, "cut off")
    assert all(one.problems for one in answer.sentences)


def test_what_is_not_a_model_is_an_error_with_a_message(built_demo, tmp_path):
    with Index.open(built_demo) as index, pytest.raises(ModelError, match="is not a language model that txtai can"):
        index.ask("aspirin", llm=LlmConfig(path=str(tmp_path)))


def test_a_gguf_file_without_its_package_says_what_to_install_or_do(built_demo, tmp_path, monkeypatch):
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "llama_cpp" else find_spec(name))
    with Index.open(built_demo) as index, pytest.raises(ConfigError) as raised:
        index.ask("aspirin", llm=LlmConfig(path=str(tmp_path / "small.gguf")))
    assert str(raised.value) == (
        f"{tmp_path}/small.gguf: a .gguf file needs llama.cpp: pip install llama-cpp-python; or let Ollama or "
        "llama.cpp's server run it, and give its address as `language_model: url`"
    )
