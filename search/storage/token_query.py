"""What is asked of the tokens of articles (`search.storage.article_tokens`), whatever store answers it."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from search.errors import QueryError
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

    def pmids(self, query: TokenQuery) -> Pmids:
        """Return the PMIDs of the articles, ascending."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """Return the exact values that begin with a prefix; a store may know those of some vocabularies only."""
        ...


def too_many_expansions(prefix: str) -> QueryError:
    """Return the error for a truncated phrase whose last word may be too many words."""
    return QueryError(
        f"{prefix.partition(':')[2]}* at the end of a phrase stands for more than {MOST_EXPANSIONS:,} words: "
        "give more letters"
    )
