"""Finding the articles that a strategy selects, in one state of an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec
import numpy as np

from search.article import Article
from search.errors import QueryError
from search.normalize import folded_words
from search.retrieval.strategy.field_tags import FIELDS
from search.retrieval.strategy.nearest_values import NearestValues
from search.retrieval.strategy.pubmed_vocabulary import FILTERS
from search.retrieval.strategy.strategy_lexer import Source
from search.retrieval.strategy.strategy_parser import parse_strategy
from search.retrieval.strategy.strategy_tree import (
    DateRange,
    LineReference,
    Node,
    Strategy,
    Term,
    translation,
)
from search.retrieval.strategy.term_query import (
    Acting,
    Below,
    conjunction,
    date_query,
    disjunction,
    near_queries,
    term_query,
)
from search.storage.article_tokens import key_of, tokens_of, zone_values
from search.storage.rows import Pmids
from search.storage.token_query import AnyOf, Joined, PmidSet, TokenIndex, TokenQuery, holds
from search.time_limit import check_time

__all__ = ["LineResult", "StrategyAnswer", "StrategyEvaluation", "StrategyResult", "is_near", "selects"]

_READ_AT_ONCE = 1_000


class Documents(Protocol):
    """Where articles are read from."""

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return the articles with these PMIDs, by PMID."""
        ...


class LineResult(msgspec.Struct, frozen=True):
    """A line of a strategy: its number, its text, its search details, and how many articles it finds."""

    number: int
    text: str
    translation: str
    count: int


