"""Encoding at the question: candidates that have no vector yet get one, which is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from search.article import model_inputs
from search.models.tokens import Text
from search.storage.backend import View
from search.storage.rows import Vectors

__all__ = ["Hashes", "OnDemand"]

#: Vectors that are kept in memory, for an index that cannot be written to at the moment.
_KEPT = 20_000

#: The PMID and the hash of the text of each of some vectors.
Hashes: TypeAlias = list[tuple[int, bytes]]


class OnDemand:
    """Vectors made at questions, each with the hash of its text; safe to use from several threads.

    `budget` is how many articles may be encoded for one question; 0 encodes none.
    """

    def __init__(self, encode: Callable[[Sequence[Text]], Vectors], budget: int) -> None:
        self.budget = budget
        self._encode = encode
        self._lock = threading.Lock()
        self._made: LRUCache[int, tuple[bytes, Vectors]] = LRUCache(_KEPT)
        self._new: set[int] = set()

    def limited(self, budget: int | None) -> OnDemand:
        """Return this with a budget that is no larger; None leaves it as it is. What either encodes, both keep."""
        if budget is None or budget >= self.budget:
            return self
        limited = copy(self)
        limited.budget = budget
        return limited

    def known(self, view: View, pmids: Iterable[int]) -> dict[int, Vectors]:
        """Return the vectors that are kept here of some articles, if they are of the texts as they are now."""
        made = {pmid: self._made[pmid] for pmid in pmids if pmid in self._made}
        states = view.store.text_hashes(made) if made else {}
        return {
            pmid: vector
            for pmid, (text_hash, vector) in made.items()
            if pmid in states and states[pmid].text_hash == text_hash
        }

    def encode(self, view: View, pmids: Sequence[int]) -> dict[int, Vectors]:
        """Return the vectors of some articles, made in one batch where they are not kept here already."""
        with self._lock:
            known = self.known(view, pmids)
            articles = view.store.get_many(pmid for pmid in pmids if pmid not in known)
            if articles:
                hashes = view.store.text_hashes(articles)
                vectors = self._encode(model_inputs(articles.values(), pairs=view.manifest.pairs))
                for pmid, vector in zip(articles, np.asarray(vectors, np.float32), strict=True):
                    self._made[pmid] = hashes[pmid].text_hash, vector
                    self._new.add(pmid)
                    known[pmid] = vector
            return known

    def take_new(self) -> tuple[Hashes, Vectors]:
        """Return the vectors that were made since the last call, to be stored: (n, dimension) float32."""
        with self._lock:
            new = [pmid for pmid in sorted(self._new) if pmid in self._made]
            self._new.clear()
            if not new:
                return [], np.empty((0, 0), np.float32)
            return [(pmid, self._made[pmid][0]) for pmid in new], np.stack([self._made[pmid][1] for pmid in new])
