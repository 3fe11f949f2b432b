"""Short forms and their long forms, as a text defines them: `myocardial infarction (MI)`.

The algorithm is that of Schwartz and Hearst (Pacific Symposium on Biocomputing 2003, 451-462).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.normalize import folded_words

__all__ = ["short_form_keys", "short_forms"]

#: A bracket without another in it; longer ones hold sentences, not names.
_BRACKET = re.compile(r"\(([^()]{2,100})\)")
#: What ends the stretch of text that a long form may lie in.
_STOP = re.compile(r"[.;:?!]\s|[()\[\]]")
_WORD = re.compile(r"\S+")
_SHORT = re.compile(r"[A-Za-z0-9][\w./+-]*(?: [\w./+-]+)?")
#: Characters and words of a short form.
_SHORTEST, _LONGEST, _MOST_WORDS = 2, 10, 2


def short_forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield each short form that a text defines, with its long form.

    >>> list(short_forms("After myocardial infarction (MI), CRP (C-reactive protein) was high (see table)."))
    [('MI', 'myocardial infarction'), ('CRP', 'C-reactive protein')]
    """
    for bracket in _BRACKET.finditer(text):
        inside = re.split(r"[,;] ", bracket[1])[0].strip()
        before = _stretch(text[max(0, bracket.start() - 300) : bracket.start()])
        if _is_short(inside):
            long = _long_form(inside, _last_words(before, inside))
            if long:
                yield inside, long
        elif before and _is_short(before.rsplit(None, 1)[-1]):
            short = before.rsplit(None, 1)[-1]
            long = _long_form(short, inside)
            if long is not None and long == inside:
                yield short, long


def short_form_keys(text: str) -> Iterator[str]:
    """Yield the pairs of a text as exact values: `abbr:mi/myocardial_infarction`."""
    if "(" not in text:
        return
    for short, long in short_forms(text):
        folded = "_".join(folded_words(short)), "_".join(folded_words(long))
        if all(folded) and folded[0] != folded[1]:
            yield f"abbr:{folded[0]}/{folded[1]}"


def _stretch(text: str) -> str:
    """Return the end of a text from the last mark on that no long form goes beyond."""
    start = 0
    for stop in _STOP.finditer(text):
        start = stop.end()
    return text[start:].strip()


def _is_short(text: str) -> bool:
    """Whether a text can be a short form; one without a capital, such as `(mean)`, is left alone."""
    return (
        _SHORTEST <= len(text) <= _LONGEST
        and len(text.split()) <= _MOST_WORDS
        and _SHORT.fullmatch(text) is not None
        and any(letter.isupper() for letter in text)
    )


def _last_words(text: str, short: str) -> str:
    """Return the words before a bracket among which the long form is looked for."""
    most = min(len(short) + 5, 2 * len(short))
    words = list(_WORD.finditer(text))
    return text[words[-min(most, len(words))].start() :] if words else ""


def _long_form(short: str, text: str) -> str | None:
    """Return the shortest end of a text with the characters of a short form in order, the first beginning a word."""
    at = len(text) - 1
    for place in range(len(short) - 1, -1, -1):
        letter = short[place].lower()
        if not letter.isalnum():
            continue
        while at >= 0 and (text[at].lower() != letter or (place == 0 and at > 0 and text[at - 1].isalnum())):
            at -= 1
        if at < 0:
            return None
        at -= 1
    start = text.rfind(" ", 0, at + 1) + 1
    long = text[start:].strip(" ,-\"'")
    return long if _is_plausible(short, long) else None


def _is_plausible(short: str, long: str) -> bool:
    """Whether a long form is longer than its short form, does not hold it as a word, and is not far too long."""
    words = long.split()
    letters = sum(letter.isalnum() for letter in short)
    return (
        len(long) > len(short)
        and short.lower() not in (word.lower() for word in words)
        and len(words) <= min(letters + 5, 2 * letters)
    )
