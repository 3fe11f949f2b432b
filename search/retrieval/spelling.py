"""Words that no article has, corrected from those that articles have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from search.storage.backend import View
from search.storage.bm25 import words
from search.storage.token_query import AnyOf, Phrase

__all__ = ["corrections"]

#: A word of letters alone: `IL6` and `word7` are names.
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?!\w)")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: Shorter words are not corrected: too many others are near.
_SHORTEST = 4
#: Sounds that are written in several ways: each may stand for the other.
_SOUNDS = (
    ("f", "ph"), ("k", "c"), ("k", "ch"), ("i", "y"), ("s", "z"), ("s", "c"), ("e", "ae"), ("e", "oe"), ("t", "th"),
    ("r", "rh"), ("r", "rrh"), ("rr", "rrh"), ("sh", "ti"), ("ie", "ei"), ("a", "e"), ("e", "i"), ("o", "ou"),
    ("x", "cs"), ("u", "eu"), ("s", "ps"), ("n", "pn"),
)  # fmt: skip
_ALIKE = {pair for one, other in _SOUNDS if len(one) == len(other) for pair in ((one, other), (other, one))}
#: Candidates whose exact words are counted, the most frequent by their stems first.
_COUNTED = 30
#: Words in no more than one article in 700 (by their inverse document frequency), or in a few of a small index, are
#: compared with others.
_RARE, _UNUSUAL = 6.5, 2.0
#: A word that articles have is corrected only if this many times more have the other one, and the words beside it.
_RARER, _LEAST_BESIDE = 30, 3
#: A long word that hardly any article has is corrected without them if so many times more have the other one.
_LONG, _FAR_RARER = 9, 150
#: A word must be in so many articles to correct another: with the words beside it, and without them.
_LEAST, _FREQUENT = 3, 20


def corrections(view: View, question: str) -> dict[str, str]:
    """Return the words of a question that are misspelled, as typed, each with the word that is meant.

    A word is misspelled if no article has it. One that few have is, too, where another spelling stands beside the same
    words far more often: `hart attack`.
    """
    corrected = _corrections(view, question, {})
    # What was corrected helps to correct what stands beside it.
    return {**_corrections(view, question, corrected), **corrected} if corrected else {}


def _corrections(view: View, question: str, before: dict[str, str]) -> dict[str, str]:
    typed = [match[0] for match in _WORD.finditer(question)]
    meant = [before.get(word, word) for word in typed]
    stems = {
        word: found for word in typed if word not in before and _may_be_misspelled(word) and (found := words(word))
    }
    rarity = view.idf({stem for found in stems.values() for stem in found}) if stems else {}
    corrected: dict[str, str] = {}
    for place, word in enumerate(typed):
        if word not in stems or word in corrected:
            continue
        rare = rarity[stems[word][0]]
        beside = _beside(meant, place)
        if not rare and not _held(view, word.lower(), "tbkm"):
            best = _best(view, word, beside)
        elif rare > _RARE or (not 0 < rare < _UNUSUAL and _held(view, word.lower()) <= _LEAST):
            best = _far_better(view, word, beside)
        else:
            continue
        if best:
            corrected[word] = best
    return corrected


def _may_be_misspelled(word: str) -> bool:
    return len(word) >= _SHORTEST and word.isascii() and word[1:].islower()


def _beside(typed: list[str], place: int) -> list[tuple[str, bool]]:
    """Return the words before and after a word, each with whether it comes before."""
    before = [(typed[place - 1], True)] if place else []
    return before + ([(typed[place + 1], False)] if place + 1 < len(typed) else [])


def _best(view: View, word: str, beside: list[tuple[str, bool]]) -> str | None:
    """Return the best spelling of a word that no article has; None if none is near."""
    own = word.lower()
    once = {other for other in _edits(own) if other[:1] == own[0] or _sounds_alike(own, other)}
    counted = _counted(view, once, _LEAST)
    sure = {
        other: count
        for other, count in counted.items()
        if (len(own) > _SHORTEST and _is_frequent(view, other, count) and not _swaps_consonants(own, other))
        or _ties(view, other, beside)
    }
    if not sure and len(own) >= _LONG:
        usual = {other for other in once if not _swaps_consonants(own, other)}
        sure = _counted(view, {twice for other in usual for twice in _edits(other, few=True)}, 5 * _FREQUENT)
    scored = [(math.log(count) + _ties(view, other, beside), other) for other, count in sure.items()]
    return max(scored)[1] if scored else None


def _is_frequent(view: View, word: str, count: int) -> bool:
    """Whether a word is in enough articles to correct another: in so many, or in a good share of a small index."""
    return count >= _FREQUENT or (count >= _LEAST and max(view.idf(words(word)).values()) < _RARE)


def _sounds_alike(word: str, other: str) -> bool:
    """Whether two words begin with one sound in two spellings: `farmacy`, `pharmacy`."""
    return any(
        {word.startswith(one), other.startswith(two)} == {True} for pair in _SOUNDS for one, two in (pair, pair[::-1])
    )


def _swaps_consonants(word: str, other: str) -> bool:
    """Whether two words differ by one letter for another that is no vowel for a vowel: `stapes`, `states`."""
    if len(word) != len(other):
        return False
    differing = [(one, two) for one, two in zip(word, other, strict=True) if one != two]
    return len(differing) == 1 and not set(differing[0]) <= set("aeiouy") and differing[0] not in _ALIKE


def _far_better(view: View, word: str, beside: list[tuple[str, bool]]) -> str | None:
    """Return another spelling of a rare word that stands beside the same words, as the rare one never does."""
    own = word.lower()
    content = [(other, before) for other, before in beside if words(other)]
    if any(_together(view, own, other, before) for other, before in content):
        return None
    held = _held(view, own)
    likely = {other for other in _edits(own) if other[:1] == own[0] and not _swaps_consonants(own, other)}
    counted = _counted(view, likely - {own}, _RARER * (held + 1))
    for other in sorted(counted, key=lambda other: (-counted[other], other)):
        if words(other) == words(own):
            continue
        if len(own) >= _LONG and held <= _LEAST and counted[other] >= _FAR_RARER * (held + 1):
            return other
        if any(_together(view, other, neighbour, before) >= _LEAST_BESIDE for neighbour, before in content):
            return other
    return None


def _ties(view: View, word: str, beside: list[tuple[str, bool]]) -> float:
    return sum(3.0 for other, before in beside if words(other) and _together(view, word, other, before))


def _together(view: View, word: str, other: str, before: bool) -> int:
    pair = (other.lower(), word) if before else (word, other.lower())
    return sum(view.tokens.count(Phrase(tuple(f"{zone}:{part}" for part in pair))) for zone in "tb")


def _held(view: View, word: str, zones: str = "tb") -> int:
    """Return how many articles have a word, just as it is, in titles and abstracts or other zones."""
    return view.tokens.count(AnyOf(tuple(f"{zone}:{word}" for zone in zones)))


def _counted(view: View, spellings: set[str], least: int) -> dict[str, int]:
    """Return those of some spellings that so many articles have, with how many have them."""
    rarity = {stem: value for stem, value in view.idf(set(words(" ".join(spellings)))).items() if value}
    beginnings = {stem[:_SHORTEST] for stem in rarity}
    likely = ((spelling, words(spelling)) for spelling in spellings if spelling[:_SHORTEST] in beginnings)
    known = sorted((rarity[found[0]], spelling) for spelling, found in likely if found and found[0] in rarity)
    counts = {spelling: _held(view, spelling) for _, spelling in known[:_COUNTED]}
    return {spelling: count for spelling, count in counts.items() if count >= least}


def _edits(word: str, *, few: bool = False) -> Iterator[str]:
    """Yield what a word may be after one mistake; with `few`, only the usual ones."""
    for at in range(len(word) + 1):
        left, right = word[:at], word[at:]
        if right:
            yield left + right[1:]
            yield left + right[0] + right
        if len(right) > 1:
            yield left + right[1] + right[0] + right[2:]
        if not few:
            yield from _rarer_edits(left, right)


def _rarer_edits(left: str, right: str) -> Iterator[str]:
    """Yield what a word may be if its right part begins with three letters out of order, another sound or letter."""
    if len(right) > 2:
        yield left + right[1:3] + right[0] + right[3:]
        yield left + right[2] + right[:2] + right[3:]
    for one, other in _SOUNDS:
        for wrong, correct in ((one, other), (other, one)):
            if right.startswith(wrong):
                yield left + correct + right[len(wrong) :]
    for letter in _LETTERS:
        yield left + letter + right
        if right:
            yield left + letter + right[1:]
