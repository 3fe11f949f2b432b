"""More like these: the articles nearest to the mean direction of some articles and texts, away from others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.errors import QueryError
from search.models.vectors import normalize
from search.retrieval.ranking import Ranking, nearest
from search.storage.backend import Selection, View
from search.storage.rows import Vectors

__all__ = ["UNLIKE_WEIGHT", "similar"]

#: How much the mean of what is not wanted is taken off the mean of what is (Rocchio's gamma, his beta being 1).
UNLIKE_WEIGHT = 0.5


def similar(
    view: View,
    pmids: Sequence[int],
    limit: int,
    *,
    unlike: Sequence[int] = (),
    texts: Vectors | None = None,
    allowed: Selection | None = None,
) -> Ranking:
    """Return the `limit` articles nearest to the mean of `pmids` and `texts`, without these and those of `unlike`.

    `texts` are vectors of texts that are in no index, (n, dimension) float32 with unit rows. `allowed`
    restricts the search to a selection. The score is the cosine with that mean, less half the mean of `unlike`, made
    unit. Raises QueryError if nothing is given, or a PMID is not in the index or has no vector yet.
    """
    liked = [_vectors(view, pmids)] if pmids else []
    liked += [texts] if texts is not None and len(texts) else []
    if not liked:
        raise QueryError("give at least one PMID or text")
    centre = np.concatenate(liked).mean(axis=0, keepdims=True)
    if unlike:
        centre = centre - UNLIKE_WEIGHT * _vectors(view, unlike).mean(axis=0, keepdims=True)
    given = {*pmids, *unlike}
    answer = nearest(view, normalize(centre), limit + len(given), allowed=allowed)[0]
    kept = [pmid for pmid in answer.pmids if pmid not in given][:limit]
    return Ranking(kept, [answer.cosines[pmid] for pmid in kept], cosines=answer.cosines)


def _vectors(view: View, pmids: Sequence[int]) -> Vectors:
    found, vectors = view.store.vectors(dict.fromkeys(pmids))
    missing = sorted(set(pmids) - set(found.tolist()))
    if missing:
        held = view.store.existing(missing)
        what = "has no vector yet; `search encode` makes it" if missing[0] in held else "is not in the index"
        raise QueryError(f"PMID {missing[0]} {what}")
    return vectors
