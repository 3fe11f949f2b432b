"""Reading an answer as it is written: its sentences, and the sources that each of them names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from search.retrieval.sentences import sentence_spans

__all__ = ["CUT_OFF", "WrittenSentence", "written_sentences"]

#: The last piece of an answer that did not come to its end.
CUT_OFF = "\x00"

#: Sources in brackets: `[1]`, `[1, 3]`, `[2-4]`, `[Source 2]`.
_MARK = re.compile(r"\s*[\[【](?:sources?\s*)?(\d{1,6}(?:\s*[,;–-]\s*\d{1,6})*)[\]】]", re.IGNORECASE)
_LEADING_MARKS = re.compile(rf"(?:{_MARK.pattern})+[\s.;,]*", re.IGNORECASE)
#: A mark that is not written to its end.
_UNFINISHED = re.compile(r"[\[【][^\]】]*$")
_RANGE = re.compile(r"(\d+)\s*[–-]\s*(\d+)")
#: A range of more sources than this is read as its two ends.
_LONGEST_RANGE = 20

#: What a model thinks aloud before it answers.
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•#>]+|\d{1,2}[.)])\s+")
_EMPHASIS = re.compile(r"\*\*|__|`")


class WrittenSentence(NamedTuple):
    """A sentence without its marks, and the numbers of the sources it names, in order and each once."""

    text: str
    citations: tuple[int, ...]


def written_sentences(pieces: Iterable[str]) -> Iterator[WrittenSentence]:
    """Yield the sentences of an answer, each as soon as the next has begun.

    Of an answer that ends with CUT_OFF the last sentence is left out unless it is whole.
    """
    text, given = "", 0
    for piece in pieces:
        text = _THOUGHT.sub("", text + piece)
        found = _sentences(_UNFINISHED.sub("", text.partition("<think>")[0]))
        yield from found[given:-1]
        given = max(given, len(found) - 1)
    was_cut = text.endswith(CUT_OFF)
    text = text.partition("<think>")[0].rstrip(CUT_OFF).rstrip()
    found = _sentences(text)
    if was_cut and found and not _MARK.sub("", text).endswith((".", "!", "?")):
        found.pop()
    yield from found[given:]


def _sentences(text: str) -> list[WrittenSentence]:
    found: list[WrittenSentence] = []
    for line in text.split("\n"):
        line = _EMPHASIS.sub("", _BULLET.sub("", line))
        for start, end in sentence_spans(line):
            sentence = line[start:end]
            before = _LEADING_MARKS.match(sentence)
            # Marks behind a full stop belong to the sentence that it ends.
            if before and found:
                last = found.pop()
                found.append(last._replace(citations=_unique((*last.citations, *_numbers(before[0])))))
                sentence = sentence[before.end() :]
            words = " ".join(_MARK.sub("", sentence).split())
            words = re.sub(r"\s+([.,;:!?])", r"\1", words)
            if any(character.isalnum() for character in words):
                found.append(WrittenSentence(words, _numbers(sentence)))
    return found


def _numbers(text: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for mark in _MARK.finditer(text):
        for part in re.split("[,;]", mark[1]):
            span = _RANGE.fullmatch(part.strip())
            if span is None:
                numbers += [int(number) for number in re.findall(r"\d+", part)]
            elif 0 <= int(span[2]) - int(span[1]) <= _LONGEST_RANGE:
                numbers += range(int(span[1]), int(span[2]) + 1)
            else:
                numbers += [int(span[1]), int(span[2])]
    return _unique(numbers)


def _unique(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
