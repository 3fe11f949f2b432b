"""What articles are filtered by, in SQLite's SQL. The values of a filter are one list, so its cost is linear."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from search.storage.conditions import DATES, EARLY_DATES, RETRACTED, Condition

__all__ = ["CandidateConditions", "SqliteConditions"]

_AMONG = "IN (SELECT value FROM json_each(?))"
_PART = "json_extract(p.value, '$[{}]')".format


class SqliteConditions:
    """The conditions for listing articles: those that have a term are looked up in `article_terms`."""

    has_abstract = Condition("a.has_abstract")
    free_full_text = Condition("a.free_full_text")
    retracted = RETRACTED

    def dates(self, first: int, last: int, *, late: bool) -> Condition:
        """Articles whose issue or electronic version can have appeared between two days (yyyymmdd), inclusive.

        An electronic date after the issue's counts only with `late`.
        """
        return Condition(DATES.format("?") if late else EARLY_DATES.format("?"), (last, first, last, first))

    def added_since(self, day: int) -> Condition:
        """Articles that were added on a day (yyyymmdd) or later."""
        return Condition("a.added >= ?", (day,))

    def added_after(self, change: int) -> Condition:
        """Articles that were first added after a change number."""
        return Condition("a.added_change > ?", (change,))

    def at_least(self, participants: int) -> Condition:
        """Articles that say that so many or more took part."""
        return Condition("a.sample_size >= ?", (participants,))

    def journals(self, keys: Iterable[str]) -> Condition:
        """Articles in any of some journals."""
        return Condition(
            f"a.journal IN (SELECT k.journal FROM journal_keys AS k WHERE k.key {_AMONG})", (_json(sorted(keys)),)
        )

    def terms(self, kind: str, names: Iterable[str], *, major: bool = False) -> Condition:
        """Articles with any of some terms of a kind (`mesh`, `type`, `language`), by name or UI."""
        listed = _json(list(names))
        return self._having(
            f"SELECT id FROM terms WHERE kind = ? AND name {_AMONG} "
            f"UNION SELECT id FROM terms WHERE kind = ? AND ui {_AMONG}",
            (kind, listed, kind, listed),
            major,
        )

    def qualifiers(self, pairs: Iterable[tuple[str, str]], *, major: bool = False) -> Condition:
        """Articles with any of some (qualifier, descriptor) pairs, each by name or UI."""
        listed = _json(list(pairs))
        queries = [
            "SELECT t.id FROM json_each(?) AS p CROSS JOIN terms AS t ON t.kind = 'qualifier' "
            f"AND t.{own} = {_PART(0)} AND (t.parent_name = {_PART(1)} OR t.parent_ui = {_PART(1)})"
            for own in ("name", "ui")
        ]
        return self._having(" UNION ".join(queries), (listed, listed), major)

    def pmids(self, pmids: Iterable[int]) -> Condition:
        """Articles with these PMIDs and no others."""
        return Condition(f"a.pmid {_AMONG}", (_json(sorted(pmids)),))

    def _having(self, ids: str, parameters: tuple[object, ...], major: bool) -> Condition:
        """Articles with a term of a query for the ids of terms."""
        only = " AND t.major" if major else ""
        # Every PMID that has a term has an article, so there is no need to look at that too.
        pmids = f"SELECT t.pmid FROM article_terms AS t WHERE t.term IN ({ids}){only}"
        return Condition(f"a.pmid IN ({pmids})", parameters, pmids)


class CandidateConditions(SqliteConditions):
    """The same conditions for a few articles that are named beside them: the terms of each are looked at."""

    def _having(self, ids: str, parameters: tuple[object, ...], major: bool) -> Condition:
        only = " AND t.value % 2" if major else ""
        return Condition(
            f"EXISTS (SELECT 1 FROM json_each(a.terms) AS t WHERE t.value / 2 IN ({ids}){only})", parameters
        )


def _json(values: Sequence[object]) -> str:
    return json.dumps(values)
