"""The whole run on a small made folder: what is held out stays out, and the run writes a model."""

import gzip
import json
import random
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from search import Index
from search.article import embedding_text
from search.errors import TrainingError
from search.models import Encoder
from search.training import recipe
from search.training.hybrid import HybridParameters
from search.training.recipe import (
    conclusion,
    draw_pairs,
    draw_questions,
    load_texts,
    neighbouring,
    teach_hybrid,
)

SENTENCES = "A trial of {0} in adults with {1}. The {0} was given over ten years and the {1} was counted. "
TOPICS = ["aspirin", "statin", "insulin", "vaccine", "stroke", "diabetes", "asthma", "cancer"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder of 60 articles, eight topics of questions and twelve claims."""
    monkeypatch.setattr(recipe, "HELD_OUT_ARTICLES", 10)
    monkeypatch.setattr(recipe, "HELD_OUT_TOPICS", 2)
    folder = tmp_path / "data"
    for name in ("pubmed", "medquad", "scifact/qrels", "pubmedqa"):
        (folder / name).mkdir(parents=True)
    rows = []
    for number in range(1, 63):
        first, second = TOPICS[number % 8], TOPICS[number % 7]
        text = SENTENCES.format(first, second) * 3 + f"CONCLUSION: Risk {number} of {first} is small in {second}."
        rows.append(
            {"pmid": number, "title": f"Trial {number} of {first} and {second}", "abstract": text, "mesh": ["Risk"]}
        )
    rows.append({**rows[0], "pmid": 63, "title": "Does a trial of aspirin have an end?"})
    write(folder / "pubmed" / "records.jsonl.gz", rows)
    asked = [{"question": f"What is (are) {topic} ?", "topic": topic, "answer": f"{topic} is x"} for topic in TOPICS]
    write(folder / "medquad" / "pairs.jsonl.gz", asked)
    judged = {"1": {"QUESTION": "Unlike", "LONG_ANSWER": "x"}, "99": {"QUESTION": "Trial 2 of insulin and insulin?"}}
    (folder / "pubmedqa" / "ori_pqal.json").write_text(json.dumps(judged))
    write(folder / "scifact" / "queries.jsonl", [{"_id": str(n), "text": f"claim {n}"} for n in range(12)])
    corpus = [{"_id": str(n), "title": f"document {n}", "text": "on stroke"} for n in range(12)]
    write(folder / "scifact" / "corpus.jsonl", corpus)
    lines = ["query-id\tcorpus-id\tscore", *(f"{n}\t{n}\t1" for n in range(11))]
    (folder / "scifact" / "qrels" / "train.tsv").write_text("\n".join(lines))
    (folder / "scifact" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n11\t3\t1\n")
    return folder


def write(file, rows):
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "wt") as stream:
        stream.write("\n".join(json.dumps(row) for row in rows))


def test_what_models_are_judged_by_is_left_out(data):
    texts = load_texts(data)
    pmids = {record.pmid for record in texts.articles}
    # Article 1 is judged by its PMID, article 2 by its title, the title of 63 asks; ten others are held out.
    assert len(pmids) == 50
    assert pmids.isdisjoint({1, 2, 63})
    assert len(texts.questions) == 6
    # 0, 4 and 8 are the fold that is held out; the document of claim 3 is one that the dev split is judged by.
    assert [claim for claim, _ in texts.claims] == [f"claim {n}" for n in (1, 2, 5, 6, 7, 9, 10)]
    assert texts.abstracts[texts.claims[0][1]] == "document 1 on stroke"
    assert load_texts(data) == texts


def test_questions_of_every_kind(data):
    texts = load_texts(data)
    asked = draw_questions(texts, random.Random(0), 60)
    assert len({question.text for question in asked}) == 60
    by_kind = {question.kind: question for question in asked}
    assert set(by_kind) == set(recipe.KINDS)
    assert by_kind["title"].text == texts.articles[by_kind["title"].own].title
    assert by_kind["sentence"].text in " ".join(texts.articles[by_kind["sentence"].own].sentences)
    row = by_kind["claim"].answer - len(texts.articles)
    assert texts.abstracts[row] == f"document {by_kind['claim'].text.split()[1]} on stroke"
    assert by_kind["mesh"].text == "risk"
    assert all("(are)" not in question.text and " ?" not in question.text for question in asked)


def test_conclusion_has_no_label_and_is_not_short():
    assert (
        conclusion(["A.", "B is one of those before it.", "CONCLUSIONS: No."]) == "A. B is one of those before it. No."
    )
    long = "Conclusion: " + " ".join(f"word{number}" for number in range(recipe.CONCLUSION_WORDS)) + "."
    assert conclusion(["A.", long]) == long.removeprefix("Conclusion: ")
    assert conclusion([f"{number}." for number in range(9)]) == "5. 6. 7. 8."


def test_pairs_are_conclusions_and_then_answers(data, monkeypatch):
    monkeypatch.setattr(recipe, "CONCLUSIONS", 16)
    monkeypatch.setattr(recipe, "ANSWER_WORDS", 2)
    texts = load_texts(data)
    pairs = draw_pairs(texts, np.eye(len(texts.articles), dtype=np.float32))
    conclusions = {record.title: conclusion(record.sentences) for record in texts.articles}
    assert all(conclusions[title] == text for title, text in pairs[:16])
    answers = {(f"What is {entry.topic}?", f"{entry.topic} is") for entry in texts.questions}
    assert set(pairs[16:]) == answers


def test_neighbours_stand_together():
    rng = np.random.default_rng(0)
    centres = np.eye(10, dtype=np.float32)
    vectors = np.repeat(centres, recipe.GROUP, axis=0) + rng.normal(0, 0.01, (80, 10)).astype(np.float32)
    order = neighbouring(vectors, 80)
    assert sorted(order) == list(range(80))
    groups = [{row // recipe.GROUP for row in order[start : start + recipe.GROUP]} for start in range(0, 80, 8)]
    assert all(len(group) == 1 for group in groups)


def test_a_run_from_folder_to_model(data, tiny_model, tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    with Index.create(tmp_path / "index", model=str(tiny_model)) as index:
        index.add(data / "pubmed" / "records.jsonl.gz")
    parameters = HybridParameters(steps=4, questions=8, pairs=8, learning_rate=1e-3, frozen_layers=0, warmup_steps=1)
    seen = []
    for name in ("one", "two"):
        teach_hybrid(
            data,
            tmp_path / "index",
            tiny_model,
            tmp_path / name,
            parameters=parameters,
            progress=lambda step, losses: seen.append((step, list(losses))),
        )
    assert seen[:4] == [(step, ["questions", "anchors", "pairs"]) for step in (1, 2, 3, 4)]
    texts = ["aspirin in adults", "stroke"]
    base, one, two = (
        SentenceTransformer(str(folder), device="cpu").encode(texts)
        for folder in (tiny_model, tmp_path / "one", tmp_path / "two")
    )
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert np.abs(one - base).max() > 1e-3
    with pytest.raises(TrainingError, match="already exists"):
        teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "one")
    with pytest.raises(TrainingError, match="was made with the model .*, not with"):
        teach_hybrid(data, tmp_path / "index", tmp_path / "one", tmp_path / "three")
    (data / "medquad" / "pairs.jsonl.gz").unlink()
    with pytest.raises(TrainingError, match=r"cannot be read: .*medquad"):
        teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "three")


def test_another_model_teaches_what_both_have_vectors_of(data, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    with Index.create(tmp_path / "index", model=str(tiny_model)) as index:
        index.add(data / "pubmed" / "records.jsonl.gz")
    other = tmp_path / "other-model"
    shutil.copytree(tiny_model, other)
    weights = {name: value * 1.5 for name, value in load_file(other / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with Index.create(tmp_path / "other", model=str(other)) as index:
        index.add(data / "pubmed" / "records.jsonl.gz")
        stored = {article.pmid: article for article in index.articles()}
        index.delete([record.pmid for record in load_texts(data).articles[:3]])
    seen = []
    monkeypatch.setattr("search.training.recipe.teach", lambda model, tokenizer, bank, *rest: seen.append(bank))
    sources = [(other, tmp_path / "other")]
    teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "one", teachers=sources)
    (bank,) = seen
    texts = load_texts(data)
    articles = texts.articles[3:]
    assert list(bank.texts) == [f"{record.title} {record.abstract}" for record in articles] + list(texts.abstracts)
    for model, folder in zip(bank.models, (tiny_model, other), strict=True):
        encoder = Encoder(folder)
        expected = encoder.encode([embedding_text(stored[record.pmid]) for record in articles])
        np.testing.assert_allclose(model.vectors[: len(articles)], expected, atol=2e-3)
        np.testing.assert_allclose(model.encode(["aspirin"]), encoder.encode(["aspirin"], "query"), atol=1e-6)
    with pytest.raises(TrainingError, match="was made with the model .*, not with"):
        teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "two", teachers=[(other, tmp_path / "index")])


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(data, tiny_model, tmp_path, monkeypatch):
    from safetensors.numpy import load_file

    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    with Index.create(tmp_path / "index", model=str(tiny_model)) as index:
        index.add(data / "pubmed" / "records.jsonl.gz")
    parameters = HybridParameters(
        steps=6, questions=8, pairs=8, learning_rate=1e-3, frozen_layers=0, warmup_steps=1, checkpoint_steps=2
    )

    def run(name, **options):
        teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / name, **{"parameters": parameters, **options})

    def stop(step, losses):
        seen.append(step)
        if seen == [1, 2, 3]:
            raise KeyboardInterrupt

    seen = []
    run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", progress=stop)
    with pytest.raises(TrainingError, match=r"stopped.partial holds an unfinished run"):
        run("stopped")
    with pytest.raises(TrainingError, match="other parameters"):
        run("stopped", resume=True, parameters=HybridParameters(steps=6))
    run("stopped", resume=True, progress=stop)
    assert seen == [1, 2, 3, 3, 4, 5, 6]
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "stopped.partial").exists()
    with pytest.raises(TrainingError, match="no run to resume"):
        run("other", resume=True)


@pytest.mark.parametrize("file", ["checkpoint.pt.partial", "model.safetensors"])
def test_a_full_disk_is_told_and_the_run_goes_on(data, tiny_model, tmp_path, monkeypatch, file):
    from pathlib import Path

    monkeypatch.setenv("SEARCH_CACHE", str(tmp_path / "cache"))
    with Index.create(tmp_path / "index", model=str(tiny_model)) as index:
        index.add(data / "pubmed" / "records.jsonl.gz")
    parameters = HybridParameters(steps=2, questions=4, pairs=8, frozen_layers=0, warmup_steps=1, checkpoint_steps=1)
    opened = Path.open

    def full(path, mode="r", *rest, **options):
        # /dev/full takes nothing: what a disk without space does.
        return opened(Path("/dev/full") if path.name == file and "w" in mode else path, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(TrainingError, match=r"training stopped: .*No space left.* put that right and resume"):
            teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "new", parameters=parameters)
    teach_hybrid(data, tmp_path / "index", tiny_model, tmp_path / "new", parameters=parameters, resume=True)
    assert (tmp_path / "new" / "model.safetensors").stat().st_size > 10_000
