"""What articles are filtered by: conditions in a database's SQL on a row `a` of `articles`, and how they combine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

__all__ = ["DATES", "EARLY_DATES", "ALL", "NONE", "RETRACTED", "Condition", "Conditions", "all_of", "any_of", "negated"]

#: Conditions that are joined in one row; SQLite takes no expression that is a thousand operators deep.
_IN_A_ROW = 100


class Condition(msgspec.Struct, frozen=True):
    """SQL on a row `a` of `articles`, and the parameters in it.

    `pmids` is a query, with the same parameters, for the PMIDs that meet the condition, where there is one that needs
    not look at `articles`, which takes most of the time.
    """

    sql: str
    parameters: tuple[object, ...] = ()
    pmids: str | None = None


#: Every article, and none.
ALL = Condition("1 = 1")
NONE = Condition("1 = 0")

#: Retracted articles, by their record or by Retraction Watch's list.
_LISTED = "EXISTS (SELECT 1 FROM retractions AS r WHERE r.pmid = {} AND r.nature = 'Retraction')"
RETRACTED = Condition(f"(a.retracted OR {_LISTED.format('a.pmid')} OR {_LISTED.format('-a.pmid')})")


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return what holds where all conditions do."""
    kept = [condition for condition in conditions if condition is not ALL]
    return _joined(" AND ", kept) if kept else ALL


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Return what holds where any of the conditions does."""
    if any(condition is ALL for condition in conditions):
        return ALL
    return _joined(" OR ", conditions) if conditions else NONE


def negated(condition: Condition) -> Condition:
    """Return what holds where a condition does not."""
    return Condition(f"NOT ({condition.sql})", condition.parameters)


def _joined(operator: str, conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    texts = [f"({condition.sql})" for condition in conditions]
    while len(texts) > _IN_A_ROW:
        rows = [texts[start : start + _IN_A_ROW] for start in range(0, len(texts), _IN_A_ROW)]
        texts = [f"({operator.join(row)})" for row in rows]
    return Condition(operator.join(texts), tuple(value for condition in conditions for value in condition.parameters))


_ISSUE = "a.date_first > 0 AND a.date_first <= {0} AND a.date_last >= {0}"
_ELECTRONIC = "a.electronic_first > 0 AND a.electronic_first <= {0} AND a.electronic_last >= {0}"

#: Articles by the date of the issue or of the electronic version, which in `EARLY_DATES` is not after the issue's.
#: `{0}` is the mark of a parameter; the parameters are the last and the first day, twice.
DATES = f"({_ISSUE} OR {_ELECTRONIC})"
EARLY_DATES = f"({_ISSUE} OR {_ELECTRONIC} AND a.electronic_first <= a.date_first)"


class Conditions(Protocol):
    """The conditions of a store; names are given as their keys (`search.normalize`)."""

    has_abstract: Condition
    free_full_text: Condition
    retracted: Condition

    def dates(self, first: int, last: int, *, late: bool) -> Condition:
        """Articles whose issue or electronic version can have appeared between two days (yyyymmdd), inclusive.

        An electronic date after the issue's counts only with `late`.
        """
        ...

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        ...

    def added_after(self, change: int) -> Condition:
        """Articles that were first added after a change number."""
        ...

    def at_least(self, participants: int) -> Condition:
        """Articles that say that so many or more took part."""
        ...

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        ...

    def terms(self, kind: str, names: Iterable[str], *, major: bool = False) -> Condition:
        """Articles with any of some terms of a kind (`mesh`, `type`, `language`), by name or UI.

        With `major`, only where the term is one of the article's main points.
        """
        ...

    def qualifiers(self, pairs: Iterable[tuple[str, str]], *, major: bool = False) -> Condition:
        """Articles with any of some (qualifier, descriptor) pairs, each by name or UI."""
        ...

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        ...
