"""The check of a written sentence against the sentences of the sources that it names.

By rules, without a language model: the sources must be there; each must have a sentence near enough in meaning and in
words; and the two must agree in numbers, in what is denied, and in direction (more or less, better or worse). What it
cannot see is a change of meaning in other words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.retrieval.context import Source
from search.storage.bm25 import words

__all__ = ["disagreement", "nearness", "problems_of"]

Vectors = npt.NDArray[np.floating]

#: How near a sentence must be to one of a source: cosine + _SHARED x the share of its words that the nearest has +
#: _ANYWHERE x the share that the source has; and how much less near a sentence may be that agrees in its place.
_NEAR, _SHARED, _ANYWHERE, _SECOND = 0.85, 0.5, 0.5, 0.15

_NEGATION_WORDS = """
    no not nor neither none never without cannot unlikely fail fails failed failing lack lacks lacked lacking absence
    absent unable insufficient
"""
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
#: Words that deny what follows their first letters: `unchanged`, `ineffective`.
_DENIED_INSIDE = re.compile(r"(?:un|in|non-?)(affected|changed|altered|related|effective|significant|associated|safe)")
#: Words that deny a difference.
_ALIKE = frozenset(["similar", "similarly", "comparable", "comparably", "equivalent", "equal", "equally", "same"])
#: Stems that say the same.
_SAME = {"affect": "effect", "influenc": "effect", "impact": "effect"}
_CLAUSE_END = frozenset([",", ";", ":", "but", "although", "though", "however", "whereas", "while", "(", ")"])
#: So many words after a negation may be what it denies, and so many around a direction what it is of.
_DENIED, _AROUND = 5, 4

#: Three axes and their two directions: beginnings of words, or whole words (with a `$`).
_MORE = """
    increas higher$ highest greater greatest more$ rais rise$ rises rising rose$ elevat enhanc stimulat promot accelerat
    longer$ prolong augment upregulat gain$ gained larger$ worsen aggravat exacerbat potentiat
"""
_LESS = """
    decreas lower$ lowers lowered lowering lowest less$ fewer$ reduc declin fall$ falls fell$ diminish attenuat inhibit
    suppress shorter$ shorten smaller$ downregulat down-regulat loss$ lost$ block delay abolish antagoni drop$ drops
    dropped
"""
_BETTER = """
    better$ best$ improv superior effective$ effectively benefi safe$ safely efficacious favorabl favourabl useful
    successful
"""
_WORSE = "worse$ worst$ worsen impair inferior ineffective harm unsafe unfavo deteriorat useless unsuccessful poorer"
_FOR, _AGAINST = "cause$ causes caused causing positive", "prevent protect negative inverse"
_AXES = ((_MORE, _LESS), (_BETTER, _WORSE), (_FOR, _AGAINST))
_DIRECTION = tuple(tuple(re.compile(rf"(?:{'|'.join(side.split())})") for side in sides) for sides in _AXES)
#: Drugs are called by what they do; it is not what was found.
_AGENT = re.compile(r".*(?:tors?|ers?|ants?)$")


_TOKEN = re.compile(r"n't\b|[A-Za-z]+(?:-[A-Za-z]+)*|[,;:()]")
_NUMBER = re.compile(r"\d+(?:[,\u202f ]\d{3})+(?!\d)|\d+(?:[.\u00b7]\d+)?")
_NUMBER_OR_WORD = re.compile(rf"{_NUMBER.pattern}|[a-z]+")
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        [
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ],
        start=2,
    )
} | {"twice": "2", "thirty": "30", "forty": "40", "fifty": "50"}


def problems_of(
    sentence: str, citations: Sequence[int], sources: Sequence[Source], encode: Callable[[list[str]], Vectors]
) -> list[str]:
    """Return why a sentence fails the check, for a reader; nothing if it passes.

    `citations` are the numbers of the sources that it names, from 1; `encode` gives (texts, dimension) unit vectors.
    """
    if not citations:
        return ["no source is named"]
    problems = [
        f"[{number}] is not one of the {len(sources)} sources"
        for number in citations
        if not 1 <= number <= len(sources)
    ]
    cited = [sources[number - 1] for number in citations if 1 <= number <= len(sources)]
    for source in cited:
        # An aim asks what was found; it does not say it.
        texts = [part.text for part in source.sentences if part.role != "aim"]
        closeness = nearness(sentence, texts, encode)
        best = max(closeness, default=0.0)
        if best < _NEAR:
            problems.append(f"[{source.number}] says nothing near this")
            continue
        near = [text for text, close in zip(texts, closeness, strict=True) if close >= max(_NEAR, best - _SECOND)]
        found = [disagreement(sentence, text) for text in near]
        if all(found):
            problems.append(f"[{source.number}] {found[closest(near, texts, closeness)]}")
    known = [number for source in cited for text in _texts(source) for number in _numbers(text)]
    missing = [number for number in _numbers(sentence) if not _is_known(number, known)] if cited else []
    named = " or ".join(f"[{source.number}]" for source in cited)
    return problems + [f"{value} is not in {named}" for value in sorted({number.value for number in missing})]


def closest(near: Sequence[str], texts: Sequence[str], closeness: Sequence[float]) -> int:
    """Return the place of the closest of some texts."""
    by_text = dict(zip(texts, closeness, strict=True))
    return max(range(len(near)), key=lambda place: by_text[near[place]])


def nearness(sentence: str, texts: Sequence[str], encode: Callable[[list[str]], Vectors]) -> list[float]:
    """Return how near a sentence is to each of a source's: by meaning and by the words that they share."""
    if not texts:
        return []
    vectors = encode([sentence, *texts])
    mine = _stems(sentence)
    size = max(1, len(mine))
    anywhere = len(mine & frozenset[str]().union(*map(_stems, texts))) / size
    return [
        float(vectors[0] @ vector) + _SHARED * len(mine & _stems(text)) / size + _ANYWHERE * anywhere
        for text, vector in zip(texts, vectors[1:], strict=True)
    ]


