"""Encoding at the question: candidates that have no vector yet get one, which is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from search.article import model_inputs
from search.models.tokens import Text
from search.storage.backend import View
from search.storage.rows import Vectors
from search.time_limit import seconds_left

__all__ = ["Hashes", "OnDemand"]

#: Vectors that are kept in memory, for an index that cannot be written to at the moment.
_KEPT = 20_000

#: Where there is a time limit, so many are encoded between two looks at the time.
_BETWEEN_LOOKS = 16

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
        """Return the vectors of some articles, made where they are not kept here already.

        Within a time limit it stops when half of the time that was left is gone, and returns what it has by then.
        """
        left = seconds_left()
        end = None if left is None else time.monotonic() + left / 2
        # Another thread may be encoding much the same: then its vectors are there when it has ended.
        if not self._lock.acquire(timeout=-1 if left is None else left / 2):
            return self.known(view, pmids)
        try:
            known = self.known(view, pmids)
            missing = [pmid for pmid in pmids if pmid not in known]
            size = len(missing) if end is None else _BETWEEN_LOOKS
            for start in range(0, len(missing), max(size, 1)):
                begun = time.monotonic()
                known.update(self._made_now(view, missing[start : start + size]))
                if end is not None and 2 * time.monotonic() - begun > end:
                    break
            return known
        finally:
            self._lock.release()

    def _made_now(self, view: View, pmids: Sequence[int]) -> dict[int, Vectors]:
        """Encode articles in one batch, and keep their vectors."""
        articles = view.store.get_many(pmids)
        if not articles:
            return {}
        hashes = view.store.text_hashes(articles)
        vectors = self._encode(model_inputs(articles.values(), pairs=view.manifest.pairs))
        made = dict(zip(articles, np.asarray(vectors, np.float32), strict=True))
        for pmid, vector in made.items():
            self._made[pmid] = hashes[pmid].text_hash, vector
            self._new.add(pmid)
        return made

    def take_new(self) -> tuple[Hashes, Vectors]:
        """Return the vectors that were made since the last call, to be stored: (n, dimension) float32.

        None while another thread encodes: it takes all of them when it has ended.
        """
        nothing: tuple[Hashes, Vectors] = [], np.empty((0, 0), np.float32)
        if not self._lock.acquire(blocking=False):
            return nothing
        try:
            new = [pmid for pmid in sorted(self._new) if pmid in self._made]
            self._new.clear()
            if not new:
                return nothing
            return [(pmid, self._made[pmid][0]) for pmid in new], np.stack([self._made[pmid][1] for pmid in new])
        finally:
            self._lock.release()
