"""The articles that pass a filter: looked at one by one while that is enough, listed when it is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from search.storage.folder.members import are_among
from search.storage.folder.sqlite_conditions import CandidateConditions, Condition, Conditions
from search.storage.folder.sqlite_reader import StoreReader
from search.storage.rows import Pmids

__all__ = ["Selection"]

_ONE_BY_ONE = CandidateConditions()


class Selection:
    """The articles of a store that meet a condition, in the state of the store that a view holds.

    A filter that half of PubMed passes would take seconds to list. So nothing is listed before `pmids` is asked for;
    `passing` only looks at the articles it is given.
    """

    def __init__(self, store: StoreReader, condition: Callable[[Conditions], Condition]) -> None:
        self._store = store
        self._condition = condition

    @property
    def is_listed(self) -> bool:
        """Whether `pmids` is known already."""
        return "pmids" in self.__dict__

    @cached_property
    def pmids(self) -> Pmids:
        """The PMIDs, ascending."""
        return self._store.select_pmids(*self._condition(self._store.conditions))

    @classmethod
    def of(cls, pmids: Pmids) -> Selection:
        """Return the selection of these PMIDs, which are ascending."""
        return _Listed(pmids)

    def both(self, other: Selection) -> Selection:
        """Return the articles that are in this selection and in another."""
        return _Both(self, other)

    def passing(self, pmids: Pmids) -> Pmids:
        """Return those of some PMIDs that are among them, in the order given."""
        if self.is_listed:
            return pmids[are_among(pmids, self.pmids)]
        found = self._store.passing(pmids.tolist(), *self._condition(_ONE_BY_ONE))
        return pmids[[pmid in found for pmid in pmids.tolist()]]


class _Listed(Selection):
    """Articles of which the PMIDs (ascending) are known."""

    def __init__(self, pmids: Pmids) -> None:
        self.pmids = pmids


class _Both(Selection):
    """The articles that are in two selections."""

    def __init__(self, one: Selection, other: Selection) -> None:
        self._one = one
        self._other = other

    @cached_property
    def pmids(self) -> Pmids:
        """The PMIDs, ascending."""
        return np.intersect1d(self._one.pmids, self._other.pmids, assume_unique=True)

    def passing(self, pmids: Pmids) -> Pmids:
        """Return those of some PMIDs that are in both, in the order given."""
        return self._one.passing(self._other.passing(pmids))
