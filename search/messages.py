"""Messages about values that are wrong: which field, and the nearest name there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

__all__ = ["explained", "left_out", "nearest_name"]

_NAMED = 10


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


def left_out(pmids: Sequence[int]) -> str:
    """Return a warning that articles were left out, because their records or vectors are damaged.

    >>> left_out([7, 8])
    'PMID 7, 8: left out, for the record or vector is damaged; `search verify` says what mends it'
    """
    named = ", ".join(map(str, pmids[:_NAMED]))
    more = f" and {len(pmids) - _NAMED:,} others" if len(pmids) > _NAMED else ""
    return f"PMID {named}{more}: left out, for the record or vector is damaged; `search verify` says what mends it"


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Return a hint for a name that is not known: the nearest known one, or all of them."""
    known = list(dict.fromkeys(names))
    nearest = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(
        name.replace("-", "_").lower(), known, n=1, cutoff=0.4
    )
    return f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
