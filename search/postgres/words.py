"""BM25 over PostgreSQL's full text, with the scores that tantivy gives.

PostgreSQL ranks by how often words are there and not by how rare they are, so BM25 is computed here from its parts: a
`tsvector` holds the words that `search.index.lexical` makes (lower case, no stop words, English stems); a GIN index
finds the articles that have one; and how often a word is there is read off `ts_rank`, which for one word is the sum of
1/n^2 over its places (n = 1, 2, ...) divided by pi^2/6: each number of places has a rank of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np

from search.index.lexical import MOST_WORDS, words
from search.postgres.reader import PgStoreReader
from search.store import Condition, Pmids, Vectors

__all__ = ["WordSearch", "WordStatistics"]

_K1, _B = 1.2, 0.75

#: The ranks half way between those of n - 1 and of n places; more than so many make no difference to BM25.
_RANKS = np.cumsum(1 / np.arange(1, 65) ** 2.0) / (math.pi**2 / 6)
_BOUNDS: list[float] = ((np.concatenate([[0.0], _RANKS[:-1]]) + _RANKS) / 2).tolist()

#: How often the word of a query is in an article.
_TIMES = "width_bucket(ts_rank('{1,1,1,1}', w.words, %s::tsquery)::float8, b.bounds)"


class WordStatistics(msgspec.Struct, frozen=True):
    """What the last merge counted: up to which change, how many articles, and how many words they have together."""

    change: int = 0
    articles: int = 0
    tokens: int = 0


class WordSearch:
    """Finds articles by words in one state of a store."""

    def __init__(self, store: PgStoreReader, counted: WordStatistics) -> None:
        self._store = store
        self._counted = counted
        number, tokens = store.query(
            "SELECT count(*), coalesce(sum(tokens), 0)::bigint FROM words WHERE change > %s", [counted.change]
        )[0]
        self._articles = counted.articles + number
        self._mean = max((counted.tokens + tokens) / max(self._articles, 1), 1e-9)

    def nearest(self, question: str, limit: int, allowed: Condition | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for the words of a question, and these scores, best first.

        Common words decide little and match much. So articles are looked up by the rarest words first, and by more of
        them until what the others can add at the most no longer brings any other article among the best.
        """
        weights = self._weights(question)
        rarest = sorted(weights, key=lambda word: -weights[word])
        found: list[tuple[int, float]] = []
        used = 0
        while used < len(rarest):
            threshold = found[limit - 1][1] if len(found) >= limit else 0.0
            used = _next([weights[word] for word in rarest], used, threshold)
            found = self._scored(weights, rarest[:used], allowed, limit)
            if len(found) >= limit and found[limit - 1][1] > sum(weights[word] for word in rarest[used:]):
                break
        return np.array([pmid for pmid, _ in found], np.int64), np.array([score for _, score in found], np.float32)

    def scores(self, question: str, pmids: Iterable[int]) -> dict[int, float]:
        """Return the BM25 of some articles; one that shares no word with the question is left out."""
        wanted = [int(pmid) for pmid in pmids]
        weights = self._weights(question)
        if not weights or not wanted:
            return {}
        return dict(self._scored(weights, list(weights), ("w.pmid = ANY(%s)", [wanted]), len(wanted), joined=False))

    def _weights(self, question: str) -> dict[str, float]:
        """Return the most that each word of a question can give: its inverse document frequency times k1 + 1."""
        asked = Counter(words(question)[:MOST_WORDS])
        rows = self._store.query(
            "SELECT q.word, coalesce(c.articles, 0) + (SELECT count(*) FROM words AS w WHERE w.change > %s AND "
            "w.words @@ q.query::tsquery) FROM unnest(%s::text[], %s::text[]) AS q (word, query) "
            "LEFT JOIN word_counts AS c USING (word)",
            [self._counted.change, list(asked), [_lexeme(word) for word in asked]],
        )
        total = self._articles
        return {
            word: (1 + _K1) * asked[word] * math.log(1 + (total - number + 0.5) / (number + 0.5))
            for word, number in rows
            if 0 < number <= total
        }

    def _scored(
        self,
        weights: dict[str, float],
        needed: list[str],
        condition: Condition | None,
        limit: int,
        *,
        joined: bool = True,
    ) -> list[tuple[int, float]]:
        """Return the best of the articles that have one of the words that are needed, and pass a condition."""
        # times / (times + norm), said so that the times need be computed only once.
        part = f"%s::float8 * (1 - b.norm / ({_TIMES} + b.norm))"
        text, values = condition or ("true", [])
        sql = (
            f"SELECT w.pmid, {' + '.join([part] * len(weights))} AS score "
            "FROM (SELECT %s::float8[] AS bounds, %s AS fixed, %s AS per_word) AS c CROSS JOIN words AS w "
            "CROSS JOIN LATERAL (SELECT c.bounds, c.fixed + c.per_word * w.length AS norm) AS b "
            f"{'JOIN articles AS a ON a.pmid = w.pmid ' if condition and joined else ''}"
            f"WHERE w.words @@ %s::tsquery AND ({text}) ORDER BY score DESC, w.pmid DESC LIMIT %s"
        )
        scored = [value for word, weight in weights.items() for value in (weight, _lexeme(word))]
        norms = [_BOUNDS, _K1 * (1 - _B), _K1 * _B / self._mean]
        needed_query = " | ".join(map(_lexeme, needed))
        return [
            (pmid, score) for pmid, score in self._store.query(sql, [*scored, *norms, needed_query, *values, limit])
        ]


def _next(weights: list[float], used: int, threshold: float) -> int:
    """Return how many of the words, the rarest first, to look up next, so that the rest cannot matter."""
    if not threshold:
        return min(max(2, 2 * used), len(weights))
    while used < len(weights) and sum(weights[used:]) >= threshold:
        used += 1
    return used


def _lexeme(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
