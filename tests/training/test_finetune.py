"""Training a tiny model: it learns, it can be killed and resumed, and it refuses what it cannot use."""

import dataclasses
import json
import shutil
from collections import namedtuple

import numpy as np
import pytest

from search.errors import ConfigError, TrainingError
from search.training import finetune
from search.training.card import describe_base
from search.training.finetune import split_pairs, train_model
from search.training.pairs import Pair
from search.training.parameters import TrainingParameters

FAST = TrainingParameters(
    batch_size=16,
    learning_rate=2e-3,
    held_out=40,
    max_steps=60,
    checkpoint_steps=20,
    evaluation_steps=30,
    warmup_steps=5,
)


class Killed(BaseException):
    """Stands for a process that ends."""


def kill_at(step):
    def progress(report):
        if report.step >= step:
            raise Killed

    return progress


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(made_pairs, tiny_model, tmp_path_factory):
    reports = []
    output = tmp_path_factory.mktemp("run") / "model"
    report = train_model(
        made_pairs(), tiny_model, output, parameters=FAST, licence="Apache-2.0", progress=reports.append
    )
    return report, reports


def test_it_learns_and_reports(trained):
    report, reports = trained
    assert (report.steps, report.held_out, report.resumed_from) == (60, 40, 0)
    assert report.score_after > report.score_before + 10
    assert reports[-1].step == 60
    assert reports[-1].seconds_left == 0
    assert reports[-1].score == pytest.approx(report.score_after, abs=0.01)
    losses = [entry.loss for entry in reports if entry.loss is not None]
    assert losses[-1] < losses[0]


def test_model_loads_everywhere_with_the_same_vectors(trained):
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer
    from txtai import Embeddings

    folder = str(trained[0].output)
    text = "aspirin stroke in adults"
    vector = SentenceTransformer(folder, device="cpu").encode([text])[0]
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    mean = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state.mean(dim=1)[0].detach().numpy()
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(Embeddings(path=folder, gpu=False).transform(text), vector, atol=1e-5)


def test_card_and_folder(trained):
    output = trained[0].output
    card = (output / "README.md").read_text()
    assert "Licence: Apache-2.0." in card
    assert "| made | 360 |" in card
    assert "| learning_rate | 0.002 |" in card
    assert f"| this model | {trained[0].score_after:.2f} |" in card
    # The working folder has gone and nothing of it is left in the model.
    assert [entry.name for entry in output.parent.iterdir()] == ["model"]


def test_the_card_says_what_was_run(trained, made_pairs, tiny_model, tmp_path):
    card = (trained[0].output / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name") and "base_model" not in card
    assert f"fine-tuned from `{tiny_model.name}`" in card and str(tiny_model.parent) not in card
    assert "| warmup_steps | 5 |" in card
    # Of a short run half is warm-up; a base with a card passes its licence on.
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    (base / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    short = dataclasses.replace(FAST, max_steps=4, warmup_steps=10_000)
    report = train_model(made_pairs(), base, tmp_path / "short", parameters=short)
    card = (report.output / "README.md").read_text()
    assert card.startswith("---\nlicense: mit\n") and "| warmup_steps | 2 |" in card and "4 steps" in card


def test_the_card_names_a_base_by_its_name_on_the_hub(tmp_path):
    from search.config import ModelConfig
    from search.models.presets import ModelFolders

    def base(name, folder, revision=None, licence=None):
        found = ModelFolders(
            name=name, document=folder, query=folder, revision=revision, choices=ModelConfig(name=name)
        )
        return describe_base(found, licence)[:2] + describe_base(found, licence)[3:]

    assert base("pubmedbert", tmp_path, "abc") == ("pubmedbert", "neuml/pubmedbert-base-embeddings", "Apache-2.0")
    assert base("minilm", tmp_path)[1] == "sentence-transformers/all-MiniLM-L6-v2"
    assert base("bge-base", tmp_path, "abc", "gpl-3.0") == ("bge-base", "BAAI/bge-base-en-v1.5", "gpl-3.0")
    assert base("builtin", tmp_path) == ("builtin", None, "Apache-2.0")
    assert base("some/model", tmp_path, "abc") == ("some/model", "some/model", None)
    assert base(str(tmp_path), tmp_path) == (tmp_path.name, None, None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_base_in_half_precision_is_trained_in_full(made_pairs, tiny_model, tmp_path, dtype):
    import torch
    from safetensors.torch import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    halves = {name: value.to(getattr(torch, dtype)) for name, value in load_file(base / "model.safetensors").items()}
    save_file(halves, base / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "dtype": dtype}))
    small = dataclasses.replace(FAST, learning_rate=2e-5, max_steps=12, batch_size=8, precision="fp32")
    report = train_model(made_pairs(), base, tmp_path / "model", parameters=small)
    before, after = weights(tiny_model), weights(report.output)
    assert np.isfinite([report.score_before, report.score_after]).all() and report.score_after != report.score_before
    name = "encoder.layer.0.attention.self.query.weight"
    assert after[name].dtype == np.float32
    # A step of 2e-5 moves every number, which half precision would round away.
    assert (after[name] != halves[name].float().numpy()).mean() > 0.99
    assert abs(after[name] - before[name]).max() < 0.01


def test_a_loss_that_is_no_number_ends_the_run_and_writes_nothing(made_pairs, tiny_model, tmp_path):
    huge = dataclasses.replace(FAST, learning_rate=1e30, max_grad_norm=1e30, warmup_steps=0, precision="fp32")
    with pytest.raises(TrainingError, match=r"the (loss|score) at step \d+ is nan, so nothing was written"):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=huge)
    assert not list(tmp_path.iterdir())


