"""Tokens of articles in PostgreSQL: a `tsvector` of words with their places and of exact values without."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from search.article import Article
from search.storage.article_tokens import Tokens, key_of, tokens_of
from search.storage.rows import Pmids
from search.storage.token_query import AnyOf, Near, Phrase, PmidSet, TokenQuery, holds

__all__ = ["PgTokens", "pack_tokens"]

#: The last place that a tsvector can hold, and the most places of one word.
_LAST_PLACE, _MOST_PLACES = 16_383, 255
#: An article that has more is marked so, and its phrases are looked for in its text.
_LONG = "long:"
#: The kinds of the table `terms` that exact values are known from.
_KINDS = {"mh": "mesh", "majr": "mesh", "pt": "type", "la": "language"}
#: Where the values of a prefix are not in a table, so many articles that have one are looked at.
_SAMPLED = 2_000
#: Words farther apart than this are only looked for in one article; whoever asks reads it then.
_FARTHEST = 1_000


def pack_tokens(tokens: Tokens) -> bytes:
    """Return tokens as a `tsvector` in binary; words of two values are never at neighbouring places."""
    places: dict[str, list[int]] = {key: [] for key in tokens.keys}
    at, too_long = 0, False
    for value in tokens.words:
        for word in value:
            at += 1
            places.setdefault(word, []).append(min(at, _LAST_PLACE))
        at += 1
    too_long = at > _LAST_PLACE or any(len(some) > _MOST_PLACES for some in places.values())
    if too_long:
        places[_LONG] = []
    parts = [struct.pack(">i", len(places))]
    for token, some in places.items():
        kept = sorted(set(some))[:_MOST_PLACES]
        parts.append(token.encode() + b"\0" + struct.pack(f">H{len(kept)}H", len(kept), *kept))
    return b"".join(parts)


class PgTokens:
    """The tokens in one state of a store; `rows` runs a query, `read` reads articles."""

    def __init__(
        self,
        rows: Callable[[str, Sequence[object]], Iterable[Any]],
        read: Callable[[Iterable[int]], dict[int, Article]],
    ) -> None:
        self._rows = rows
        self._read = read
        self._long: dict[int, Tokens] | None = None

    def count(self, query: TokenQuery) -> int:
        """Return how many articles there are."""
        condition, values = self._condition(query)
        return int(next(iter(self._rows(f"SELECT count(*) FROM tokens AS t WHERE {condition}", values)))[0])

    def pmids(self, query: TokenQuery, limit: int | None = None) -> Pmids:
        """Return the PMIDs of the articles, ascending; with `limit`, any so many of them."""
        condition, values = self._condition(query)
        end = "ORDER BY t.pmid" if limit is None else f"LIMIT {limit:d}"
        rows = self._rows(f"SELECT t.pmid FROM tokens AS t WHERE {condition} {end}", values)
        return np.sort(np.array([pmid for (pmid,) in rows], np.int64))

    def keys(self, prefix: str, limit: int | None = None) -> list[str]:
        """Return the exact values that begin with a prefix.

        Those of vocabularies that no table holds, such as authors, are taken from some articles that have one.
        """
        field, _, beginning = prefix.partition(":")
        if field == "ta":
            names = self._rows("SELECT DISTINCT key FROM journal_keys", [])
        elif field in _KINDS:
            names = self._rows("SELECT DISTINCT name FROM terms WHERE kind = %s", [_KINDS[field]])
        else:
            return self._sampled(prefix, limit)
        values = {key_of(name.replace("/", " ")) for (name,) in names}
        return sorted(f"{field}:{name}" for name in values if name.startswith(beginning))

    def _sampled(self, prefix: str, limit: int | None) -> list[str]:
        """Return the most frequent exact values that begin with a prefix, in some of the articles that have one."""
        sample = f"SELECT tokens FROM tokens WHERE tokens @@ {_literal(_lexeme(prefix) + ':*')} LIMIT {_SAMPLED}"
        rows = self._rows(
            "SELECT word FROM ts_stat(%s) WHERE starts_with(word, %s) ORDER BY ndoc DESC, word LIMIT %s",
            [sample, prefix, limit],
        )
        return sorted(word for (word,) in rows)

    # Conditions -------------------------------------------------------------------------------------------------------

    def _condition(self, query: TokenQuery) -> tuple[str, list[object]]:
        """Return SQL on a row `t` of `tokens`: one full-text query where no PMIDs are given."""
        text = self._text(query)
        if text is not None:
            return "t.tokens @@ %s::tsquery", [text]
        if isinstance(query, PmidSet):
            return "t.pmid = ANY(%s)", [list(query.pmids)]
        if isinstance(query, Phrase | Near):
            return "t.tokens @@ %s::tsquery OR t.pmid = ANY(%s)", [self._placed(query), self._among_long(query)]
        if isinstance(query, AnyOf):
            return "false", []
        parts = [self._condition(part) for part in query.operands]
        texts = [f"({text})" for text, _ in parts]
        values = [value for _, some in parts for value in some]
        if query.operator == "NOT":
            return f"{texts[0]} AND NOT ({' OR '.join(texts[1:])})", values
        return f" {query.operator} ".join(texts), values

    def _text(self, query: TokenQuery) -> str | None:
        """Return a query of full text; None if it asks for PMIDs too, or for nothing."""
        if isinstance(query, AnyOf):
            parts = [*map(_lexeme, query.tokens), *(f"{_lexeme(prefix)}:*" for prefix in query.prefixes)]
            return _joined(parts, "|") if parts else None
        if isinstance(query, Phrase | Near):
            return None if self._among_long(query) else self._placed(query)
        if isinstance(query, PmidSet):
            return None
        known = []
        for part in query.operands:
            text = self._text(part)
            if text is None:
                return None
            known.append(text)
        if query.operator == "NOT":
            return f"({known[0]} & !({_joined(known[1:], '|')}))"
        return _joined(known, "&" if query.operator == "AND" else "|")

    def _placed(self, query: Phrase | Near) -> str:
        """Return a query by the places of words, for all articles whose tsvector has all of them."""
        text = _phrase(query) if isinstance(query, Phrase) else _near(query)
        return f"({text} & !{_lexeme(_LONG)})" if self._long_tokens() else text

    # Articles with more words than a tsvector has places for ----------------------------------------------------------

    def _among_long(self, query: Phrase | Near) -> list[int]:
        """Return the PMIDs of the long articles that a query by places finds in their text."""
        return [pmid for pmid, tokens in self._long_tokens().items() if holds(query, pmid, tokens)]

    def _long_tokens(self) -> dict[int, Tokens]:
        if self._long is None:
            rows = self._rows("SELECT t.pmid FROM tokens AS t WHERE t.tokens @@ %s::tsquery", [_lexeme(_LONG)])
            articles = self._read([pmid for (pmid,) in rows])
            self._long = {pmid: tokens_of(article) for pmid, article in articles.items()}
        return self._long


def _lexeme(token: str) -> str:
    return "'" + token.replace("\\", "\\\\").replace("'", "''") + "'"


def _literal(text: str) -> str:
    """Return a query of full text as a string within SQL: `ts_stat` takes no parameters."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'::tsquery"


def _joined(parts: Sequence[str], operator: str) -> str:
    """Join queries in pairs of pairs: PostgreSQL reads a long row of them with one call inside the other."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle], operator)} {operator} {_joined(parts[middle:], operator)})"


def _phrase(query: Phrase) -> str:
    *words, last = map(_lexeme, query.tokens)
    return f"({' <-> '.join([*words, f'{last}:*' if query.truncated else last])})"


def _near(query: Near) -> str:
    first, second = _lexeme(query.first), _lexeme(query.second)
    if query.distance > _FARTHEST:
        return f"({first} & {second})"
    apart = range(1, query.distance + 2)
    return _joined([f"({one} <{n}> {other})" for one, other in ((first, second), (second, first)) for n in apart], "|")
