"""What an acronym of a question stands for, by the short and long forms that the articles themselves define."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from search.normalize import folded_words
from search.storage.backend import View
from search.storage.bm25 import question_words, words
from search.storage.token_query import AnyOf, Joined, Phrase, TokenQuery

__all__ = ["Sense", "acronyms_in", "senses_of"]

#: A short form: capitals, maybe with digits and hyphens (`COPD`, `IL-6`, `mRNA`, `T2DM`).
_SHORT = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?![\w-])")
_EXPLAINED = re.compile(r" ?[(]| \d")
_LONGEST = 10
#: Long forms that are looked at, the most frequent first, and articles that must define one.
_LOOKED_AT, _LEAST = 40, 2
#: What share of the articles that have a word must define it, and what share of these in one sense.
_DEFINED, _FOREMOST = 0.1, 0.15
#: So many other words of a question say what it is about.
_SAYING = 2
#: A sense is near another one if it is at least so likely beside it.
_NEAR = 1 / 3
#: Other words of the question that tell senses apart, and what is added to their counts.
_TELLING, _SMOOTHING = 6, 10.0


class Sense(msgspec.Struct, frozen=True):
    """A long form of an acronym, how many articles define it, and how likely it is meant, from 0 to 1."""

    long: str
    articles: int
    share: float


def acronyms_in(question: str) -> Iterator[tuple[int, int, str]]:
    """Yield where the acronyms of a question begin and end, and what they are, in order.

    Small letters are one only where the whole question is a single short word: `copd`.
    """
    typed = question.strip()
    if re.fullmatch(r"[a-z]{2,6}", typed):
        start = question.index(typed)
        yield start, start + len(typed), typed
    if question.isupper() and len(question.split()) > 2:
        return
    for match in _SHORT.finditer(question):
        text = match[0]
        # What a bracket or a number beside it explains is no acronym to explain: `ESC (...)`, `CA 19-9`.
        if question[: match.start()].endswith("(") or _EXPLAINED.match(question, match.end()):
            continue
        capitals = sum(letter.isupper() for letter in text)
        if len(text) <= _LONGEST and (capitals > 1 or (capitals and any(letter.isdigit() for letter in text))):
            yield match.start(), match.end(), text


def senses_of(view: View, short: str, question: str) -> list[Sense]:
    """Return what a short form stands for, the likeliest sense first, then those that are near it.

    Long forms that differ in endings, in spaces, or in words before them (`pump inhibitor`) are one sense. The other
    words of the question tell senses apart, as far as the articles that define them hold these words. Nothing if the
    question has the long form itself.
    """
    key = "_".join(folded_words(short))
    keys = view.tokens.keys(f"abbr:{key}/", _LOOKED_AT)
    if not keys or not _is_short_form(view, key, keys):
        return []
    counted = [(view.tokens.count(AnyOf(tuple(some), exact=True)), some) for some in _alike(keys)]
    counted = [(count, some) for count, some in counted if count >= _LEAST]
    context = _context(view, question, short)
    likely = [(*_likelihood(view, count, some, context), count, some) for count, some in counted]
    # Where no article that defines a sense has any other word of the question, another one is meant.
    likely = [row for row in likely if row[1] or len(context) < _SAYING]
    if not likely:
        return []
    best = max(row[0] for row in likely)
    total = sum(math.exp(row[0] - best) for row in likely)
    senses = [
        Sense(_spelled(view, key, some), count, round(math.exp(score - best) / total, 3))
        for score, _, count, some in likely
    ]
    senses.sort(key=lambda sense: (-sense.share, -sense.articles, sense.long))
    held = set(question_words(question))
    if any(set(words(sense.long)) <= held for sense in senses):
        return []
    return [sense for sense in senses if sense.share >= _NEAR * senses[0].share]


def _alike(keys: Sequence[str]) -> list[list[str]]:
    """Return the long forms that are one sense together: those with the same letters, or the same last words."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for known in sorted(keys, key=len):
        stems = tuple(words(known.partition("/")[2].replace("_", " ")))
        alike = next((one for one in groups if "".join(one) == "".join(stems) or stems[-len(one) :] == one), stems)
        groups.setdefault(alike, []).append(known)
    return list(groups.values())


def _is_short_form(view: View, key: str, keys: Sequence[str]) -> bool:
    """Whether enough of the articles that have a word define it, in few senses: `US` is mostly something else."""
    parts = key.split("_")
    used: TokenQuery
    if len(parts) == 1:
        used = AnyOf((f"t:{key}", f"b:{key}"))
    else:
        used = Joined("OR", tuple(Phrase(tuple(f"{zone}:{part}" for part in parts)) for zone in "tb"))
    counts = [view.tokens.count(AnyOf((known,), exact=True)) for known in keys]
    return sum(counts) >= _DEFINED * view.tokens.count(used) and max(counts) >= _FOREMOST * sum(counts)


def _context(view: View, question: str, short: str) -> list[tuple[TokenQuery, float]]:
    """Return the rarest other words of a question, each with the share of articles that hold it."""
    typed = {word for word in folded_words(question) if len(word) > 2} - set(folded_words(short))
    stems = {word: words(word) for word in typed}
    rarity = view.idf({stem for found in stems.values() for stem in found})
    known = sorted(
        (word for word, found in stems.items() if found and rarity[found[0]]),
        key=lambda word: (-rarity[stems[word][0]], word),
    )
    return [(AnyOf((f"t:{word}", f"b:{word}")), math.exp(-rarity[stems[word][0]])) for word in known[:_TELLING]]


def _likelihood(
    view: View, count: int, keys: Sequence[str], context: Sequence[tuple[TokenQuery, float]]
) -> tuple[float, int]:
    """Return the logarithm of how likely a sense is, and how many articles that define it have another word, too."""
    sense = AnyOf(tuple(keys), exact=True)
    score, all_together = math.log(count), 0
    for query, share in context:
        together = view.tokens.count(Joined("AND", (sense, query)))
        score += math.log((max(together - 1, 0) + _SMOOTHING * share) / (count + _SMOOTHING))
        all_together += together
    return score, all_together


def _spelled(view: View, short: str, keys: Sequence[str]) -> str:
    """Return one of the long forms of a sense as text: one whose words begin as the short form says, the most frequent.

    What a short form is defined by may have a word too many or too few: `post myocardial infarction (MI)`.
    """
    counts = {key: view.tokens.count(AnyOf((key,), exact=True)) for key in keys} if len(keys) > 1 else {keys[0]: 1}

    def worth(key: str) -> tuple[bool, int, int, str]:
        initials = "".join(word[0] for word in key.partition("/")[2].split("_"))
        return counts[key] >= _LEAST and initials == short.replace("_", ""), counts[key], -len(key), key

    return max(keys, key=worth).partition("/")[2].replace("_", " ")
