"""The articles that pass a filter: looked at one by one while that is enough, listed when it is not."""

from __future__ import annotations

from collections.abc import Callable

from search.storage.conditions import Condition, Conditions
from search.storage.folder.sqlite_conditions import CandidateConditions, SqliteConditions
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.members import are_among
from search.storage.rows import Pmids

__all__ = ["Selection"]

_LISTING, _ONE_BY_ONE = SqliteConditions(), CandidateConditions()


class Selection:
    """The articles that meet a condition, in the state of the store that a view holds.

    A filter that half of PubMed passes would take seconds to list. So nothing is listed before `pmids` is called;
    `passing` only looks at the articles it is given.
    """

    def __init__(self, condition: Callable[[Conditions], Condition]) -> None:
        self._condition = condition
        self._pmids: Pmids | None = None
        self._one_by_one: Condition | None = None

    @classmethod
    def listed(cls, pmids: Pmids) -> Selection:
        """Return the selection of these PMIDs, which are ascending."""
        selection = cls(lambda sql: sql.pmids(pmids.tolist()))
        selection._pmids = pmids
        return selection

    @property
    def is_listed(self) -> bool:
        """Whether all articles that pass are known already."""
        return self._pmids is not None

    def pmids(self, store: StoreReader) -> Pmids:
        """Return the PMIDs, ascending."""
        if self._pmids is None:
            self._pmids = store.select_pmids(self._condition(_LISTING))
        return self._pmids

    def passing(self, pmids: Pmids, store: StoreReader) -> Pmids:
        """Return those of some PMIDs that pass, in the order given."""
        if self._pmids is not None:
            return pmids[are_among(pmids, self._pmids)]
        # Made once: a filter may list thousands of values.
        if self._one_by_one is None:
            self._one_by_one = self._condition(_ONE_BY_ONE)
        passing = store.passing(pmids.tolist(), self._one_by_one)
        return pmids[[pmid in passing for pmid in pmids.tolist()]]
