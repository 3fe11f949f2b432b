"""BM25 in PostgreSQL.

PostgreSQL ranks by how often words are there and not by how rare they are, so BM25 is computed here from its parts: a
`tsvector` holds the words of `search.storage.bm25` (lower case, no stop words, English stems); a GIN
index finds the articles that have one; and how often a word is there is read off `ts_rank`, which for one word is the
sum of 1/n^2 over its places (n = 1, 2, ...) divided by pi^2/6: each number of places has a rank of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from search.storage.bm25 import K1, MOST_WORDS, B, idf, words
from search.storage.conditions import Condition
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.rows import Pmids, Vectors

__all__ = ["WordSearch", "WordStatistics", "reaching"]

#: The first bound, as a share of what all words of a question can give, and what it is lowered by.
_FIRST_BOUND, _LOWERED = 0.5, 0.5
#: Up to how many words a query says which three of them an article must have, which two, or which one.
_DEPTHS = ((8, 3), (24, 2), (MOST_WORDS, 1))

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

    def nearest(
        self, question: str, limit: int, allowed: Condition | None = None, *, few: bool = False
    ) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for the words of a question, and these scores, best first.

        Common words decide little and match much, and what costs time is to read an article and to score it. So only
        those are read whose words can add up to a bound, which the GIN index tells. The bound begins high and is
        lowered until the last of the best reaches it: then no article that was not read can be among them. Where `few`
        are allowed it is simpler to read all of these that have a word.
        """
        weights = self._weights(question)
        best: list[tuple[int, float]] = []
        bound, last_query = 0.0 if few else _FIRST_BOUND * sum(weights.values()), ""
        while weights:
            query = reaching(weights, bound)
            if query != last_query:
                best, last_query = self._scored(weights, query, allowed, limit), query
            last = best[limit - 1][1] if len(best) >= limit else 0.0
            if last >= bound or bound <= min(weights.values()):
                break
            bound = max(last, bound * _LOWERED)
        return np.array([pmid for pmid, _ in best], np.int64), np.array([score for _, score in best], np.float32)

    def scores(self, question: str, pmids: Iterable[int]) -> dict[int, float]:
        """Return the BM25 of some articles; one that shares no word with the question is left out."""
        scored = [int(pmid) for pmid in pmids]
        weights = self._weights(question)
        if not weights or not scored:
            return {}
        only = Condition("w.pmid = ANY(%s)", (scored,))
        return dict(self._scored(weights, reaching(weights, 0.0), only, len(scored), joined=False))

    def _weights(self, question: str) -> dict[str, float]:
        """Return the most that each word of a question can give: its inverse document frequency times k1 + 1."""
        counts = Counter(words(question)[:MOST_WORDS])
        rows = self._store.query(
            "SELECT q.word, coalesce(c.articles, 0) + (SELECT count(*) FROM words AS w WHERE w.change > %s AND "
            "w.words @@ q.query::tsquery) FROM unnest(%s::text[], %s::text[]) AS q (word, query) "
            "LEFT JOIN word_counts AS c USING (word)",
            [self._counted.change, list(counts), [_lexeme(word) for word in counts]],
        )
        total = self._articles
        return {word: (1 + K1) * counts[word] * idf(total, number) for word, number in rows if 0 < number <= total}

    def _scored(
        self,
        weights: dict[str, float],
        needed: str,
        condition: Condition | None,
        limit: int,
        *,
        joined: bool = True,
    ) -> list[tuple[int, float]]:
        """Return the best of the articles that a query of full text finds, and that pass a condition."""
        # times / (times + norm), said so that the times need be computed only once.
        part = f"%s::float8 * (1 - b.norm / ({_TIMES} + b.norm))"
        text, values = (condition.sql, condition.parameters) if condition else ("true", ())
        # OFFSET 0 keeps the planner from sorting all that have the words, their words with them, before it filters.
        sql = (
            f"SELECT pmid, score FROM (SELECT w.pmid, {' + '.join([part] * len(weights))} AS score "
            "FROM (SELECT %s::float8[] AS bounds, %s AS fixed, %s AS per_word) AS c CROSS JOIN words AS w "
            "CROSS JOIN LATERAL (SELECT c.bounds, c.fixed + c.per_word * w.length AS norm) AS b "
            f"{'JOIN articles AS a ON a.pmid = w.pmid ' if condition and joined else ''}"
            f"WHERE w.words @@ %s::tsquery AND ({text}) OFFSET 0) AS scored "
            "ORDER BY score DESC, pmid DESC LIMIT %s"
        )
        scored = [value for word, weight in weights.items() for value in (weight, _lexeme(word))]
        norms = [_BOUNDS, K1 * (1 - B), K1 * B / self._mean]
        return [(pmid, score) for pmid, score in self._store.query(sql, [*scored, *norms, needed, *values, limit])]


def reaching(weights: Mapping[str, float], bound: float) -> str:
    """Return a query of full text that finds every article whose words can add up to a bound, and few others.

    `weights` tells the most that each word can add. With many words the query would be very long: it then says only
    which one word or two an article must have, for the rest to be within reach.

    >>> reaching({"a": 3.0, "b": 2.0, "c": 1.0}, 4.0)
    "'a' & ('b' | 'c')"
    """
    rarest = sorted(weights.items(), key=lambda item: -item[1])
    depth = next(depth for most, depth in _DEPTHS if len(rarest) <= most)
    return _reaching(rarest, bound, depth)


def _reaching(rarest: Sequence[tuple[str, float]], bound: float, depth: int) -> str:
    parts, left = [], sum(weight for _, weight in rarest)
    for place, (word, weight) in enumerate(rarest, start=1):
        # A little less is asked for, since sums are rounded.
        if left < bound * (1 - 1e-9):
            break
        left -= weight
        more = _reaching(rarest[place:], bound - weight, depth - 1) if weight < bound and depth > 1 else ""
        parts.append(f"{_lexeme(word)} & ({more})" if more else _lexeme(word))
    return " | ".join(parts)


def _lexeme(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