def test_a_base_whose_vectors_are_no_numbers_is_refused(made_pairs, tiny_model, tmp_path):
    from safetensors.numpy import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    tensors = load_file(base / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"] * np.float32(np.nan)
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match="the score of the base is nan"):
        train_model(made_pairs(), base, tmp_path / "model", parameters=FAST)
    assert [entry.name for entry in tmp_path.iterdir()] == ["base"]


def test_a_training_length_does_not_stay_in_the_model(made_pairs, tiny_model, tmp_path, monkeypatch):
    from search.models import Encoder

    short = dataclasses.replace(FAST, max_steps=2, max_length=8)
    seen = []

    def trainer(run, model, *rest):
        seen.append(model.max_seq_length)
        return real(run, model, *rest)

    real = finetune._trainer
    monkeypatch.setattr(finetune, "_trainer", trainer)
    report = train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=short)
    assert seen == [8]
    assert Encoder(report.output).max_length == Encoder(tiny_model).max_length == 64
    config = json.loads((report.output / "tokenizer_config.json").read_text())
    assert config.get("model_max_length", 64) == 64


def test_the_extra_is_named_before_anything_is_scored(made_pairs, tiny_model, tmp_path, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "datasets" else real(name, *rest)
    )
    monkeypatch.setattr("search.training.finetune._load", lambda *_: pytest.fail("the base was loaded"))
    with pytest.raises(ConfigError, match=r"training needs the extra `train` \(datasets\): pip install"):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST)
    assert not list(tmp_path.iterdir())


def test_killed_run_is_resumed_to_the_same_weights(made_pairs, tiny_model, tmp_path, trained):
    output = tmp_path / "model"
    with pytest.raises(Killed):
        train_model(made_pairs(), tiny_model, output, parameters=FAST, progress=kill_at(45))
    assert not output.exists()
    # A checkpoint whose writing was cut off is passed over.
    broken = tmp_path / "model.partial" / "checkpoints" / "checkpoint-50"
    broken.mkdir()
    (broken / "trainer_state.json").write_text('{"global_st')
    with pytest.raises(TrainingError, match="holds an unfinished run; resume it"):
        train_model(made_pairs(), tiny_model, output, parameters=FAST)
    with pytest.raises(TrainingError, match="had other pairs"):
        train_model(made_pairs(300), tiny_model, output, parameters=FAST, resume=True)
    report = train_model(made_pairs(), tiny_model, output, parameters=FAST, resume=True)
    assert report.resumed_from == 40
    expected = weights(trained[0].output)
    for name, value in weights(output).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("step", "resumed_from"), [(1, 0), (60, 60)])
def test_killed_before_the_first_checkpoint_and_after_the_last_step(
    made_pairs, tiny_model, tmp_path, trained, step, resumed_from
):
    with pytest.raises(Killed):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST, progress=kill_at(step))
    report = train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST, resume=True)
    assert report.resumed_from in {resumed_from, resumed_from - 20}
    assert (report.steps, report.score_before) == (60, trained[0].score_before)
    expected = weights(trained[0].output)
    for name, value in weights(tmp_path / "model").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)


