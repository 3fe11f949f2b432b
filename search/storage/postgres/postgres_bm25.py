"""BM25 in PostgreSQL.

PostgreSQL ranks by how often words are there and not by how rare they are, so BM25 is computed here from its parts. A
`tsvector` holds the words of `search.storage.bm25` (lower case, no stop words, English stems), those of the title and
of the MeSH headings again with a mark before them (`lexeme`). A GIN index finds the articles that have a word. How
often the word is there is read off `ts_rank`, which for one word is the sum of 1/n^2 over its places (n = 1, 2, ...)
divided by pi^2/6: each number of places has a rank of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from search.storage.bm25 import FIELDS, K1, MOST_WORDS, B, Terms, idf
from search.storage.conditions import Condition
from search.storage.postgres.postgres_store import PgStoreReader
from search.storage.rows import Pmids, Vectors

__all__ = ["TOKEN_SUMS", "WordSearch", "WordStatistics", "lexeme", "reaching"]

#: What marks the words of a field. No word begins so: words are letters and digits.
_MARKS = {"text": "", "title": "t:", "mesh": "m:"}

#: How many words all articles have in each field.
TOKEN_SUMS = ", ".join(f"coalesce(sum(tokens[{place}]), 0)::bigint" for place in range(1, len(FIELDS) + 1))

#: The first bound, as a share of what all words of a question can give, and what it is lowered by.
_FIRST_BOUND, _LOWERED = 0.5, 0.5
#: Up to how many words a query says which three of them an article must have, which two, or which one.
_DEPTHS = ((8, 3), (24, 2), (MOST_WORDS, 1))

#: The ranks half way between those of n - 1 and of n places; more than so many make no difference to BM25.
_RANKS = np.cumsum(1 / np.arange(1, 65) ** 2.0) / (math.pi**2 / 6)
_BOUNDS: list[float] = ((np.concatenate([[0.0], _RANKS[:-1]]) + _RANKS) / 2).tolist()

#: How often the word of a query is in an article.
_TIMES = "width_bucket(ts_rank('{1,1,1,1}', w.words, %s::tsquery)::float8, c.bounds)"


class WordStatistics(msgspec.Struct, frozen=True):
    """What the last merge counted: up to which change, how many articles, and how many words each field has in all."""

    change: int = 0
    articles: int = 0
    tokens: tuple[int, ...] = (0,) * len(FIELDS)


class WordSearch:
    """Finds articles by words in one state of a store."""

    def __init__(self, store: PgStoreReader, counted: WordStatistics) -> None:
        self._store = store
        self._counted = counted
        number, *tokens = store.query(f"SELECT count(*), {TOKEN_SUMS} FROM words WHERE change > %s", [counted.change])[
            0
        ]
        self._articles = counted.articles + number
        self._means = [
            max((before + since) / max(self._articles, 1), 1e-9)
            for before, since in zip(counted.tokens, tokens, strict=True)
        ]

    def nearest(
        self, terms: Terms, limit: int, allowed: Condition | None = None, *, few: bool = False
    ) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for some terms, and these scores, best first.

        Common words decide little and match much, and what costs time is to read an article and to score it. So only
        those are read whose words can add up to a bound, which the GIN index finds. The bound begins high and is
        lowered until the last of the best reaches it: then no article that was not read can be among them. Where `few`
        are allowed it is simpler to read all of these that have a word.
        """
        weights = self._weights(terms)
        best: list[tuple[int, float]] = []
        bound, last_query = 0.0 if few else _FIRST_BOUND * sum(weights.values()), ""
        while weights:
            query = reaching(_by_lexeme(weights), bound)
            if query != last_query:
                best, last_query = self._scored(weights, query, allowed, limit), query
            last = best[limit - 1][1] if len(best) >= limit else 0.0
            if last >= bound or bound <= min(weights.values()):
                break
            bound = max(last, bound * _LOWERED)
        return np.array([pmid for pmid, _ in best], np.int64), np.array([score for _, score in best], np.float32)

    def scores(self, terms: Terms, pmids: Iterable[int]) -> dict[int, float]:
        """Return the BM25 of some articles; articles with none of the terms are left out."""
        scored = [int(pmid) for pmid in pmids]
        weights = self._weights(terms)
        if not weights or not scored:
            return {}
        only = Condition("w.pmid = ANY(%s)", (scored,))
        return dict(self._scored(weights, reaching(_by_lexeme(weights), 0.0), only, len(scored), joined=False))

    def idf(self, terms: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
        """Return the inverse document frequency of terms; 0 for one that no article has."""
        by_lexeme = {lexeme(*term): term for term in terms}
        rows = self._store.query(
            "SELECT q.word, coalesce(c.articles, 0) + (SELECT count(*) FROM words AS w WHERE w.change > %s AND "
            "w.words @@ q.query::tsquery) FROM unnest(%s::text[], %s::text[]) AS q (word, query) "
            "LEFT JOIN word_counts AS c USING (word)",
            [self._counted.change, list(by_lexeme), [_quoted(word) for word in by_lexeme]],
        )
        total = self._articles
        return {by_lexeme[word]: idf(total, number) if 0 < number <= total else 0.0 for word, number in rows}

    def _weights(self, terms: Terms) -> dict[tuple[str, str], float]:
        """Return the most that each term can give: its weight times its inverse document frequency times k1 + 1."""
        return {term: (1 + K1) * terms[term] * value for term, value in self.idf(terms).items() if value > 0}

    def _scored(
        self,
        weights: dict[tuple[str, str], float],
        needed: str,
        condition: Condition | None,
        limit: int,
        *,
        joined: bool = True,
    ) -> list[tuple[int, float]]:
        """Return the best of the articles that a query of full text finds, and that pass a condition."""
        # times / (times + norm), said so that the times need be computed only once.
        places = {field: place for place, field in enumerate(FIELDS, start=1)}
        norm_of = {field: f"b.norm{place}" for field, place in places.items()}
        parts = [f"%s::float8 * (1 - {norm_of[field]} / ({_TIMES} + {norm_of[field]}))" for field, _ in weights]
        norms = [f"c.fixed + c.per_word[{place}] * w.lengths[{place}] AS norm{place}" for place in places.values()]
        text, values = (condition.sql, condition.parameters) if condition else ("true", ())
        # OFFSET 0 keeps the planner from sorting all that have the words, their words with them, before it filters.
        sql = (
            f"SELECT pmid, score FROM (SELECT w.pmid, {' + '.join(parts)} AS score "
            "FROM (SELECT %s::float8[] AS bounds, %s AS fixed, %s::float8[] AS per_word) AS c CROSS JOIN words AS w "
            f"CROSS JOIN LATERAL (SELECT {', '.join(norms)}) AS b "
            f"{'JOIN articles AS a ON a.pmid = w.pmid ' if condition and joined else ''}"
            f"WHERE w.words @@ %s::tsquery AND ({text}) OFFSET 0) AS scored "
            "ORDER BY score DESC, pmid DESC LIMIT %s"
        )
        scored = [value for term, weight in weights.items() for value in (weight, _quoted(lexeme(*term)))]
        constants = [_BOUNDS, K1 * (1 - B), [K1 * B / mean for mean in self._means]]
        rows = self._store.query(sql, [*scored, *constants, needed, *values, limit])
        return [(pmid, score) for pmid, score in rows]


def lexeme(field: str, word: str) -> str:
    """Return what a word of a field is in a `tsvector`: title and headings have marks before their words."""
    return _MARKS[field] + word


def _by_lexeme(weights: Terms) -> dict[str, float]:
    return {lexeme(*term): weight for term, weight in weights.items()}


def reaching(weights: Mapping[str, float], bound: float) -> str:
    """Return a query of full text that finds every article whose words can add up to a bound, and few others.

    `weights` is the most that each word can add. With many words the query would be very long: it then says only
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
        # A little less is enough, since sums are rounded.
        if left < bound * (1 - 1e-9):
            break
        left -= weight
        more = _reaching(rarest[place:], bound - weight, depth - 1) if weight < bound and depth > 1 else ""
        parts.append(f"{_quoted(word)} & ({more})" if more else _quoted(word))
    return " | ".join(parts)


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
