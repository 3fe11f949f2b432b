"""Searching one state of a database: vectors by pgvector, words by full text, filters in SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from search.storage.bm25 import Terms
from search.storage.conditions import Condition, Conditions
from search.storage.manifest import Manifest
from search.storage.postgres.packing import vector_text
from search.storage.postgres.postgres_bm25 import WordSearch, WordStatistics
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.postgres.postgres_tokens import PgTokens
from search.storage.postgres.search_indexes import VECTOR_INDEX
from search.storage.rows import Pmids, Vectors
from search.storage.store import ranked

__all__ = ["PgSelection", "PgView"]

#: Comparing all that pass a filter takes their number; scanning the index takes the number count, divided by the share
#: that pass, and this many times as long for each. So few articles are compared, which is exact too, and many scanned.
EXACT_FACTOR = 3.0

#: So many more are taken than needed: equal texts have equal scores, and the order among them is by PMID.
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
    """The articles that pass a condition, which each search looks up again; their number once it is known."""

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
        """The tokens of all articles, which strategies search."""
        return PgTokens(self.store.query, self.store.get_many)

    def unmerged(self) -> int:
        """Return how many articles were written since words were counted."""
        return int(self.store.query("SELECT count(*) FROM words WHERE change > %s", [self._counted.change])[0][0])

    def vector_index(self) -> str:
        """Return what vectors are searched with."""
        if not self._has_index:
            return "compared one by one"
        return "HNSW over bits, re-scored" if self._binary else f"HNSW over {self.store.vector_type}"

    # Selections ------------------------------------------------------------------------------------------------------

    def select(self, condition: Callable[[Conditions], Condition]) -> PgSelection:
        """Return the articles that pass a condition, which is made of the conditions that the store has."""
        return PgSelection(condition(self.store.conditions))

    def listed(self, pmids: Pmids) -> PgSelection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        return PgSelection(self.store.conditions.pmids(pmids.tolist()), len(pmids))

    def count(self, selection: PgSelection) -> int:
        """Return how many articles a selection has."""
        if selection.count is None:
            text, values = selection.condition.sql, selection.condition.parameters
            selection.count = int(self.store.query(f"SELECT count(*) FROM articles AS a WHERE {text}", values)[0][0])
        return selection.count

    def newest(self, selection: PgSelection, limit: int) -> list[int]:
        """Return up to `limit` PMIDs of a selection, those of the latest date of publication first."""
        text, values = selection.condition.sql, selection.condition.parameters
        rows = self.store.query(
            f"SELECT a.pmid FROM articles AS a WHERE {text} ORDER BY a.date_last DESC, a.pmid DESC LIMIT %s",
            [*values, limit],
        )
        return [pmid for (pmid,) in rows]

    def _are_few(self, selection: PgSelection, count: int) -> bool:
        """Whether comparing all that pass is quicker than scanning the index until so many are found."""
        limit = int(math.sqrt(EXACT_FACTOR * count * self._about_all))
        if limit not in selection.few:
            text, values = selection.condition.sql, selection.condition.parameters
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
        candidates = [self._candidates(query, limit, allowed) for query in queries]
        return ranked(queries, candidates, self.store.vectors, limit)

    def static_nearest(
        self, queries: Vectors, limit: int, *, allowed: PgSelection | None = None
    ) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest static vectors and these cosines, best first.

        `queries` is (n, dimension of static vectors) float32 with unit rows.
        """
        candidates = [self._compared(query, limit + _TIES, allowed, "static_vectors", "<=>") for query in queries]
        return ranked(queries, candidates, self.store.static_vectors, limit)

    def _candidates(self, query: Vectors, limit: int, allowed: PgSelection | None) -> list[int]:
        """Return candidates for a query: from the index where there is one and many articles pass, else all compared.

        An index scan continues until enough pass the filter (pgvector's iterative scans). One that has looked at very
        many and still has not enough gives way to comparing all that pass, so that a filter never starves a search.
        """
        count = limit + _TIES
        if not self._has_index or (allowed is not None and self._are_few(allowed, count)):
            return self._compared(query, count, allowed)
        scanned = self._scanned(query, count, allowed)
        return scanned if len(scanned) >= limit else self._compared(query, count, allowed)

    def _compared(
        self, query: Vectors, count: int, allowed: PgSelection | None, table: str = "vectors", distance: str = "<#>"
    ) -> list[int]:
        # As float32: the halves of the query would be rounded too, and no index is over this expression.
        order = f"v.vector::vector({len(query)}) {distance} %s::vector({len(query)})"
        if allowed is None:
            sql, values = f"SELECT v.pmid FROM {table} AS v ORDER BY {order} LIMIT %s", tuple[object, ...]()
        else:
            text, values = allowed.condition.sql, allowed.condition.parameters
            sql = (
                f"WITH passing AS MATERIALIZED (SELECT a.pmid FROM articles AS a WHERE {text}) "
                f"SELECT v.pmid FROM passing JOIN {table} AS v USING (pmid) ORDER BY {order} LIMIT %s"
            )
        return [pmid for (pmid,) in self.store.query(sql, [*values, vector_text(query), count])]

    def _scanned(self, query: Vectors, count: int, allowed: PgSelection | None) -> list[int]:
        dimension, kind = len(query), self.store.vector_type
        if self._binary:
            count = max(_LEAST_BINARY, count * _BINARY_OVERSAMPLING)
            order = (
                f"binary_quantize(v.vector)::bit({dimension}) <~> "
                f"binary_quantize(%s::{kind}({dimension}))::bit({dimension})"
            )
        else:
            order = f"v.vector <#> %s::{kind}({dimension})"
        self.store.query(
            "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true), "
            "set_config('hnsw.max_scan_tuples', %s, true), set_config('hnsw.scan_mem_multiplier', '4', true)",
            [str(min(max(_LEAST_EF, 2 * count), _MOST_EF)), str(max(_MOST_SCANNED, 4 * count))],
        )
        text, values = (allowed.condition.sql, allowed.condition.parameters) if allowed is not None else ("true", ())
        joined = "JOIN articles AS a ON a.pmid = v.pmid" if allowed is not None else ""
        rows = self.store.query(
            f"SELECT v.pmid FROM vectors AS v {joined} WHERE {text} ORDER BY {order} LIMIT %s",
            [*values, vector_text(query), count],
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

    def bm25(self, terms: Terms, limit: int, *, allowed: PgSelection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for some terms, and these scores, best first."""
        if allowed is None:
            return self._words.nearest(terms, limit)
        return self._words.nearest(terms, limit, allowed.condition, few=self._are_few(allowed, limit))

    def bm25_scores(self, terms: Terms, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for some terms; articles with none of the terms are left out."""
        return self._words.scores(terms, pmids.tolist())

    def idf(self, words: Iterable[str]) -> dict[str, float]:
        """Return the inverse document frequency, in titles and abstracts, of words as they are indexed."""
        return {word: value for (_, word), value in self._words.idf([("text", word) for word in words]).items()}

    @cached_property
    def _counted(self) -> WordStatistics:
        return msgspec.json.decode(self._settings.get("words", "{}"), type=WordStatistics)

    @cached_property
    def _words(self) -> WordSearch:
        return WordSearch(self.store, self._counted)
