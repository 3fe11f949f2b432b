"""Training a tiny model: it learns, it can be killed and resumed, and it refuses what it cannot use."""

import json
from collections import namedtuple

import numpy as np
import pytest

from search.errors import TrainingError
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