def disagreement(sentence: str, text: str) -> str | None:
    """Return how a sentence contradicts a text on the same subject, for a reader; None if it does not, by its words."""
    mine, other = _read(sentence), _read(text)
    if mine.denials and not other.denials:
        return "does not deny this"
    for one, two in ((mine, other), (other, mine)):
        for denied in one.denials:
            common = denied & two.stems
            if common and not any(common & found for found in two.denials):
                return "denies this" if one is other else "does not deny this"
    for axis, sign, around in mine.directions:
        there = [(len(around & near), found) for kind, found, near in other.directions if kind == axis]
        most = max((count for count, _ in there), default=0)
        if most and all(found != sign for count, found in there if count == most):
            return "says the opposite"
    return None


class _Reading(NamedTuple):
    """What a sentence says: its stems, the stems that each negation denies, and its directions (axis, sign, around)."""

    stems: frozenset[str]
    denials: tuple[frozenset[str], ...]
    directions: tuple[tuple[int, int, frozenset[str]], ...]


@lru_cache(maxsize=4096)
def _read(text: str) -> _Reading:
    tokens = _TOKEN.findall(text.lower())
    stems = [_stem(token) for token in tokens]
    denials = []
    directions = []
    for place, token in enumerate(tokens):
        inside = _DENIED_INSIDE.fullmatch(token)
        if token in _NEGATIONS or token == "n't":
            denials.append(_after(tokens, stems, place))
        elif inside is not None:
            denials.append(frozenset([_stem(inside[1])]))
        elif token in _ALIKE:
            denials.append(frozenset([_stem("differ"), _stem("difference")]))
        for axis, sign in _directions(token):
            near = stems[max(0, place - _AROUND) : place] + stems[place + 1 : place + 1 + _AROUND]
            directions.append((axis, sign, frozenset(filter(None, near))))
    whole = frozenset(filter(None, stems)).union(*denials)
    return _Reading(whole, tuple(filter(None, denials)), tuple(directions))


@lru_cache(maxsize=16_384)
def _directions(token: str) -> tuple[tuple[int, int], ...]:
    """Return the axes that a word is on, and its direction on each (1 or -1)."""
    if _AGENT.fullmatch(token) and not token.endswith(("er", "ior")):
        return ()
    return tuple(
        (axis, sign)
        for axis, sides in enumerate(_DIRECTION)
        for sign, side in zip((1, -1), sides, strict=True)
        if side.match(token)
    )


def _after(tokens: Sequence[str], stems: Sequence[str], place: int) -> frozenset[str]:
    """Return the stems that a negation denies: those that follow, to the end of the clause."""
    found: list[str] = []
    for token, stem in zip(tokens[place + 1 :], stems[place + 1 :], strict=True):
        if token in _CLAUSE_END or len(found) >= _DENIED:
            break
        if stem:
            found.append(stem)
    return frozenset(found)


@lru_cache(maxsize=16_384)
def _stem(token: str) -> str:
    found = words(token) if token[0].isalpha() else []
    return _SAME.get(found[0], found[0]) if found else ""


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    return frozenset(words(text))


def _texts(source: Source) -> list[str]:
    return [source.citation, *(part.text for part in source.sentences)]


class _Number(NamedTuple):
    """A number as it is compared (`1,204` is 1204, `twelve` is 12), and the stems of the words beside it."""

    value: str
    beside: frozenset[str]


@lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[_Number, ...]:
    found = []
    tokens = _NUMBER_OR_WORD.findall(text.lower())
    for place, token in enumerate(tokens):
        value = _NUMBER_WORDS.get(token) or (_NUMBER.fullmatch(token) and _plain_number(token))
        if value:
            near = tokens[max(0, place - 2) : place] + tokens[place + 1 : place + 3]
            found.append(_Number(value, frozenset(filter(None, map(_stem, near)))))
    return tuple(found)


def _plain_number(text: str) -> str:
    return re.sub("[,\u202f ]", "", text).replace("\u00b7", ".")


def _is_known(number: _Number, known: Sequence[_Number]) -> bool:
    """Whether a number is among those known, or is one of them rounded; a digit only beside one of the same words.

    A digit alone is often part of a name, and any text has some.
    """
    value = number.value
    if len(value) == 1:
        same = [other for other in known if other.value == value]
        return any(not number.beside or number.beside & other.beside for other in same)
    decimals = len(value.partition(".")[2])
    return any(
        other.value in (value, value.lstrip("0"))
        or (len(other.value.partition(".")[2]) > decimals and f"{float(other.value):.{decimals}f}" == value)
        for other in known
    )
