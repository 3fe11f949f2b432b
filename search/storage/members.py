"""Which PMIDs are in a long list: looked up one by one, so that the length of the list hardly matters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from search.storage.rows import Pmids

__all__ = ["are_among"]


def are_among(pmids: Pmids, listed: Pmids) -> npt.NDArray[np.bool_]:
    """Return for each of some PMIDs whether it is in a list of PMIDs that are ascending.

    `np.isin` would sort the list or make a table of it, which takes half a second where half a million pass a filter.
    """
    if not len(listed):
        return np.zeros(len(pmids), np.bool_)
    places = np.minimum(np.searchsorted(listed, pmids), len(listed) - 1)
    among: npt.NDArray[np.bool_] = listed[places] == pmids
    return among
