"""Fusion of meaning and words into one score."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LEXICAL_WEIGHT", "fuse"]

#: How much the best match in words adds to a cosine; measured in docs/log.md ("Fusion").
LEXICAL_WEIGHT = 0.4


def fuse(
    cosines: Mapping[int, float], bm25: Mapping[int, float], *, weight: float = LEXICAL_WEIGHT
) -> dict[int, float]:
    """Return cosine + weight * bm25 / (the highest bm25) for every article of `cosines`, by PMID.

    An article that is not in `bm25` shares no word with the question and counts 0 there. The result is in
    [-1, 1 + weight].
    """
    highest = max(bm25.values(), default=0.0)
    if highest <= 0:
        return dict(cosines)
    return {pmid: cosine + weight * bm25.get(pmid, 0.0) / highest for pmid, cosine in cosines.items()}
