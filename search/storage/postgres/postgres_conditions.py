"""What articles are filtered by, in PostgreSQL's SQL: conditions on a row `a` of `articles`, each with its parameters.

Names are looked up first and put in as numbers, by which the planner knows how many articles a condition passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from search.storage.conditions import DATES, EARLY_DATES, NONE, RETRACTED, Condition

__all__ = ["PgConditions", "clean"]


class PgConditions:
    """The conditions for PostgreSQL; `rows` runs a query."""

    has_abstract = Condition("a.has_abstract")
    free_full_text = Condition("a.free_full_text")
    retracted = RETRACTED

    def __init__(self, rows: Callable[[str, Sequence[object]], Iterable[Any]]) -> None:
        self._rows = rows

    def dates(self, first: int, last: int, *, late: bool) -> Condition:
        """Articles whose issue or electronic version can have appeared between two days (yyyymmdd), inclusive.

        An electronic date after the issue's counts only with `late`.
        """
        return Condition(DATES.format("%s") if late else EARLY_DATES.format("%s"), (last, first, last, first))

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        return Condition("a.added >= %s", (day,))

    def added_after(self, change: int) -> Condition:
        """Articles that were first added after a change number."""
        return Condition("a.added_change > %s", (change,))

    def at_least(self, participants: int) -> Condition:
        """Articles that say that so many or more took part."""
        return Condition("a.sample_size >= %s", (participants,))

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        ids = self._ids("SELECT journal FROM journal_keys WHERE key = ANY(%s)", [list(map(clean, keys))])
        return Condition("a.journal = ANY(%s)", (ids,)) if ids else NONE

    def terms(self, kind: str, names: Iterable[str], *, major: bool = False) -> Condition:
        """Articles with any of some terms of a kind (`mesh`, `type`, `language`), by name or UI.

        With `major`, only where the term is one of the article's main points.
        """
        listed = list(map(clean, names))
        # Hash indexes find single values only, so the values are joined.
        query = " UNION ".join(
            f"SELECT t.id FROM unnest(%s::text[]) AS n (value) JOIN terms AS t ON t.{column} = n.value "
            "WHERE t.kind = %s"
            for column in ("name", "ui")
        )
        return self._having(query, [listed, kind, listed, kind], major)

    def qualifiers(self, pairs: Iterable[tuple[str, str]], *, major: bool = False) -> Condition:
        """Articles with any of some (qualifier, descriptor) pairs, each by name or UI."""
        columns = [list(map(clean, column)) for column in zip(*pairs, strict=True)]
        query = " UNION ".join(
            "SELECT t.id FROM unnest(%s::text[], %s::text[]) AS p (own, parent) "
            f"JOIN terms AS t ON t.{own} = p.own AND (t.parent_name = p.parent OR t.parent_ui = p.parent) "
            "WHERE t.kind = 'qualifier'"
            for own in ("name", "ui")
        )
        return self._having(query, [*columns, *columns], major)

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        return Condition("a.pmid = ANY(%s::bigint[])", (sorted(pmids),))

    def _having(self, query: str, parameters: Sequence[object], major: bool) -> Condition:
        ids = self._ids(query, parameters)
        return Condition(f"a.{'major' if major else 'terms'} && %s::integer[]", (ids,)) if ids else NONE

    def _ids(self, sql: str, parameters: Sequence[object]) -> list[int]:
        return sorted({number for (number,) in self._rows(sql, parameters)})


def clean(text: str) -> str:
    """Return a text as it can be stored: PostgreSQL has no NUL character."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
