"""How a set of results is spread over years, journals, MeSH headings and publication types."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import msgspec

from search.retrieval.filters import Filters
from search.retrieval.hit import Hit
from search.study import design_of

__all__ = ["Facets", "facets_of", "facets_of_alternatives"]


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by value, the most frequent first (years: in order); an article counts once for each value it has."""

    articles: int
    years: dict[int, int]
    journals: dict[str, int]
    mesh: dict[str, int]
    publication_types: dict[str, int]
    languages: dict[str, int]
    designs: dict[str, int]
    #: By how many works cite them, as far as the index knows; empty if it knows no citations at all.
    cited_by: dict[str, int] = {}


#: Ranges that times of being cited are counted in: from each number to the next.
_CITED = (0, 1, 10, 100, 1000)


def facets_of(hits: Iterable[Hit], most: int = 50) -> Facets:
    """Count some hits; at most `most` values of each kind but the year are kept."""
    years: Counter[int] = Counter()
    kinds: tuple[Counter[str], ...] = (Counter(), Counter(), Counter(), Counter(), Counter())
    count, cited = 0, list[int]()
    for count, hit in enumerate(hits, start=1):  # noqa: B007 - the count is used after the loop
        article = hit.article
        cited += [hit.cited_by] if hit.cited_by is not None else []
        years.update([article.year] if article.year else [])
        values: tuple[Iterable[str], ...] = (
            [article.journal_name] if article.journal_name else [],
            {heading.descriptor for heading in article.mesh_headings},
            {kind.name for kind in article.publication_types},
            set(article.languages),
            [design] if (design := design_of(article)) else [],
        )
        for counter, counted in zip(kinds, values, strict=True):
            counter.update(counted)
    journals, mesh, types, languages, designs = (dict(_most_common(counter, most)) for counter in kinds)
    return Facets(
        articles=count,
        years=dict(sorted(years.items())),
        journals=journals,
        mesh=mesh,
        publication_types=types,
        languages=languages,
        designs=designs,
        cited_by=_cited_ranges(cited),
    )


#: The filters of each kind of value that is counted.
_FILTERS_OF = {
    "years": ("year_from", "year_to", "date_from", "date_to"),
    "journals": ("journals",),
    "mesh": ("mesh",),
    "publication_types": ("publication_types",),
    "languages": ("languages",),
    "designs": ("designs",),
}


def facets_of_alternatives(hits_for: Callable[[Filters], Iterable[Hit]], filters: Filters) -> Facets:
    """Count the hits that pass the filters, and each kind of value as if nothing of that kind were filtered.

    Values of one kind are alternatives: so the count of a value says what choosing it adds. `hits_for` gives the
    hits of a search with some filters.
    """
    counts = facets_of(hits_for(filters))
    for kind, names in _FILTERS_OF.items():
        without = msgspec.structs.replace(filters, **{name: getattr(Filters(), name) for name in names})
        if without != filters:
            others = facets_of(hits_for(without))
            counts = msgspec.structs.replace(counts, **{kind: getattr(others, kind)})
    return counts


def _cited_ranges(counts: Iterable[int]) -> dict[str, int]:
    names = [*("0" if first == 0 else f"{first}-{last - 1}" for first, last in pairwise(_CITED)), f"{_CITED[-1]}+"]
    places = Counter(bisect_right(_CITED, count) - 1 for count in counts)
    return {names[place]: places[place] for place in sorted(places)}


def _most_common(counter: Counter[str], most: int) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
