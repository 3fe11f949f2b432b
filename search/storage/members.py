"""Sets of PMIDs as arrays.

numpy has functions for this, which import its masked arrays when they are first used: a tenth of a second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from search.storage.rows import Pmids

__all__ = ["are_among", "distinct"]


def are_among(pmids: Pmids, listed: Pmids) -> npt.NDArray[np.bool_]:
    """Return for each of some PMIDs whether it is in a list of PMIDs that are ascending.

    They are looked up one by one: `np.isin` would sort the list or make a table of it, which takes half a second where
    half a million pass a filter.
    """
    if not len(listed):
        return np.zeros(len(pmids), np.bool_)
    places = np.minimum(np.searchsorted(listed, pmids), len(listed) - 1)
    among: npt.NDArray[np.bool_] = listed[places] == pmids
    return among


def distinct(*lists: Pmids) -> Pmids:
    """Return the PMIDs that are in some of these lists, each once, ascending.

    >>> distinct(np.array([3, 1, 3]), np.array([2, 1]))
    array([1, 2, 3])
    """
    pmids = np.sort(np.concatenate(lists), axis=None)
    return pmids[np.concatenate([[True], pmids[1:] != pmids[:-1]])] if len(pmids) else pmids
