"""Sentences and their sources are read from an answer however it is cut into pieces."""

import pytest

from search.llm.reading import CUT_OFF, written_sentences


def read(text, size=1):
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [(one.text, one.citations) for one in written_sentences(pieces)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It fell [1]. It rose [2][3].", [("It fell.", (1,)), ("It rose.", (2, 3))]),
        ("It fell. [1] It rose.[2, 3]", [("It fell.", (1,)), ("It rose.", (2, 3))]),
        ("It fell [1-3]; so did risk [Source 5].", [("It fell; so did risk.", (1, 2, 3, 5))]),
        ("- **It fell** [1]\n- It rose\n[2]\n", [("It fell", (1,)), ("It rose", (2,))]),
        ("<think>Is it [7]? Yes. </think>It fell by 2.5% vs. 3.1% [1].", [("It fell by 2.5% vs. 3.1%.", (1,))]),
        ("No source here. None there", [("No source here.", ()), ("None there", ())]),
        ("It fell [1–999999].", [("It fell.", (1, 999999))]),
        ("", []),
        ("[1]", []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_sentences_and_sources(text, sentences, size):
    assert read(text, size) == sentences


def test_a_sentence_comes_when_the_next_has_begun():
    seen = []

    def pieces():
        yield "It fell [1]. "
        seen.append(list(found))
        yield "[2] It rose."
        seen.append(list(found))

    found = []
    for one in written_sentences(pieces()):
        found.append(one.citations)
    assert seen == [[], [(1, 2)]] and found == [(1, 2), ()]


def test_half_a_sentence_is_left_out_where_the_answer_was_cut_off():
    assert [one.text for one in written_sentences(["It fell [1]. It ro", CUT_OFF])] == ["It fell."]
    assert [one.text for one in written_sentences(["It fell [1].", CUT_OFF])] == ["It fell."]
    assert [one.text for one in written_sentences(["It fe", CUT_OFF])] == []
