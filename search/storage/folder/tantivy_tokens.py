"""Tokens of articles in tantivy: a field of words with their places, and one of exact values without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from search.article import Article
from search.storage.article_tokens import token_texts
from search.storage.rows import Pmids
from search.storage.token_query import (
    MOST_EXPANSIONS,
    AnyOf,
    Joined,
    Near,
    Phrase,
    TokenQuery,
    too_many_expansions,
)
from search.time_limit import check_time

__all__ = ["TantivyTokens", "add_token_fields", "add_tokens", "fill_tokens", "register_tokens"]

_HEAP_BYTES = 32_000_000

#: Bytes of the prefixes that share a regular expression, of which tantivy makes an automaton of 1,000 states at most.
_LONGEST_EXPRESSION = 800


def add_token_fields(builder: Any) -> None:
    """Add the fields of tokens to a schema."""
    builder.add_text_field("words", tokenizer_name="tokens", index_option="position")
    builder.add_text_field("keys", tokenizer_name="tokens", index_option="basic")


def register_tokens(index: Any) -> None:
    """Give an index the analyser of these fields: tokens are handed over ready, with spaces between."""
    import tantivy

    index.register_tokenizer("tokens", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())


def add_tokens(document: Any, article: Article) -> None:
    """Add the tokens of an article to its document; words of two values never stand side by side."""
    texts, keys = token_texts(article)
    for text in texts:
        document.add_text("words", text)
    document.add_text("keys", " ".join(keys))


def fill_tokens(index: Any, articles: Iterable[Article]) -> None:
    """Add the tokens of some articles to an index in memory, for what no generation holds yet."""
    import tantivy

    writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    for article in articles:
        document = tantivy.Document()
        document.add_integer("pmid", article.pmid)
        add_tokens(document, article)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()


class TantivyTokens:
    """The tokens in some indexes that share a schema, each with the PMIDs in it that are no longer true."""

    def __init__(
        self,
        schema: Any,
        parts: Iterable[tuple[Any, Pmids]],
        failures: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._schema = schema
        self._parts = [(index.searcher(), outdated) for index, outdated in parts]
        self._failures = failures

    def count(self, query: TokenQuery) -> int:
        """Return how many articles there are."""
        return sum(int(self._found(part, query, 1).count) for part in self._parts)

    def pmids(self, query: TokenQuery, limit: int | None = None) -> Pmids:
        """Return the PMIDs of the articles, ascending; with `limit`, any so many of them."""
        parts = []
        for part in self._parts:
            number = int(self._found(part, query, 1).count) if limit is None else limit
            if number:
                hits = self._found(part, query, number, count=False).hits
                parts.append(np.fromiter((pmid for pmid, _ in hits), np.int64, len(hits)))
        return np.sort(np.concatenate(parts))[:limit] if parts else np.empty(0, np.int64)

    def keys(self, prefix: str, limit: int | None = None) -> list[str]:
        """Return the exact values that begin with a prefix; with `limit`, the most frequent."""
        parts = [searcher.terms_with_prefix("keys", prefix, limit=limit) for searcher, _ in self._parts]
        return sorted({key for terms in parts for key, _ in terms})

    def _found(self, part: tuple[Any, Pmids], query: TokenQuery, limit: int, *, count: bool = True) -> Any:
        import tantivy

        searcher, outdated = part
        made = _Compiler(self._schema, searcher).query(query)
        if len(outdated):
            old = tantivy.Query.term_set_query(self._schema, "pmid", outdated.tolist())
            made = tantivy.Query.boolean_query([(tantivy.Occur.Must, made), (tantivy.Occur.MustNot, old)])
        with self._failures():
            # In order of PMID, for which tantivy computes no score.
            return searcher.search(made, limit=limit, count=count, order_by_field="pmid")


class _Compiler:
    """Turns a query into tantivy's; `searcher` knows what words there are."""

    def __init__(self, schema: Any, searcher: Any) -> None:
        import tantivy

        self._schema = schema
        self._searcher = searcher
        self._tantivy = tantivy.Query
        self._must, self._should, self._not = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot

    def query(self, query: TokenQuery) -> Any:
        """Return a query of tantivy. Raises TimeLimitError if the thread's time has run out."""
        if isinstance(query, Joined):
            return self._joined(query)
        if isinstance(query, AnyOf):
            return self._any(query)
        if isinstance(query, Phrase):
            return self._phrase(query)
        if isinstance(query, Near):
            pairs = ([query.first, query.second], [query.second, query.first])
            return self._or([self._tantivy.phrase_query(self._schema, "words", pair, query.distance) for pair in pairs])
        return self._tantivy.term_set_query(self._schema, "pmid", list(query.pmids))

    def _joined(self, query: Joined) -> Any:
        parts = [self.query(operand) for operand in query.operands]
        if query.operator == "OR":
            return self._or(parts)
        rest = self._must if query.operator == "AND" else self._not
        return self._tantivy.boolean_query([(self._must, parts[0]), *((rest, part) for part in parts[1:])])

    def _or(self, parts: list[Any]) -> Any:
        if not parts:
            return self._tantivy.empty_query()
        return parts[0] if len(parts) == 1 else self._tantivy.boolean_query([(self._should, part) for part in parts])

    def _any(self, query: AnyOf) -> Any:
        field = "keys" if query.exact else "words"
        tokens, parts = list(query.tokens), []
        for prefixes, length in _groups(query.prefixes):
            check_time()
            if length <= _LONGEST_EXPRESSION:
                # A token holds nothing that a regular expression gives a meaning to.
                parts.append(self._tantivy.regex_query(self._schema, field, f"({'|'.join(prefixes)}).*"))
            else:
                tokens += [token for token, _ in self._searcher.terms_with_prefix(field, prefixes[0])]
        if len(tokens) == 1:
            parts.append(self._tantivy.term_query(self._schema, field, tokens[0], index_option="basic"))
        elif tokens:
            parts.append(self._tantivy.term_set_query(self._schema, field, tokens))
        return self._or(parts)

    def _phrase(self, query: Phrase) -> Any:
        if not query.truncated:
            return self._tantivy.phrase_query(self._schema, "words", list(query.tokens))
        *words, prefix = query.tokens
        endings = [word for word, _ in self._searcher.terms_with_prefix("words", prefix, limit=MOST_EXPANSIONS + 1)]
        if len(endings) > MOST_EXPANSIONS:
            raise too_many_expansions(prefix)
        return self._or(
            [self._tantivy.phrase_query(self._schema, "words", [*words, ending]) for ending in sorted(endings)]
        )


def _groups(prefixes: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Yield prefixes in groups that share an expression, with their bytes: one each would cost a hundred times as much.

    A prefix that is too long for an expression is a group of its own.
    """
    group: list[str] = []
    length = 0
    for prefix in prefixes:
        size = len(prefix.encode())
        if group and length + size > _LONGEST_EXPRESSION:
            yield group, length
            group, length = [], 0
        group.append(prefix)
        length += size
    if group:
        yield group, length
