"""What articles have that is nearest to a value that no article has."""

from __future__ import annotations

import difflib
import re
from itertools import islice

from search.storage.token_query import AnyOf, TokenIndex

__all__ = ["NearestValues"]

#: A value is compared with those that have the first letters of one of its words, and with no more of them than these.
_TELLING, _COMPARED = 4, 2_000

#: The first letters of a value that are compared: no name is longer.
_LONGEST = 500

#: So many values get a hint; who gives more that no article has did not misspell them.
_HINTS = 20


class NearestValues:
    """The values that articles have in some fields, each field listed once, when it is needed."""

    def __init__(self, tokens: TokenIndex) -> None:
        self._tokens = tokens
        self._names: dict[str, list[str]] = {}
        self._hints_left = _HINTS

    def hint(self, field: str, value: str) -> str:
        """Return `; the nearest are ...` for a value (words joined by `_`) that no article has in a field, or nothing.

        The first twenty values get a hint.
        """
        if not self._hints_left:
            return ""
        self._hints_left -= 1
        if field not in self._names:
            self._names[field] = [key.partition(":")[2] for key in self._tokens.keys(f"{field}:")]
        counts = [
            (name, self._tokens.count(AnyOf((f"{field}:{name}",), exact=True)))
            for name in _nearest(value[:_LONGEST], self._names[field])
        ]
        shown = ", ".join(f"{name.replace('_', ' ')} ({count:,})" for name, count in counts)
        return f"; the nearest are {shown}" if shown else ""


def _nearest(value: str, known: list[str]) -> list[str]:
    """Return up to three of some values that are nearest to a value, with a qualifier if it has one."""
    words = [word[:_TELLING] for word in re.split("[_/]", value) if len(word) >= _TELLING] or [value[:_TELLING]]
    has_word = re.compile("|".join(map(re.escape, words))).search
    of_kind = (name for name in filter(has_word, known) if ("/" in name) == ("/" in value))
    alike = list(islice(of_kind, _COMPARED))
    close = difflib.get_close_matches(value, alike, n=3, cutoff=0.5)
    within = sorted((name for name in alike if set(value.split("_")) <= set(name.split("_"))), key=len)
    return list(dict.fromkeys([*close, *within]))[:3]
