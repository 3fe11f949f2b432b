"""Messages about values that are wrong: which field, and the nearest name there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["explained", "nearest_name"]


def explained(error: Exception, names: Iterable[str], noun: str = "field") -> str:
    """Return the message of a msgspec.ValidationError for a person: which field is wrong, and how.

    `names` are the fields there are, for a suggestion; `noun` is what they are called.

    >>> explained(ValueError("Expected `int` >= 1 - at `$.limit`"), ["limit"])
    'field limit: expected `int` >= 1'
    >>> explained(ValueError("Object contains unknown field `limt`"), ["limit", "mode"])
    "no field 'limt': did you mean 'limit'?"
    """
    reason, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", reason)
    if unknown is not None:
        return f"no {noun} {unknown[1]!r}{f' in {where}' if where else ''}: {nearest_name(unknown[1], names)}"
    reason = f"{reason[:1].lower()}{reason[1:]}"
    return f"{noun} {where}: {reason}" if where else reason


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Return a hint for a name that is not known: the nearest known one, or all of them."""
    known = list(dict.fromkeys(names))
    nearest = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(
        name.replace("-", "_").lower(), known, n=1, cutoff=0.4
    )
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
