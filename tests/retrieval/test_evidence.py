"""Evidence sentences, with an encoder whose vectors can be worked out by hand."""

import numpy as np
import pytest

from search.article import AbstractSection, Article
from search.retrieval.evidence import UNRELATED, EvidenceSentence, evidence_for_all

WORDS = ("aspirin", "stroke", "rats")


class CountingEncoder:
    """Counts three words and makes the counts a vector of unit length; what has none of them is a right angle away."""

    def __init__(self):
        self.calls = []

    def __call__(self, texts):
        self.calls.append([text for text in texts if text not in UNRELATED])
        counts = np.array([[*(text.lower().count(word) for word in WORDS), 0.2] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


QUESTION = "does aspirin prevent stroke?"
VECTOR = np.array([0.8, 0.6, 0.0, 0.0], dtype=np.float32)

ARTICLE = Article(
    pmid=1,
    abstract=(
        AbstractSection("Aspirin is thought to prevent stroke.", "BACKGROUND", "BACKGROUND"),
        AbstractSection("To see whether aspirin prevents stroke.", "AIM", "OBJECTIVE"),
        AbstractSection("We gave 300 mg of aspirin to 80 rats. Strokes were counted.", "METHODS", "METHODS"),
        AbstractSection("Nine rats had strokes, none with aspirin, no other rats.", "RESULTS", "RESULTS"),
        AbstractSection("Aspirin kept rats from stroke. Yes.", "CONCLUSIONS", "CONCLUSIONS"),
    ),
)


class CountedStatic:
    """Static vectors of the same counts."""

    def documents(self, texts):
        return (CountingEncoder()(texts) * 100).astype(np.int8)

    def questions(self, vectors):
        return vectors


def evidence(article, n=2, question=QUESTION, vector=VECTOR, encode=None, static=None):
    return evidence_for_all([article], question, vector, encode or CountingEncoder(), n, static)[0]


def structured(*sections):
    return Article(pmid=2, abstract=tuple(AbstractSection(text, category, category) for category, text in sections))


def test_conclusions_and_results_come_before_what_is_nearer():
    encode = CountingEncoder()
    found = evidence(ARTICLE, encode=encode)
    assert [(part.role, part.text) for part in found] == [
        ("conclusions", "Aspirin kept rats from stroke."),
        ("results", "Nine rats had strokes, none with aspirin, no other rats."),
    ]
    nearest = encode(["Aspirin is thought to prevent stroke."]) @ VECTOR
    assert [part.score for part in found] == pytest.approx([1.4 / 3.04**0.5, 1.4 / 6.04**0.5], abs=1e-5)
    assert nearest[0] > found[0].score > found[1].score
    for part in found:
        assert ARTICLE.abstract_text[part.start : part.end] == part.text
        assert part.section == part.role.capitalize()


def test_an_aim_is_never_evidence_nor_is_what_others_believe():
    article = structured(
        ("BACKGROUND", "Aspirin may prevent stroke, it was suggested. Aspirin is given after stroke."),
        ("OBJECTIVE", "To see whether aspirin prevents stroke."),
    )
    assert [part.text for part in evidence(article, n=9)] == ["Aspirin is given after stroke."]


def test_a_sentence_that_announces_or_asks_for_more_research_gives_way():
    article = structured(
        (
            "CONCLUSIONS",
            "Further studies of aspirin in stroke are needed. Aspirin lowered the number of strokes in rats.",
        )
    )
    assert evidence(article, n=1)[0].text == "Aspirin lowered the number of strokes in rats."


@pytest.mark.parametrize(
    "text",
    [
        "This article overviews the role of aspirin in stroke.",
        "Trials of aspirin in stroke are discussed.",
        "The effect of aspirin on stroke needs to be assessed further.",
        "Aspirin was long regarded as a cause of stroke.",
        "The dose of aspirin for stroke should be assessed further.",
        "There is an urgent need to conduct trials of aspirin in stroke.",
        "Trials of aspirin in stroke are currently under way.",
        "This paper aims to put together what is known of aspirin and stroke.",
        "Appendix 2 examines aspirin in stroke.",
        "A total of 1791 people with stroke on aspirin were studied.",
    ],
)
def test_what_announces_and_what_was_once_believed_is_no_evidence(text):
    assert evidence(structured(("BACKGROUND", text))) == []
    assert [part.text for part in evidence(structured(("BACKGROUND", f"{text} Aspirin also prevents stroke.")))] == [
        "Aspirin also prevents stroke."
    ]


@pytest.mark.parametrize(
    "text",
    ["After stroke patients should be tested for aspirin.", "There is no need for aspirin after stroke."],
)
def test_a_recommendation_is_evidence(text):
    assert evidence(structured(("CONCLUSIONS", text)), 1)[0].text == text


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("what dose of aspirin was given?", "We gave 300 mg of aspirin to 80 rats."),
        ("how many patients were randomised to aspirin?", "Of 412 patients 210 were randomised to aspirin."),
        ("how old were the patients on aspirin?", "The mean age of those on aspirin was 61."),
        ("how long was the follow-up after aspirin?", "Follow-up after aspirin was 24 months."),
        ("what was the primary outcome of aspirin?", "Stroke was the primary outcome for aspirin."),
    ],
)
def test_a_question_about_a_detail_finds_the_sentence_that_has_it(question, text):
    article = structured(
        ("METHODS", f"Aspirin was given to half. {text} Aspirin was stopped later."),
        ("CONCLUSIONS", "Aspirin prevents aspirin and stroke."),
    )
    assert evidence(article, 1, question)[0].text == text
    assert evidence(article, 1)[0].text == "Aspirin prevents aspirin and stroke."


