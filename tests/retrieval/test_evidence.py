"""Evidence sentences, with an encoder whose vectors can be worked out by hand."""

import numpy as np
import pytest

from search.article import AbstractSection, Article
from search.retrieval.evidence import EvidenceSentence, evidence_for_all, evidence_sentences

WORDS = ("aspirin", "stroke", "rats")


class CountingEncoder:
    """Counts three words and makes the counts a vector of unit length; remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, texts):
        self.calls.append(texts)
        counts = np.array([[text.lower().count(word) for word in WORDS] for text in texts], dtype=np.float32) + 1e-6
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


QUESTION = np.array([0.8, 0.6, 0.0], dtype=np.float32)

ARTICLE = Article(
    pmid=1,
    abstract=(
        AbstractSection("Little is known about rats.", "BACKGROUND"),
        AbstractSection("We gave aspirin to all. Aspirin prevented stroke in rats.", "METHODS"),
        AbstractSection("Aspirin prevents stroke and stroke. Yes.", "CONCLUSIONS"),
    ),
)


def test_the_nearest_sentences_come_with_places_and_cosines():
    encode = CountingEncoder()
    found = evidence_sentences(ARTICLE, QUESTION, encode)
    assert [sentence.text for sentence in found] == [
        "Aspirin prevents stroke and stroke.",
        "Aspirin prevented stroke in rats.",
    ]
    assert [sentence.score for sentence in found] == pytest.approx([2 / 5**0.5, 1.4 / 3**0.5], abs=1e-5)
    for sentence in found:
        assert ARTICLE.abstract_text[sentence.start : sentence.end] == sentence.text
    assert len(encode.calls) == 1


def test_more_than_there_are_gives_all_in_order():
    found = evidence_sentences(ARTICLE, QUESTION, CountingEncoder(), n=99)
    assert len(found) == 4  # "Yes." is too short to be evidence
    assert found == sorted(found, key=lambda sentence: -sentence.score)


def test_short_sentences_serve_where_there_are_no_others():
    article = Article(pmid=2, abstract=(AbstractSection("Rats. Stroke."),))
    found = evidence_sentences(article, QUESTION, CountingEncoder(), n=1)
    assert found == [EvidenceSentence("Stroke.", 6, 13, pytest.approx(0.6, abs=1e-5))]


def test_no_abstract_no_evidence_and_no_encoding():
    encode = CountingEncoder()
    assert evidence_sentences(Article(pmid=3, title="Aspirin"), QUESTION, encode) == []
    assert evidence_for_all([], QUESTION, encode) == []
    assert evidence_sentences(ARTICLE, QUESTION, encode, n=0) == []
    assert encode.calls == []


def test_all_hits_are_encoded_at_once_and_equal_one_by_one():
    other = Article(pmid=4, abstract=(AbstractSection("Rats were given aspirin. We gave aspirin to all."),))
    empty = Article(pmid=5)
    encode = CountingEncoder()
    found = evidence_for_all([ARTICLE, empty, other], QUESTION, encode)
    assert len(encode.calls) == 1 and len(encode.calls[0]) == len(set(encode.calls[0]))
    assert found == [evidence_sentences(article, QUESTION, CountingEncoder()) for article in (ARTICLE, empty, other)]
    assert found[1] == []


def test_equal_scores_keep_the_order_of_the_text():
    article = Article(pmid=6, abstract=(AbstractSection("Now aspirin is first. Then aspirin is second."),))
    found = evidence_sentences(article, QUESTION, CountingEncoder())
    assert [sentence.text for sentence in found] == ["Now aspirin is first.", "Then aspirin is second."]
