"""The honest end of a list: from which cosine on an article is probably not about a question, and whether any is.

An index is measured by its own articles: how near the twentieth neighbour of each is. A question on something that the
index has articles about has its twentieth nearest not much farther away; one on something else does not. The shares
below were chosen on PubMed QA's questions and on questions about cooking, sport, travel and the like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from search.retrieval.hit import Hit
from search.storage.backend import View
from search.storage.rows import Pmids, Vectors

__all__ = ["Floor", "as_setting", "kept", "measured", "with_nearness"]

#: The neighbour that is looked at, the articles that are measured, and the fewest that an index must have.
_NEIGHBOUR, _SAMPLE, _FEWEST = 20, 100, 100
#: The floor as a share of what all but a twentieth of the articles reach: in an index of thousands, and in a small one.
_SHARE, _SMALL_SHARE, _SMALL = 0.6, 0.45, 1_000
#: The same for static vectors, of which the floor is made where few articles are encoded.
_STATIC_SHARE, _STATIC_SMALL_SHARE = 0.55, 0.4
#: An article that is so near, as a share of the usual nearest neighbour, is about the question whatever the others are.
_SURE = 0.8
#: The median cosine of unrelated articles that these shares hold for; models may have a higher one.
_UNRELATED = 0.125


#: Goes up with each change of what is written above, so that a floor that is kept is measured again.
_RULE = 1

#: The setting of an index that keeps its floor, and the share of its articles that may come or go meanwhile.
_SETTING, _CHANGED = "floor", 0.1


class Floor(msgspec.Struct, frozen=True):
    """From which cosine on articles count as near; `sure` is one that is enough for a single article.

    `static`: measured by static vectors, as a question's twentieth neighbour then is, too. `articles` were there when
    it was measured, by the `rule` of this program.
    """

    near: float
    sure: float
    static: bool
    articles: int
    rule: int = _RULE


def kept(view: View) -> Floor | None:
    """Return the floor that an index keeps, if it still holds: most of the articles are those that were measured."""
    content = view.store.settings().get(_SETTING)
    if content is None:
        return None
    try:
        floor = msgspec.json.decode(content, type=Floor)
    except msgspec.MsgspecError:
        return None
    counts = view.store.counts()
    is_near = abs(counts["articles"] - floor.articles) <= _CHANGED * floor.articles
    return floor if is_near and floor.rule == _RULE and floor.static == _is_static(counts) else None


def as_setting(floor: Floor) -> tuple[str, str]:
    """Return the setting that keeps a floor: its name and its value."""
    return _SETTING, msgspec.json.encode(floor).decode()


def _is_static(counts: Mapping[str, int]) -> bool:
    return counts["vectors"] < counts["articles"] / 2


def measured(view: View) -> Floor | None:
    """Return the floor of an index; None for one of too few articles to tell."""
    counts = view.store.counts()
    static = _is_static(counts)
    if counts["articles"] < _FEWEST or (static and not _is_fitted(view)):
        return None
    pmids, rows = _sample(view, static=static)
    if len(pmids) < _SAMPLE // 2:
        return None
    found = (view.static_nearest if static else view.nearest)(rows, _NEIGHBOUR + 1)
    cosines = [scores[numbers != pmid] for pmid, (numbers, scores) in zip(pmids.tolist(), found, strict=True)]
    last = [float(scores[min(_NEIGHBOUR, len(scores)) - 1]) for scores in cosines if len(scores)]
    unrelated = _quantile(rows @ rows.T, 0.5)
    base = max(0.0, unrelated - _UNRELATED)
    small = counts["articles"] < _SMALL
    share, small_share = (_STATIC_SHARE, _STATIC_SMALL_SHARE) if static else (_SHARE, _SMALL_SHARE)
    usual = _quantile([scores[0] for scores in cosines if len(scores)], 0.5)
    return Floor(
        near=base + (small_share if small else share) * (_quantile(last, 0.05) - base),
        sure=base + _SURE * (usual - base),
        static=static,
        articles=counts["articles"],
    )


def _is_fitted(view: View) -> bool:
    """Whether a question's cosines with static vectors are comparable with those of articles among each other."""
    made_with = view.store.static()
    return made_with is not None and made_with.fitted > 0


def _quantile(values: npt.ArrayLike, share: float) -> float:
    """Return what `np.quantile` does, which would import numpy's masked arrays: a tenth of a second."""
    ordered = np.sort(values, axis=None)
    return float(np.interp(share * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def _sample(view: View, *, static: bool) -> tuple[Pmids, Vectors]:
    """Return the PMIDs and the vectors of articles at even distances in the range of PMIDs."""
    table = "static_vectors" if static else "vectors"
    first, last = (view.store.one(f"SELECT {which}(pmid) FROM {table}") for which in ("min", "max"))
    sql = f"SELECT pmid FROM {table} WHERE pmid >= ? ORDER BY pmid LIMIT 1"
    pmids = {view.store.one(sql, [int(place)]) for place in np.linspace(first, last, _SAMPLE)}
    return view.store.static_vectors(pmids) if static else view.store.vectors(pmids)


def with_nearness(view: View, floor: Floor, vector: Vectors, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits of a question, those marked that are probably not about it; all are if the index has none.

    `vector` is the question's, (dimension,) float32 of unit length.
    """
    cosines = {hit.pmid: hit.cosine if hit.asked_cosine is None else hit.asked_cosine for hit in hits}
    best = max((cosine for cosine in cosines.values() if cosine is not None), default=0.0)
    found = best >= floor.sure or _twentieth(view, floor, vector) >= floor.near
    return [
        hit
        if found and ((cosine := cosines[hit.pmid]) is None or cosine >= floor.near)
        else msgspec.structs.replace(hit, near_enough=False)
        for hit in hits
    ]


def _twentieth(view: View, floor: Floor, vector: Vectors) -> float:
    static = view.store.static() if floor.static else None
    if static is not None:
        ((_, scores),) = view.static_nearest(static.questions(vector[None]), _NEIGHBOUR)
    else:
        ((_, scores),) = view.nearest(vector[None], _NEIGHBOUR)
    return float(scores[-1]) if len(scores) else 0.0