class StrategyResult(msgspec.Struct, frozen=True):
    """What a strategy selects: the PMIDs, ascending, how they came about line by line, and notes for the reader."""

    pmids: tuple[int, ...]
    lines: tuple[LineResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many articles it selects."""
        return len(self.pmids)

    @property
    def translation(self) -> str:
        """The search details of the last line, whose articles it selects."""
        return self.lines[-1].translation


class StrategyAnswer(msgspec.Struct, frozen=True):
    """A result as JSON: the count, the search details, the lines, the notes, and PMIDs, ascending, up to a limit."""

    count: int
    translation: str
    lines: tuple[LineResult, ...]
    notes: tuple[str, ...]
    pmids: tuple[int, ...]

    @classmethod
    def of(cls, result: StrategyResult, limit: int | None = None) -> StrategyAnswer:
        """Return the answer with up to `limit` PMIDs, ascending."""
        return cls(result.count, result.translation, result.lines, result.notes, result.pmids[:limit])


class OneArticle:
    """The tokens of a single article, as an index of one."""

    def __init__(self, article: Article) -> None:
        self._article = article
        self._held = tokens_of(article)

    def count(self, query: TokenQuery) -> int:
        """Return 1 if the query finds it."""
        return int(holds(query, self._article.pmid, self._held))

    def pmids(self, query: TokenQuery, limit: int | None = None) -> Pmids:
        """Return its PMID if the query finds it."""
        return np.array([self._article.pmid] * self.count(query), np.int64)

    def keys(self, prefix: str, limit: int | None = None) -> list[str]:
        """Return its exact values that begin with a prefix."""
        return [key for key in self._held.keys if key.startswith(prefix)]

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return it, if its PMID is given."""
        return {pmid: self._article for pmid in pmids if pmid == self._article.pmid}


def selects(strategy: Strategy, article: Article, below: Below) -> bool:
    """Whether a strategy selects an article. Slow and plain: for one, not for an index."""
    alone = OneArticle(article)
    return bool(len(StrategyEvaluation(strategy, alone, alone, below).pmids()))


class StrategyEvaluation:
    """Turns the lines of a strategy into queries for the tokens of an index, and counts what they find."""

    def __init__(
        self,
        strategy: Strategy,
        tokens: TokenIndex,
        documents: Documents,
        below: Below,
        acting: Acting | None = None,
    ) -> None:
        self.notes = dict.fromkeys(strategy.notes)
        self._strategy = strategy
        self._tokens = tokens
        self._documents = documents
        self._below = below
        self._acting = acting
        self._nearest = NearestValues(tokens)
        self._lines: dict[int, TokenQuery] = {}
        self._explained = False

    def counts(self) -> list[LineResult]:
        """Return the lines with their counts."""
        return [
            LineResult(
                line.number,
                " ".join(line.text.split()),
                translation(line.tree),
                self._tokens.count(self._line(line.number)),
            )
            for line in self._strategy.lines
        ]

    def pmids(self) -> Pmids:
        """Return the PMIDs of the last line's articles, ascending."""
        return self._tokens.pmids(self._line(self._strategy.result.number))

    def result(self) -> StrategyResult:
        """Return the PMIDs, the lines with their counts, and the notes."""
        self._explained = True
        lines = tuple(self.counts())
        return StrategyResult(tuple(self.pmids().tolist()), lines, tuple(self.notes))

    def _line(self, number: int) -> TokenQuery:
        if number not in self._lines:
            line = next(line for line in self._strategy.lines if line.number == number)
            source = Source(line.text, number if len(self._strategy.lines) > 1 else 0)
            self._lines[number] = self._query(line.tree, source)
        return self._lines[number]

    def _query(self, node: Node, source: Source) -> TokenQuery:
        if isinstance(node, LineReference):
            return self._line(node.number)
        if isinstance(node, DateRange):
            return date_query(node)
        if isinstance(node, Term):
            try:
                return self._term(node, source)
            except QueryError as error:
                raise source.error(node.start, str(error)) from error
        parts = [self._query(part, source) for part in node.operands]
        if node.operator == "OR":
            return disjunction(parts)
        if node.operator == "NOT":
            return Joined("NOT", (parts[0], *parts[1:]))
        return conjunction(parts)

    def _term(self, term: Term, source: Source) -> TokenQuery:
        check_time()
        meaning = FILTERS.get(" ".join(term.text.lower().split())) if term.field == "sb" else None
        if meaning is not None:
            self.notes[f"{term.text}[sb] stands for {meaning}"] = None
            return self._query(parse_strategy(meaning).result.tree, source)
        if term.distance is not None:
            return disjunction([self._near(term, zone, query) for zone, query in near_queries(term)])
        query = term_query(term, self._below, self._acting)
        if self._explained and FIELDS[term.field].kind in ("heading", "subheading", "value"):
            self._note_unknown(term, query)
        return query

    def _note_unknown(self, term: Term, query: TokenQuery) -> None:
        """Note a value of a vocabulary that no article has, with the nearest that articles have."""
        if self._tokens.count(query):
            return
        field = FIELDS[term.field]
        target = key_of(term.text) if field.kind == "heading" else "_".join(folded_words(term.text))
        hint = self._nearest.hint(field.keys[0], target)
        self.notes[f"no article has {term.text!r} in {field.name}{hint}"] = None

    def _near(self, term: Term, zone: str, query: TokenQuery) -> TokenQuery:
        """Return a query for the articles whose words are near in a zone: those that tokens leave open are read."""
        words = folded_words(term.text)
        many = AnyOf((f"many:{zone}",), exact=True)
        sure = Joined("NOT", (query, many)) if len(set(words)) == len(words) == 2 else None
        unsure = Joined("AND", (query, many)) if sure else query
        pmids = self._tokens.pmids(unsure).tolist()
        near: list[int] = []
        for start in range(0, len(pmids), _READ_AT_ONCE):
            check_time()
            for pmid, article in self._documents.get_many(pmids[start : start + _READ_AT_ONCE]).items():
                values = map(folded_words, zone_values(article)[zone])
                if any(is_near(words, value, term.distance or 0) for value in values):
                    near.append(pmid)
        read = PmidSet(tuple(sorted(near)))
        return Joined("OR", (sure, read)) if sure else read


def is_near(words: list[str], text: list[str], distance: int) -> bool:
    """Whether each of some words is in a text, at places of their own, in any order, neighbours near each other.

    >>> is_near(["pain", "hip"], ["hip", "or", "knee", "pain"], 2)
    True
    """
    needed = {word: words.count(word) for word in words}
    places = [(place, word) for place, word in enumerate(text) if word in needed]
    reach: dict[tuple[int, ...], int] = {}
    order = list(needed)
    # For each choice of how many of each word are taken, the last place of the latest chain that has them.
    for place, word in places:
        at = order.index(word)
        for counts, last in sorted(reach.items(), reverse=True):
            if place - last - 1 <= distance and counts[at] < needed[word]:
                taken = tuple(number + (index == at) for index, number in enumerate(counts))
                reach[taken] = place
        reach[tuple(int(index == at) for index in range(len(order)))] = place
        if tuple(needed.values()) in reach:
            return True
    return False