def test_few_sentences_are_encoded_and_all_at_once():
    other = structured(("RESULTS", "Rats were given aspirin. " * 3 + "Strokes were rare with aspirin."))
    encode = CountingEncoder()
    found = evidence_for_all([ARTICLE, Article(pmid=5), other], QUESTION, VECTOR, encode, 1)
    assert len(encode.calls) == 1 and len(encode.calls[0]) == len(set(encode.calls[0])) <= 4
    assert found == [evidence(article, 1) for article in (ARTICLE, Article(pmid=5), other)]
    assert found[1] == []


def test_static_vectors_find_the_likely_sentence_where_words_do_not():
    article = structured(
        (
            "RESULTS",
            "What the drug does was looked at. What does prevent it is the drug. It does prevent it, in all of them. "
            "Acetylaspirin and microstrokes were rare in both groups.",
        )
    )
    question = "what does the drug prevent?"
    assert evidence(article, 1, question) == []
    (found,) = evidence(article, 1, question, static=CountedStatic())
    assert found.text == "Acetylaspirin and microstrokes were rare in both groups."


@pytest.mark.parametrize(
    ("question", "is_shown"),
    [
        ("does aspirin help after stroke?", False),
        ("how common is stroke?", True),
        ("what is stroke?", True),
    ],
)
def test_how_grave_a_disease_is_answers_only_a_question_about_that(question, is_shown):
    article = structured(("CONCLUSIONS", "Stroke is one of the leading causes of death, aspirin or not."))
    assert bool(evidence(article, 1, question)) is is_shown
    article = structured(("CONCLUSIONS", "Aspirin is a common treatment of stroke and its symptoms."))
    assert evidence(article, 1, question)


def test_more_than_there_are_gives_all_that_can_answer():
    # Not the aim nor what is thought of aspirin; "Yes." and "Strokes were counted." are too short.
    assert [part.role for part in evidence(ARTICLE, n=99)] == ["conclusions", "results", "methods"]


def test_short_sentences_serve_where_there_are_no_others():
    article = Article(pmid=2, abstract=(AbstractSection("Rats. Stroke.", category="RESULTS"),))
    (found,) = evidence(article, n=1)
    assert found == EvidenceSentence("Stroke.", 6, 13, pytest.approx(0.6 / 1.04**0.5, abs=1e-5), "results")


def test_nothing_is_shown_where_the_nearest_is_far():
    article = structured(("CONCLUSIONS", "Rats rats rats are kept in cages with one aspirin."))
    assert evidence(article) == []
    nearer = structured(("CONCLUSIONS", "Rats are kept in cages with one aspirin."))
    assert len(evidence(nearer)) == 1


def test_how_far_is_far_depends_on_the_model():
    def crowded(texts):
        """Put all texts near to each other, as some models do."""
        vectors = CountingEncoder()(texts) + np.array([2, 1.5, 0, 0], dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    article = structured(("CONCLUSIONS", "Rats are kept in cages. Cages were cleaned each day."))
    assert crowded(["Rats are kept in cages."])[0] @ VECTOR > 0.9
    assert evidence(article, encode=crowded) == []


def test_no_abstract_no_evidence_and_no_encoding():
    encode = CountingEncoder()
    assert evidence(Article(pmid=3, title="Aspirin"), encode=encode) == []
    assert evidence_for_all([], QUESTION, VECTOR, encode) == []
    assert evidence(ARTICLE, n=0, encode=encode) == []
    assert encode.calls == []


def test_equal_sentences_keep_the_order_of_the_text():
    article = structured(("RESULTS", "Now aspirin is first here. Now aspirin is then here."))
    assert [part.text[-11:] for part in evidence(article)] == ["first here.", " then here."]
