"""What articles are filtered by, in SQLite's SQL: conditions on a row `a` of `articles`, each with its parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

__all__ = ["CandidateConditions", "Condition", "Conditions", "SqliteConditions", "pmids_of_one_term"]

#: SQL on a row `a` of `articles`, and the parameters in it.
Condition = tuple[str, list[object]]


class Conditions(Protocol):
    """The conditions that a filter is made of; names are given as their keys (`search.normalize`)."""

    def dates(self, first: int, last: int) -> Condition:
        """Articles that can have appeared between two days (yyyymmdd), inclusive."""
        ...

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        ...

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        ...

    def mesh(self, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading, by its name or UI; with `major`, as one of their main points."""
        ...

    def qualifier(self, qualifier: str, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading that has a qualifier."""
        ...

    def names(self, kind: str, names: Iterable[str]) -> Condition:
        """Articles with any of some terms of a kind (`type`, `language`), by name or UI."""
        ...

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        ...

    has_abstract: Condition
    free_full_text: Condition
    retracted: Condition


class SqliteConditions:
    """The conditions for SQLite, where terms are looked up in `article_terms`."""

    has_abstract: Condition = ("a.has_abstract", [])
    free_full_text: Condition = ("a.free_full_text", [])
    retracted: Condition = ("a.retracted", [])

    def dates(self, first: int, last: int) -> Condition:
        """Articles that can have appeared between two days (yyyymmdd), inclusive."""
        return "a.date_first > 0 AND a.date_first <= ? AND a.date_last >= ?", [last, first]

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        return "a.added >= ?", [day]

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        return (
            "ifnull(a.journal, 0) IN (SELECT k.journal FROM json_each(?) AS wanted JOIN journal_keys AS k "
            "ON k.key = wanted.value)",
            [json.dumps(sorted(keys))],
        )

    def mesh(self, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading, by its name or UI; with `major`, as one of their main points."""
        return self._having("kind = 'mesh' AND (name = ? OR ui = ?)", [descriptor, descriptor], major)

    def qualifier(self, qualifier: str, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading that has a qualifier."""
        return self._having(
            "kind = 'qualifier' AND (name = ? OR ui = ?) AND (parent_name = ? OR parent_ui = ?)",
            [qualifier, qualifier, descriptor, descriptor],
            major,
        )

    def names(self, kind: str, names: Iterable[str]) -> Condition:
        """Articles with any of some terms of a kind (`type`, `language`), by name or UI."""
        wanted = json.dumps(list(names))
        return self._having(
            "kind = ? AND (name IN (SELECT value FROM json_each(?)) OR ui IN (SELECT value FROM json_each(?)))",
            [kind, wanted, wanted],
        )

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        return "a.pmid IN (SELECT value FROM json_each(?))", [json.dumps(sorted(pmids))]

    def _having(self, term: str, parameters: list[object], major: bool = False) -> Condition:
        """Articles with a term, found by going through all that have it."""
        return f"a.pmid IN (SELECT t.pmid FROM {_terms(term, major)})", parameters


class CandidateConditions(SqliteConditions):
    """The same conditions for a few articles that are named beside them: each is looked at by itself."""

    def _having(self, term: str, parameters: list[object], major: bool = False) -> Condition:
        return f"EXISTS (SELECT 1 FROM {_terms(term, major)} AND t.pmid = a.pmid)", parameters


def pmids_of_one_term(condition: str) -> str | None:
    """Return the query for the PMIDs that meet a condition, if that is to have a term and nothing else.

    Every PMID that has a term has an article, so there is no need to look at that too, which takes most of the time.
    """
    while (inner := _within(condition)) is not None:
        condition = inner
    query = _within(condition.removeprefix("a.pmid IN "))
    return query if query is not None and query.startswith("SELECT t.pmid FROM article_terms") else None


def _within(text: str) -> str | None:
    """Return what stands within the parentheses around a whole text; None if there are none."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if place and place == len(text) - 1 else None
    return None


def _terms(term: str, major: bool) -> str:
    only = " AND t.major" if major else ""
    return f"article_terms AS t WHERE t.term IN (SELECT id FROM terms WHERE {term}){only}"
