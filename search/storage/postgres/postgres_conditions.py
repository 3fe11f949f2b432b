"""What articles are filtered by, in PostgreSQL's SQL: conditions on a row `a` of `articles`, each with its parameters.

Names are looked up first and put in as numbers, by which the planner knows how many articles a condition passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from search.storage.folder.sqlite_conditions import Condition

__all__ = ["PgConditions", "clean"]

_NEVER: Condition = ("false", [])


class PgConditions:
    """The conditions for PostgreSQL; `rows` runs a query."""

    has_abstract: Condition = ("a.has_abstract", [])
    free_full_text: Condition = ("a.free_full_text", [])
    retracted: Condition = ("a.retracted", [])

    def __init__(self, rows: Callable[[str, Sequence[object]], Iterable[Any]]) -> None:
        self._rows = rows

    def dates(self, first: int, last: int) -> Condition:
        """Articles that can have appeared between two days (yyyymmdd), inclusive."""
        return "a.date_first > 0 AND a.date_first <= %s AND a.date_last >= %s", [last, first]

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        return "a.added >= %s", [day]

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        ids = self._ids("SELECT journal FROM journal_keys WHERE key = ANY(%s)", [[clean(key) for key in keys]])
        return ("a.journal = ANY(%s)", [ids]) if ids else _NEVER

    def mesh(self, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading, by its name or UI; with `major`, as one of their main points."""
        name = clean(descriptor)
        return self._having("kind = 'mesh' AND (name = %s OR ui = %s)", [name, name], major)

    def qualifier(self, qualifier: str, descriptor: str, *, major: bool) -> Condition:
        """Articles with a MeSH heading that has a qualifier."""
        name, parent = clean(qualifier), clean(descriptor)
        return self._having(
            "kind = 'qualifier' AND (name = %s OR ui = %s) AND (parent_name = %s OR parent_ui = %s)",
            [name, name, parent, parent],
            major,
        )

    def names(self, kind: str, names: Iterable[str]) -> Condition:
        """Articles with any of some terms of a kind (`type`, `language`), by name or UI."""
        wanted = [clean(name) for name in names]
        return self._having("kind = %s AND (name = ANY(%s) OR ui = ANY(%s))", [kind, wanted, wanted])

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        return "a.pmid = ANY(%s::bigint[])", [sorted(pmids)]

    def _having(self, term: str, parameters: list[object], major: bool = False) -> Condition:
        ids = self._ids(f"SELECT id FROM terms WHERE {term}", parameters)
        return (f"a.{'major' if major else 'terms'} && %s::integer[]", [ids]) if ids else _NEVER

    def _ids(self, sql: str, parameters: Sequence[object]) -> list[int]:
        return sorted({number for (number,) in self._rows(sql, parameters)})


def clean(text: str) -> str:
    """Return a text as it can be stored: PostgreSQL has no NUL character."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