def test_killed_while_the_finished_model_is_written(made_pairs, tiny_model, tmp_path, monkeypatch, trained):
    def killed(*arguments):
        raise Killed

    monkeypatch.setattr("search.training.finetune.model_card", killed)
    with pytest.raises(Killed):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST)
    assert not (tmp_path / "model").exists()
    monkeypatch.undo()
    report = train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST, resume=True)
    assert report.resumed_from == 60
    assert report.score_after == pytest.approx(trained[0].score_after, abs=1e-3)


def test_gradient_cache_gives_the_same_model(made_pairs, tiny_model, tmp_path):
    short = {"batch_size": 32, "held_out": 40, "max_steps": 3, "learning_rate": 1e-3}
    plain = train_model(made_pairs(), tiny_model, tmp_path / "a", parameters=TrainingParameters(**short))
    cached = train_model(
        made_pairs(), tiny_model, tmp_path / "b", parameters=TrainingParameters(**short, gradient_cache=8)
    )
    # Dropout differs between the two; scores after three steps do not, to within a point.
    assert cached.score_after == pytest.approx(plain.score_after, abs=3)
    assert cached.score_after != plain.score_before


def test_held_out_articles_are_nowhere_in_training(made_pairs):
    pairs = [*made_pairs(), *[Pair(pair.anchor, "another text", "made", pair.pmids) for pair in made_pairs(200)]]
    train, held_out = split_pairs(pairs, 30, seed=3)
    assert len(held_out) == 30
    assert {pmid for pair in held_out for pmid in pair.pmids}.isdisjoint(
        {pmid for pair in train for pmid in pair.pmids}
    )
    again, same = split_pairs(pairs[::-1], 30, seed=3)
    assert set(same) == set(held_out)
    assert set(again) == set(train)
    assert set(split_pairs(pairs, 30, seed=4)[1]) != set(held_out)


def test_too_few_pairs_and_empty_texts(made_pairs, tiny_model, tmp_path):
    with pytest.raises(TrainingError, match="20 pairs leave 18 to train on; 64 or more"):
        train_model(made_pairs(20), tiny_model, tmp_path / "model")
    with pytest.raises(TrainingError, match=r"pair 401 has an empty text \(PMIDs \(7,\)\)"):
        train_model([*made_pairs(), Pair("a", " ", "made", (7,))], tiny_model, tmp_path / "model")
    with pytest.raises(TrainingError, match="does not exist; make pairs first"):
        train_model(tmp_path / "none.jsonl", tiny_model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_base_that_is_not_there(made_pairs, tmp_path):
    with pytest.raises(TrainingError, match=r"base model '.*nothing' cannot be loaded"):
        train_model(made_pairs(), tmp_path / "nothing", tmp_path / "model", parameters=FAST)


def test_output_that_is_there_and_nothing_to_resume(made_pairs, tiny_model, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(TrainingError, match="already exists"):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST)
    with pytest.raises(TrainingError, match="no run to resume"):
        train_model(made_pairs(), tiny_model, tmp_path / "other", parameters=FAST, resume=True)


def test_no_space(made_pairs, tiny_model, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 10, 1000))
    with pytest.raises(TrainingError, match="0.0 GB free and the run needs"):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST)


def test_disk_that_fills_up_during_the_run(made_pairs, tiny_model, tmp_path, monkeypatch):
    import errno

    def full(report):
        if report.step >= 20:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TrainingError, match="the disk is full; put that right and resume"):
        train_model(made_pairs(), tiny_model, tmp_path / "model", parameters=FAST, progress=full)
    assert json.loads((tmp_path / "model.partial" / "run.json").read_text())["parameters"]["seed"] == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 1}, "at least two pairs"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be more than 0"),
        ({"precision": "fp8"}, "precision 'fp8' is not known"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_parameters_that_cannot_be(values, message):
    with pytest.raises(TrainingError, match=message):
        TrainingParameters(**values)


def test_defaults_are_the_reference_recipe():
    parameters = TrainingParameters()
    assert (parameters.batch_size, parameters.learning_rate, parameters.scale) == (24, 2e-5, 20)
    assert (parameters.warmup_steps, parameters.weight_decay, parameters.max_grad_norm) == (10_000, 0.01, 1)
    assert (parameters.epochs, parameters.evaluation_steps) == (1, 500)
