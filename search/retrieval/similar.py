"""More like these: the articles nearest to the mean direction of some articles and texts, away from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from search.errors import QueryError
from search.models.vectors import normalize
from search.retrieval.query import Query
from search.retrieval.ranking import Ranker, Ranking
from search.storage.rows import Vectors

__all__ = ["UNLIKE_WEIGHT", "similar"]

#: Weight of the mean of the `unlike` vectors, subtracted from the mean of the others (Rocchio's gamma, with beta 1).
UNLIKE_WEIGHT = 0.5


def similar(
    ranker: Ranker,
    pmids: Sequence[int],
    limit: int,
    *,
    unlike: Sequence[int] = (),
    texts: Vectors | None = None,
    vectors_of: Callable[[Sequence[int]], dict[int, Vectors]],
) -> Ranking:
    """Return the `limit` articles nearest to the mean of `pmids` and `texts`, without these and those of `unlike`.

    `texts` are vectors of texts that are in no index, (n, dimension) float32 with unit rows; `vectors_of` gives those
    of articles. `ranker` ranks at least as many as are left out besides. The score is the cosine with that mean, less
    half the mean of `unlike`, made unit. Raises QueryError if nothing is given, or a PMID is not in the index.
    """
    liked = [_vectors(vectors_of, pmids)] if pmids else []
    liked += [texts] if texts is not None and len(texts) else []
    if not liked:
        raise QueryError("give at least one PMID or text")
    centre = np.concatenate(liked).mean(axis=0, keepdims=True)
    if unlike:
        centre = centre - UNLIKE_WEIGHT * _vectors(vectors_of, unlike).mean(axis=0, keepdims=True)
    given = {*pmids, *unlike}
    (answer,) = ranker.ranked([Query("", normalize(centre)[0], {})])
    kept = [row for row, pmid in enumerate(answer.pmids) if pmid not in given][:limit]
    return msgspec.structs.replace(
        answer,
        pmids=[answer.pmids[row] for row in kept],
        scores=[answer.scores[row] for row in kept],
        semantic_ranks={},
    )


def _vectors(vectors_of: Callable[[Sequence[int]], dict[int, Vectors]], pmids: Sequence[int]) -> Vectors:
    distinct = list(dict.fromkeys(pmids))
    vectors = vectors_of(distinct)
    if missing := [pmid for pmid in distinct if pmid not in vectors]:
        raise QueryError(f"PMID {min(missing)} is not in the index, or not encoded yet")
    return np.stack([vectors[pmid] for pmid in distinct])
