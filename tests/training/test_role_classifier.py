"""Teaching roles: what is read as a structured abstract, the gradient, and a model that learns what it is shown."""

import gzip
import json

import numpy as np
import pytest

from search.retrieval.roles import feature_scores, load_roles, marginals
from search.retrieval.section_labels import ALL_ROLES, ROLES
from search.training.role_classifier import _Chains, _labelled_text, part_of, read_abstracts, report_lines, train_roles

TEXT = (
    "BACKGROUND: {0} is common. AIM: To study {0}. METHODS: {1} patients were randomised. "
    "RESULTS: It fell by {1} %. CONCLUSIONS: {0} can be treated."
)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Objective To look. Methods We looked. Results It was. Conclusions It is.", "aim methods results conclusions"),
        (
            "BACKGROUND It was. METHODS cDNA was made. RESULTS HER-2 rose. CONCLUSION Good.",
            "background methods results conclusions",
        ),
        ("AIMS: a b.\nDESIGN, SETTING: c d.\nFINDINGS: e f.\nINTERPRETATION: g h.", "aim methods results conclusions"),
        ("Results showed it. Methods are new. Conclusions differ.", ""),
        ("It is so. RESULTS: One. CONCLUSIONS: Two. METHODS: Three.", ""),
    ],
)
def test_labels_in_text(text, labels):
    sections = _labelled_text(text)
    assert [next(iter(roles)) for roles, _ in sections] == labels.split()
    assert not any(label in part for label in ("METHODS", "RESULTS", "Objective") for _, part in sections)


def test_files_are_read_once_by_article(tmp_path):
    rows = [{"pmid": number, "title": "t", "abstract": TEXT.format(f"Disease {number}", number)} for number in (5, 6)]
    records = tmp_path / "records.jsonl.gz"
    records.write_bytes(gzip.compress("\n".join(map(json.dumps, [*rows, {**rows[0], "pmid": 7}])).encode()))
    answers = tmp_path / "qa.json"
    entry = {
        "LABELS": ["AIMS", "METHODS AND RESULTS", "METHODS"],
        "CONTEXTS": ["We aim high. Very high.", "It fell.", "We saw."],
    }
    answers.write_text(json.dumps({"1": {**entry, "LONG_ANSWER": "It works."}}))
    found = read_abstracts([records, answers])
    assert len(found) == 3
    assert found[0].sentences[2] == "5 patients were randomised."
    assert [set(roles) for roles in found[2].allowed] == [{"aim"}] * 2 + [
        {"methods", "results"},
        {"methods"},
        {"conclusions"},
    ]


def test_the_gradient_is_that_of_the_sum_of_paths():
    random = np.random.default_rng(1)
    chains = _Chains([3, 1, 2])
    scores, chain = random.normal(size=(6, 5)), random.normal(size=35)
    total, nodes, pairs = chains.expected(scores, chain)
    for place, change in ((0, (2, 3)), (1, (3, 0)), (2, (5, 4))):
        moved = scores.copy()
        moved[change] += 1e-5
        assert (chains.expected(moved, chain)[0] - total) / 1e-5 == pytest.approx(nodes[change], abs=1e-3), place
    for number in (0, 7, 24, 26, 33):
        moved = chain.copy()
        moved[number] += 1e-5
        assert (chains.expected(scores, moved)[0] - total) / 1e-5 == pytest.approx(pairs[number], abs=1e-3)


def test_a_model_learns_and_comes_back_from_its_file(tmp_path):
    path = tmp_path / "records.jsonl"
    rows = [{"pmid": n, "title": "t", "abstract": TEXT.format(f"Disorder{n}", n)} for n in range(1, 301)]
    path.write_text("\n".join(map(json.dumps, rows)))
    abstracts = read_abstracts([path])
    report = train_roles(abstracts, tmp_path / "model")
    assert report.accuracy["held out"] == 1.0 and report.f1["held out"]["conclusions"] == 1.0
    assert sum(report.abstracts.values()) == 300 and set(map(part_of, abstracts)) == set(report.abstracts)
    assert report_lines(report)[0].startswith("| part |") and len(report_lines(report)) == 4
    model = load_roles(tmp_path / "model")
    scores = feature_scores(abstracts[0].sentences, model)
    (found,) = marginals([scores], [np.ones_like(scores, dtype=bool)], model)
    assert [ROLES[number] for number in found.argmax(axis=1)] == list(ROLES)
    assert set(ROLES) == ALL_ROLES
