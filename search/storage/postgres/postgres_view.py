"""Searching one state of a database: vectors by pgvector, words by full text, filters in SQL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import msgspec
import numpy as np

from search.storage.folder.sqlite_conditions import Condition, Conditions
from search.storage.manifest import Manifest
from search.storage.postgres.packing import vector_text
from search.storage.postgres.postgres_bm25 import WordSearch, WordStatistics
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.postgres.postgres_tokens import PgTokens
from search.storage.postgres.search_indexes import VECTOR_INDEX
from search.storage.rows import Pmids, Vectors

__all__ = ["PgSelection", "PgView"]

#: Comparing all that pass a filter takes their number; scanning the index takes the number wanted, divided by the share
#: that pass, and this many times as long for each. So few articles are compared, which is exact too, and many scanned.
EXACT_FACTOR = 3.0

#: So many more are taken than asked for: equal texts have equal scores, and the order among them is by PMID.
_TIES = 16
#: Where bits are compared, so many times the candidates are taken; their exact cosines decide.
_BINARY_OVERSAMPLING = 10
_LEAST_BINARY = 200
#: The hnsw.ef_search used at the least, and pgvector's bound. Of a million, 100 finds .965 of the ten nearest and 200
#: finds .988, in nearly the same time.
_LEAST_EF, _MOST_EF = 200, 1000
#: How many vectors an index scan may look at for one question, before all that pass are compared.
_MOST_SCANNED = 200_000


@dataclass
class PgSelection:
    """The articles that pass a condition, which is asked anew in each search; their number once it is known."""

    condition: Condition
    count: int | None = None
    few: dict[int, bool] = field(default_factory=dict)


class PgView:
    """One state of an index, for as long as `PgIndexReader.view` holds it."""

    def __init__(self, store: PgStoreReader, manifest: Manifest, settings: dict[str, str]) -> None:
        self.store = store
        self.manifest = manifest
        self._settings = settings

    @cached_property
    def change(self) -> int:
        """The number of the last change in it."""
        return self.store.change()

    @cached_property
    def tokens(self) -> PgTokens:
        """The tokens of all articles, which strategies ask for."""
        return PgTokens(self.store.query, self.store.get_many)

    def pending(self) -> int:
        """Return how many articles were written since words were counted."""
        return int(self.store.query("SELECT count(*) FROM words WHERE change > %s", [self._counted.change])[0][0])

    def structure(self) -> str:
        """Return what vectors are searched with."""
        if not self._has_index:
            return "none yet: all vectors are compared"
        return "HNSW over bits, re-scored" if self._binary else f"HNSW over {self.store.vector_type}"

    # Selections ------------------------------------------------------------------------------------------------------

    def select(self, condition: Callable[[Conditions], Condition]) -> PgSelection:
        """Return the articles that pass a condition, which is made of the conditions that the store has."""
        return PgSelection(condition(self.store.conditions))

    def added_since(self, change: int) -> PgSelection:
        """Return the articles that were first added after a change number."""
        return PgSelection(("a.added_change > %s", [change]))

    def listed(self, pmids: Pmids) -> PgSelection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        return PgSelection(("a.pmid = ANY(%s)", [pmids.tolist()]), len(pmids))

    def both(self, one: PgSelection, other: PgSelection) -> PgSelection:
        """Return the articles of both selections."""
        (first, values), (second, more) = one.condition, other.condition
        return PgSelection((f"({first}) AND ({second})", [*values, *more]))

    def count(self, selection: PgSelection) -> int:
        """Return how many articles a selection has."""
        if selection.count is None:
            text, values = selection.condition
            selection.count = int(self.store.query(f"SELECT count(*) FROM articles AS a WHERE {text}", values)[0][0])
        return selection.count

    def newest(self, selection: PgSelection, limit: int) -> list[int]:
        """Return up to `limit` PMIDs of a selection, those of the latest date of publication first."""
        text, values = selection.condition
        rows = self.store.query(
            f"SELECT a.pmid FROM articles AS a WHERE {text} ORDER BY a.date_last DESC, a.pmid DESC LIMIT %s",
            [*values, limit],
        )
        return [pmid for (pmid,) in rows]

    def _are_few(self, selection: PgSelection, wanted: int) -> bool:
        """Whether comparing all that pass is quicker than scanning the index until so many are found."""
        limit = int(math.sqrt(EXACT_FACTOR * wanted * self._about_all))
        if limit not in selection.few:
            text, values = selection.condition
            rows = self.store.query(
                f"SELECT count(*) FROM (SELECT 1 FROM articles AS a WHERE {text} LIMIT %s) AS passing",
                [*values, limit + 1],
            )
            selection.few[limit] = rows[0][0] <= limit
        return selection.few[limit]

    @cached_property
    def _about_all(self) -> int:
        """About how many articles there are, as the planner knows it."""
        rows = self.store.query("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('articles')")
        return max(int(rows[0][0]), 1)

    # Vectors ---------------------------------------------------------------------------------------------------------

    def nearest(
        self, queries: Vectors, limit: int, *, allowed: PgSelection | None = None
    ) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest articles and their exact cosines, best first.

        `queries` is (n, dimension) float32 with unit rows; `allowed` restricts the answer. Equal cosines are in order
        of PMID, the newest first.
        """
        found = [self._candidates(query, limit, allowed) for query in queries]
        pmids, vectors = self.store.vectors(sorted(set().union(*found)))
        place = {int(pmid): row for row, pmid in enumerate(pmids)}
        answers = []
        for query, candidates in zip(queries, found, strict=True):
            rows = np.array([place[pmid] for pmid in candidates], np.int64)
            scores = vectors[rows] @ query
            best = np.lexsort((-pmids[rows], -scores))[:limit]
            answers.append((pmids[rows[best]], scores[best]))
        return answers

    def _candidates(self, query: Vectors, limit: int, allowed: PgSelection | None) -> list[int]:
        """Return candidates for a query: from the index where there is one and many articles pass, else all compared.

        An index scan goes on until enough pass the filter (pgvector's iterative scans). One that has looked at very
        many and still has not enough gives way to comparing all that pass, so that a filter never starves a search.
        """
        wanted = limit + _TIES
        if not self._has_index or (allowed is not None and self._are_few(allowed, wanted)):
            return self._compared(query, wanted, allowed)
        found = self._scanned(query, wanted, allowed)
        if len(found) < limit:
            return self._compared(query, wanted, allowed)
        return found

    def _compared(self, query: Vectors, wanted: int, allowed: PgSelection | None) -> list[int]:
        # As float32: the halves of the query would be rounded too, and no index is over this expression.
        order = f"v.vector::vector({len(query)}) <#> %s::vector({len(query)})"
        if allowed is None:
            sql, values = f"SELECT v.pmid FROM vectors AS v ORDER BY {order} LIMIT %s", list[object]()
        else:
            text, values = allowed.condition
            sql = (
                f"WITH passing AS MATERIALIZED (SELECT a.pmid FROM articles AS a WHERE {text}) "
                f"SELECT v.pmid FROM passing JOIN vectors AS v USING (pmid) ORDER BY {order} LIMIT %s"
            )
        return [pmid for (pmid,) in self.store.query(sql, [*values, vector_text(query), wanted])]

    def _scanned(self, query: Vectors, wanted: int, allowed: PgSelection | None) -> list[int]:
        dimension, kind = len(query), self.store.vector_type
        if self._binary:
            wanted = max(_LEAST_BINARY, wanted * _BINARY_OVERSAMPLING)
            order = (
                f"binary_quantize(v.vector)::bit({dimension}) <~> "
                f"binary_quantize(%s::{kind}({dimension}))::bit({dimension})"
            )
        else:
            order = f"v.vector <#> %s::{kind}({dimension})"
        self.store.query(
            "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true), "
            "set_config('hnsw.max_scan_tuples', %s, true), set_config('hnsw.scan_mem_multiplier', '4', true)",
            [str(min(max(_LEAST_EF, 2 * wanted), _MOST_EF)), str(max(_MOST_SCANNED, 4 * wanted))],
        )
        text, values = allowed.condition if allowed is not None else ("true", [])
        joined = "JOIN articles AS a ON a.pmid = v.pmid" if allowed is not None else ""
        rows = self.store.query(
            f"SELECT v.pmid FROM vectors AS v {joined} WHERE {text} ORDER BY {order} LIMIT %s",
            [*values, vector_text(query), wanted],
        )
        return [pmid for (pmid,) in rows]

    @cached_property
    def _has_index(self) -> bool:
        rows = self.store.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [VECTOR_INDEX])
        return bool(rows and rows[0][0])

    @property
    def _binary(self) -> bool:
        return self._settings.get("quantization") == "binary"

    # Words -----------------------------------------------------------------------------------------------------------

    def words_nearest(self, question: str, limit: int, *, allowed: PgSelection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for the words of a question, and these scores, best first."""
        if allowed is None:
            return self._words.nearest(question, limit)
        return self._words.nearest(question, limit, allowed.condition, few=self._are_few(allowed, limit))

    def words_scores(self, question: str, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for a question; one that shares no word with it is left out."""
        return self._words.scores(question, pmids.tolist())

    @cached_property
    def _counted(self) -> WordStatistics:
        return msgspec.json.decode(self._settings.get("words", "{}"), type=WordStatistics)

    @cached_property
    def _words(self) -> WordSearch:
        return WordSearch(self.store, self._counted)
