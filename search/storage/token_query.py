"""Queries of the tokens of articles (`search.storage.article_tokens`), the same for every store."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from search.errors import QueryError
from search.storage.article_tokens import Tokens
from search.storage.rows import Pmids

__all__ = [
    "EVERYTHING",
    "MOST_EXPANSIONS",
    "NOTHING",
    "AnyOf",
    "Joined",
    "Near",
    "Phrase",
    "PmidSet",
    "TokenIndex",
    "TokenQuery",
    "holds",
    "too_many_expansions",
]

#: A truncated phrase is one phrase for each word that its last one may be; so many are looked up.
MOST_EXPANSIONS = 20_000


class AnyOf(msgspec.Struct, frozen=True, tag="any"):
    """Articles with any of some tokens, or any token that begins with a prefix; `exact` for keys, else for words."""

    tokens: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    exact: bool = False


class Phrase(msgspec.Struct, frozen=True, tag="phrase"):
    """Articles with words one after the other; with `truncated`, the last need only begin so."""

    tokens: tuple[str, ...]
    truncated: bool = False


class Near(msgspec.Struct, frozen=True, tag="near"):
    """Articles with two words in either order and at most so many others between them, maybe across two values.

    Beyond a thousand words, a store may answer with every article that has both.
    """

    first: str
    second: str
    distance: int


class PmidSet(msgspec.Struct, frozen=True, tag="pmids"):
    """Articles with these PMIDs."""

    pmids: tuple[int, ...] = ()


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """AND of all, OR of all, or (NOT) the first without the others; there is at least one operand."""

    operator: Literal["AND", "OR", "NOT"]
    operands: tuple[TokenQuery, ...]


TokenQuery: TypeAlias = AnyOf | Phrase | Near | PmidSet | Joined

#: Every article has this token.
EVERYTHING = AnyOf(("sb:all",), exact=True)
NOTHING = PmidSet()


class TokenIndex(Protocol):
    """The tokens of all articles in one state of an index, unmerged changes included. Answers are exact."""

    def count(self, query: TokenQuery) -> int:
        """Return how many articles there are."""
        ...

    def pmids(self, query: TokenQuery, limit: int | None = None) -> Pmids:
        """Return the PMIDs of the articles, ascending; with `limit`, any so many of them."""
        ...

    def keys(self, prefix: str, limit: int | None = None) -> list[str]:
        """Return the exact values that begin with a prefix; with `limit`, about the most frequent, in no order."""
        ...


def holds(query: TokenQuery, pmid: int, tokens: Tokens) -> bool:
    """Whether an article with these tokens is among what a query finds: the plain meaning of it."""
    if isinstance(query, Joined):
        results = (holds(operand, pmid, tokens) for operand in query.operands)
        if query.operator == "NOT":
            return next(results) and not any(results)
        return all(results) if query.operator == "AND" else any(results)
    if isinstance(query, PmidSet):
        return pmid in query.pmids
    if isinstance(query, AnyOf):
        values = (tokens.keys,) if query.exact else tokens.words
        return any(token in query.tokens or token.startswith(query.prefixes) for value in values for token in value)
    if isinstance(query, Phrase):
        return any(_has_phrase(query, value) for value in tokens.words)
    return _has_near(query, tokens)


def _has_phrase(query: Phrase, value: tuple[str, ...]) -> bool:
    *_, last = query.tokens
    length = len(query.tokens)
    for start in range(len(value) - length + 1):
        part = value[start : start + length]
        if part == query.tokens or (query.truncated and part[:-1] == query.tokens[:-1] and part[-1].startswith(last)):
            return True
    return False


def _has_near(query: Near, tokens: Tokens) -> bool:
    at, firsts, seconds = 0, list[int](), list[int]()
    for value in tokens.words:
        firsts += [at + place for place, word in enumerate(value) if word == query.first]
        seconds += [at + place for place, word in enumerate(value) if word == query.second]
        at += len(value) + 1
    return any(0 < abs(one - other) <= query.distance + 1 for one in firsts for other in seconds)


def too_many_expansions(prefix: str) -> QueryError:
    """Return the error for a truncated phrase whose last word may be too many words."""
    return QueryError(
        f"{prefix.partition(':')[2]}* at the end of a phrase stands for more than {MOST_EXPANSIONS:,} words: "
        "give more letters"
    )
