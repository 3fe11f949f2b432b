"""Following citations: what cites an article, what it cites, and both from a whole set of articles (snowballing)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from search.article import Article
from search.errors import NotFoundError, QueryError
from search.models.vectors import normalize
from search.retrieval.hit import Hit
from search.retrieval.identifiers_typed import identifier_query
from search.retrieval.integrity import with_notices
from search.storage.backend import View
from search.storage.citation_graph import cited_by, cited_counts, references_of
from search.storage.rows import Vectors

__all__ = ["Citations", "Snowball", "citations_of", "pmids_by_identifier", "snowball"]

#: Of what a round finds so many go on: those that touch most of the set.
_MOST_IN_A_ROUND = 2_000

#: What nearness of meaning counts beside the share of the set that an article touches.
_NEARNESS = 0.5


class Citations(msgspec.Struct, frozen=True, kw_only=True):
    """The works that cite an article, or that it cites: `count` of them.

    `articles` are those of the index, as many as were asked for; `others` PMIDs, DOIs and PMCIDs that it does not have.
    """

    pmid: int
    count: int
    in_index: int
    articles: list[Article]
    others: list[int | str]


class Snowball(msgspec.Struct, frozen=True, kw_only=True):
    """What cites a set of articles, or is cited by it, without the set.

    `hits` are those of the index, best first; `others` the PMIDs and DOIs that it does not have, each with how many of
    the set it touches, the most first.
    """

    rounds: int
    found: int
    hits: list[Hit]
    others: dict[int | str, int]


def citations_of(view: View, pmid: int, *, citing: bool, limit: int, offset: int = 0) -> Citations:
    """Return what cites an article of the index, the newest first, or what it cites, in its order.

    Raises NotFoundError if the index does not have the article.
    """
    store = view.store
    article = store.get(pmid)
    if article is None:
        raise NotFoundError(f"PMID {pmid} is not in the index")
    works: list[int | str] = []
    if citing:
        works += sorted(cited_by(store, [article])[pmid], reverse=True)
    else:
        works += _resolved(view, references_of(store, [article])[pmid])
    there = store.existing(work for work in works if isinstance(work, int))
    shown = [work for work in works if work in there and isinstance(work, int)]
    articles = with_notices(store, store.get_many(shown[offset : offset + limit]))
    return Citations(
        pmid=pmid,
        count=len(works),
        in_index=len(shown),
        articles=[articles[work] for work in shown[offset : offset + limit] if work in articles],
        others=[work for work in works if work not in there],
    )


def snowball(
    view: View,
    pmids: Sequence[int],
    vectors_of: Callable[[Sequence[int]], dict[int, Vectors]],
    *,
    rounds: int = 1,
    limit: int = 20,
    seen: Iterable[int] = (),
) -> Snowball:
    """Follow citations from a set of articles, both ways, some rounds.

    A round begins with the set and all that the rounds before have found. The hits are ranked by the share of the set
    that they touch, directly in the first round and by way of what was found in the next, and by their cosine with the
    mean of the set: the score is the share and half the cosine. `seen` articles are left out. Raises QueryError if the
    set is empty.
    """
    start = list(dict.fromkeys(pmids))
    if not start:
        raise QueryError("give at least one PMID to begin with")
    known: set[int | str] = set(start)
    touches: dict[int | str, float] = {}
    frontier = start
    direct: Counter[int | str] = Counter()
    for number in range(max(1, rounds)):
        found = _touched(view, frontier)
        if number == 0:
            direct = found
        for work, count in found.items():
            if work not in known:
                # What was found from the set itself counts more than what was found from that.
                touches[work] = count / len(frontier) / (number + 1)
        ordered = sorted(touches, key=lambda work: (-touches[work], str(work)))
        new = [work for work in ordered if work not in known and isinstance(work, int)]
        known |= touches.keys()
        frontier = new[:_MOST_IN_A_ROUND]
        if not frontier:
            break
    wanted = {work: share for work, share in touches.items() if work not in set(seen)}
    there = view.store.existing(work for work in wanted if isinstance(work, int))
    hits = _ranked(view, start, {pmid: wanted[pmid] for pmid in there}, vectors_of, limit)
    hits = [msgspec.structs.replace(hit, links=direct.get(hit.pmid, 0)) for hit in hits]
    others = sorted((work for work in wanted if work not in there), key=lambda work: (-direct.get(work, 0), str(work)))
    return Snowball(
        rounds=max(1, rounds), found=len(wanted), hits=hits, others={work: direct.get(work, 0) for work in others}
    )


def _touched(view: View, pmids: Sequence[int]) -> Counter[int | str]:
    """Return the works that cite any of some articles or are cited by them, and how many of them each touches."""
    store = view.store
    articles = list(store.get_many(pmids).values())
    # Articles that the index does not have may be known as citing or cited all the same.
    articles += [Article(pmid=pmid) for pmid in set(pmids) - {article.pmid for article in articles}]
    citing = cited_by(store, articles)
    works: Counter[int | str] = Counter()
    for pmid, references in references_of(store, articles).items():
        works.update({*_resolved(view, references), *citing[pmid]} - {pmid})
    return works


def _resolved(view: View, works: Sequence[int | str]) -> list[int | str]:
    """Return works with the PMID in place of the DOI or PMCID of an article of the index."""
    known = pmids_by_identifier(view, [work for work in works if isinstance(work, str)])
    return list(dict.fromkeys(known.get(work, work) if isinstance(work, str) else work for work in works))


def pmids_by_identifier(view: View, identifiers: Iterable[str]) -> dict[str, int]:
    """Return the PMIDs of the articles that DOIs and PMCIDs name, of those that name one of the index."""
    found = {}
    for identifier in identifiers:
        query = identifier_query(identifier)
        pmids = view.tokens.pmids(query).tolist() if query is not None else []
        if len(pmids) == 1:
            found[identifier] = int(pmids[0])
    return found


def _ranked(
    view: View,
    start: Sequence[int],
    shares: dict[int, float],
    vectors_of: Callable[[Sequence[int]], dict[int, Vectors]],
    limit: int,
) -> list[Hit]:
    """Return the articles of the highest share and nearness as hits."""
    # Nearness is worth half a share at the most: what touches less than the last of so many cannot come before it.
    most = sorted(shares, key=lambda pmid: (-shares[pmid], -pmid))[: max(_MOST_IN_A_ROUND, limit)]
    own = list(vectors_of(start).values())
    vectors = vectors_of(most) if own else {}
    centre = normalize(np.mean(own, axis=0, keepdims=True))[0] if own else None
    cosines = {pmid: float(vector @ centre) for pmid, vector in vectors.items()} if centre is not None else {}
    scores = {pmid: shares[pmid] + _NEARNESS * max(cosines.get(pmid, 0.0), 0.0) for pmid in most}
    best = sorted(most, key=lambda pmid: (-scores[pmid], -pmid))[:limit]
    articles = with_notices(view.store, view.store.get_many(best))
    counts = cited_counts(view.store, list(articles.values())) or {}
    shown = [pmid for pmid in best if pmid in articles]
    return [
        Hit(
            rank=rank,
            score=scores[pmid],
            article=articles[pmid],
            cosine=cosines.get(pmid),
            cited_by=counts.get(pmid),
        )
        for rank, pmid in enumerate(shown, start=1)
    ]
