"""The check of a sentence: near enough, and agreeing in numbers, negation and direction, or a reason why not."""

import numpy as np
import pytest

from search.llm.checking import disagreement, problems_of
from search.retrieval.context import Source
from search.retrieval.evidence import EvidenceSentence

TEXT = "Aspirin 75 mg daily reduced the risk of colorectal cancer by 24.6% in 1,204 adults over twelve years."
OTHER = "The fracture healed after a plaster cast was worn for 6 weeks."


def encode(texts):
    """Texts with a word of medicine in common are near."""
    rows = np.array([[text.lower().count(word) for word in ("aspirin", "fracture")] + [0.1] for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def source(number, *texts, role="results"):
    return Source(
        number=number,
        pmid=number,
        score=0.5,
        citation="Smith J. Some title. J Test. 2011.",
        url="",
        retracted=False,
        warnings=(),
        sentences=tuple(EvidenceSentence(text, 0, len(text), 0.5, role) for text in texts),
    )


SOURCES = [source(1, TEXT), source(2, OTHER)]


def problems(sentence, *citations):
    return problems_of(sentence, citations or (1,), SOURCES, encode)


@pytest.mark.parametrize(
    "sentence",
    [
        TEXT,
        "In 1204 adults aspirin lowered the risk of colorectal cancer by 25% over 12 years.",
        "Daily aspirin reduced the risk of colorectal cancer by 24.6%.",
        "In 2011, daily aspirin reduced the risk of colorectal cancer in adults.",
    ],
)
def test_what_the_source_says_passes(sentence):
    assert problems(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("Aspirin did not reduce the risk of colorectal cancer in adults.", "[1] does not deny this"),
        ("Aspirin increased the risk of colorectal cancer in adults.", "[1] says the opposite"),
        ("Aspirin reduced the risk of colorectal cancer by 42%.", "42 is not in [1]"),
        ("Aspirin 81 mg daily reduced the risk of colorectal cancer.", "81 is not in [1]"),
        ("The fracture healed after a cast was worn.", "[1] says nothing near this"),
    ],
)
def test_what_it_does_not_say_fails(sentence, problem):
    assert problems(sentence) == [problem]


def test_sources_must_be_named_and_be_there_and_each_must_say_it():
    assert problems_of(TEXT, (), SOURCES, encode) == ["no source is named"]
    assert problems(TEXT, 1, 3) == ["[3] is not one of the 2 sources"]
    assert problems(TEXT, 1, 2) == ["[2] says nothing near this"]
    assert problems_of(TEXT, (1,), [source(1)], encode)[0] == "[1] says nothing near this"


def test_an_aim_supports_nothing():
    assert problems_of(TEXT, (1,), [source(1, TEXT, role="aim")], encode)[0] == "[1] says nothing near this"


@pytest.mark.parametrize(
    ("sentence", "text", "found"),
    [
        ("Statins had no effect on pain.", "Pain was unaffected by statins.", None),
        ("Statins do not affect pain.", "Statins affect pain.", "does not deny this"),
        ("Statins affect pain.", "Statins failed to affect pain.", "denies this"),
        ("Pain did not differ between groups.", "Pain was similar in both groups.", None),
        ("Pain was better with statins.", "Pain was worse with statins.", "says the opposite"),
        ("ACE inhibitors raised potassium.", "ACE inhibitors increased potassium.", None),
        ("Pain fell, but sleep did not change.", "Sleep did not change; pain was lower.", None),
    ],
)
def test_negations_and_directions(sentence, text, found):
    assert disagreement(sentence, text) == found


def test_a_digit_alone_must_stand_beside_the_same_words():
    sources = [source(1, "Aspirin lowered glucose in type 2 diabetes. Of all trials 1 was small.")]
    assert problems_of("Aspirin lowered glucose in type 2 diabetes.", (1,), sources, encode) == []
    assert problems_of("Aspirin lowered glucose in type 1 diabetes.", (1,), sources, encode) == ["1 is not in [1]"]
