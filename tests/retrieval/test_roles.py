"""Roles of sentences: sections say them, the model predicts them elsewhere, and its sums are those of all paths."""

import itertools

import numpy as np
import pytest

from search.article import AbstractSection, Article
from search.retrieval.roles import RoleModel, features, load_roles, marginals, role_probabilities
from search.retrieval.section_labels import ALL_ROLES, ROLES, roles_of_label, roles_of_section
from search.retrieval.sentences import abstract_sentences


def roles_of(*sections):
    article = Article(pmid=1, abstract=sections)
    (probabilities,) = role_probabilities([article], [abstract_sentences(article)])
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(probabilities)))
    return [ROLES[number] for number in probabilities.argmax(axis=1)], probabilities


@pytest.mark.parametrize(
    ("label", "roles"),
    [
        ("RESULTS", {"results"}),
        ("Main results", {"results"}),
        ("Conclusion(s)", {"conclusions"}),
        ("CONCLUSIONS AND RELEVANCE", {"conclusions"}),
        ("AUTHORS' CONCLUSIONS", {"conclusions"}),
        ("BACKGROUND/AIMS", {"background", "aim"}),
        ("METHODS AND RESULTS", {"methods", "results"}),
        ("MEASUREMENTS AND MAIN RESULTS", {"methods", "results"}),
        ("DESIGN, SETTING, AND PARTICIPANTS", {"methods"}),
        ("MAIN OUTCOME MEASURES", {"methods"}),
        ("SUMMARY OF BACKGROUND DATA", {"background"}),
        ("FUNDING", set(ROLES)),
        ("LIMITATIONS", set(ROLES)),
        ("Aspirin", None),
        ("", None),
    ],
)
def test_labels(label, roles):
    assert roles_of_label(label) == roles


def test_the_category_goes_before_a_plain_label_and_a_label_of_two_before_the_category():
    assert roles_of_section(AbstractSection("x", "FINDINGS", "CONCLUSIONS")) == {"conclusions"}
    assert roles_of_section(AbstractSection("x", "BACKGROUND AND AIMS", "OBJECTIVE")) == {"background", "aim"}
    assert roles_of_section(AbstractSection("x", "DESIGN")) == {"methods"}
    assert roles_of_section(AbstractSection("x", "UNLABELLED", "UNASSIGNED")) == ALL_ROLES


def test_sections_say_the_role_whatever_the_words_are():
    found, probabilities = roles_of(
        AbstractSection("In conclusion, aspirin works.", "METHODS", "METHODS"),
        AbstractSection("To see whether it works. We aimed at nothing.", "CONCLUSIONS", "CONCLUSIONS"),
    )
    assert found == ["methods", "conclusions", "conclusions"]
    assert probabilities.max(axis=1) == pytest.approx(np.ones(3))


def test_labels_in_the_running_text_are_sections_too():
    found, _ = roles_of(AbstractSection("AIM: It works. It is nice. METHODS: It works. RESULTS: It works."))
    assert found == ["aim", "aim", "methods", "results"]


def test_a_lone_label_says_where_its_part_begins_but_not_where_it_ends():
    text = (
        "Drug A was compared with placebo. MAIN OUTCOME MEASURES: Headache days. "
        "Headache days fell by 4.1 with A and 2.0 with B (p < 0.001). "
        "These findings suggest that A is more effective than B in patients with migraine."
    )
    found, _ = roles_of(AbstractSection(text))
    assert found[1:] == ["methods", "results", "conclusions"]
    found, _ = roles_of(AbstractSection("RESULTS: The aim was to treat migraine. The objective was to compare drugs."))
    assert set(found) <= {"results", "conclusions"}


def test_an_abstract_without_sections_is_predicted():
    found, _ = roles_of(
        AbstractSection(
            "Migraine is a common and disabling disorder. The aim of this study was to compare two drugs. "
            "Two hundred patients were randomly assigned to receive either drug for 12 weeks. "
            "Headache days fell by 4.1 with A and 2.0 with B (p < 0.001). "
            "These findings suggest that A is more effective than B in patients with migraine."
        )
    )
    assert found == ["background", "aim", "methods", "results", "conclusions"]


def test_articles_side_by_side_get_what_they_get_alone():
    texts = ["Aspirin works in rats. It was given daily.", "", "One sentence is all there is.", "Rats. " * 30]
    articles = [Article(pmid=number, abstract=(AbstractSection(text),)) for number, text in enumerate(texts, start=1)]
    spans = [abstract_sentences(article) for article in articles]
    together = role_probabilities(articles, spans)
    assert [len(found) for found in together] == [len(found) for found in spans]
    for article, span, found in zip(articles, spans, together, strict=True):
        assert found == pytest.approx(role_probabilities([article], [span])[0])


def test_probabilities_are_the_sums_over_all_paths():
    random = np.random.default_rng(5)
    model = RoleModel({}, np.zeros((0, 5), np.float32), random.normal(size=(5, 5)), *random.normal(size=(2, 5)))
    scores = [random.normal(size=(length, 5)) for length in (3, 1, 4)]
    allowed = [random.random((length, 5)) < 0.7 for length in (3, 1, 4)]
    for mask in allowed:
        mask[:, 2] = True
    for chain, mask, found in zip(scores, allowed, marginals(scores, allowed, model), strict=True):
        expected = np.zeros_like(chain)
        for path in itertools.product(range(5), repeat=len(chain)):
            if all(mask[place, role] for place, role in enumerate(path)):
                worth = (
                    model.start[path[0]]
                    + model.end[path[-1]]
                    + sum(chain[place, role] for place, role in enumerate(path))
                )
                worth += sum(model.transitions[one, other] for one, other in itertools.pairwise(path))
                for place, role in enumerate(path):
                    expected[place, role] += np.exp(worth)
        assert found == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


def test_features_say_words_pairs_place_and_neighbours():
    first, last = features(["We gave 300 mg.", "It works well."])
    assert {"we", "gave", "#", "mg", "we gave", "gave #", "^we gave #", "$# mg", "@i0", "@e1", "@p2", ">it"} <= first
    assert {"<we", "@e0", "@i1", "^it", "$works well"} <= last and "@i0" not in last


def test_the_shipped_model_is_small_and_whole():
    model = load_roles()
    assert model.weights.shape == (len(model.rows), 5) and model.transitions.shape == (5, 5)
    assert np.isfinite(model.weights).all() and "conclusion" in model.rows
