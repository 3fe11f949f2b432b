"""More like these: the articles nearest to the mean direction of some articles."""

from __future__ import annotations

from search.errors import QueryError
from search.index import View
from search.models.vectors import normalize
from search.query.search import Found, nearest
from search.store import Pmids

__all__ = ["similar"]


def similar(view: View, pmids: list[int], limit: int, *, allowed: Pmids | None = None) -> Found:
    """Return the `limit` articles whose vectors are nearest to the mean of those of `pmids`, without these.

    `allowed` (ascending) restricts the search to some PMIDs. Raises QueryError if one of `pmids` is not in the index
    or has no vector yet.
    """
    wanted = list(dict.fromkeys(pmids))
    if not wanted:
        raise QueryError("give at least one PMID")
    found, vectors = view.store.vectors(wanted)
    missing = sorted(set(wanted) - set(found.tolist()))
    if missing:
        held = view.store.existing(missing)
        what = "has no vector yet; `search encode` makes it" if missing[0] in held else "is not in the index"
        raise QueryError(f"PMID {missing[0]} {what}")
    centre = normalize(vectors.mean(axis=0, keepdims=True))
    answer = nearest(view, centre, limit + len(wanted), allowed=allowed)[0]
    kept = [pmid for pmid in answer.pmids if pmid not in wanted][:limit]
    return Found(kept, [answer.cosines[pmid] for pmid in kept], cosines=answer.cosines)
