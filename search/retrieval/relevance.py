"""Which results are relevant: every article has some score, so that a count of all of them says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from search.retrieval.filters import Filters
from search.retrieval.hit import Hit

__all__ = ["least_relevant", "relevant", "unnarrowed"]

#: A result is relevant if its score is at least this share of the mean score of the best few.
_SHARE, _BEST = 0.5, 5

#: What chooses among the results of a question; a strategy, say, rather chooses what is searched.
_NARROWING = (
    "year_from",
    "year_to",
    "date_from",
    "date_to",
    "journals",
    "mesh",
    "publication_types",
    "languages",
    "designs",
    "min_n",
    "has_abstract",
    "free_full_text",
    "not_retracted",
)


def unnarrowed(filters: Filters) -> Filters:
    """Return the filters without those that choose among results, so that these do not change what is relevant."""
    return msgspec.structs.replace(filters, **{name: getattr(Filters(), name) for name in _NARROWING})


def least_relevant(best: Sequence[Hit]) -> float:
    """Return the least score of a relevant result, from the best results of a question; 0 if they have no scores."""
    scores = [hit.score for hit in best[:_BEST]]
    return max(0.0, _SHARE * sum(scores) / len(scores)) if scores else 0.0


def relevant(hits: Iterable[Hit], least: float) -> list[Hit]:
    """Return the hits of at least that score that are near enough to the question (`search.retrieval.floor`).

    Without scores (a question of filters alone) all are relevant.
    """
    return [hit for hit in hits if hit.score >= least and hit.near_enough]
