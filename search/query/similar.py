"""More like these: the articles nearest to the mean direction of some articles."""

from __future__ import annotations

from search.errors import QueryError
from search.index import View
from search.models.vectors import normalize
from search.query.search import Hit, semantic

__all__ = ["similar"]


def similar(view: View, pmids: list[int], limit: int) -> list[Hit]:
    """Return the `limit` articles whose vectors are nearest to the mean of those of `pmids`, without these.

    Raises QueryError if one is not in the index or has no vector yet.
    """
    wanted = list(dict.fromkeys(pmids))
    found, vectors = view.store.vectors(wanted)
    missing = sorted(set(wanted) - {int(pmid) for pmid in found})
    if missing:
        held = view.store.existing(missing)
        what = "is not in the index" if missing[0] not in held else "has no vector yet; `search encode` makes it"
        raise QueryError(f"PMID {missing[0]} {what}")
    if not wanted:
        raise QueryError("give at least one PMID")
    centre = normalize(vectors.mean(axis=0, keepdims=True))
    hits = semantic(view, centre, limit + len(wanted))[0]
    others = [hit for hit in hits if hit.pmid not in wanted][:limit]
    return [Hit(rank=rank, score=hit.score, article=hit.article) for rank, hit in enumerate(others, start=1)]
