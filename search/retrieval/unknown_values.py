"""Values of filters that no article has, with the nearest that articles have: reported instead of "nothing found"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import islice

from search.normalize import folded_words, journal_key
from search.retrieval.filters import Filters
from search.retrieval.strategy.nearest_values import NearestValues
from search.retrieval.strategy.term_query import authors_query
from search.storage.token_query import AnyOf, TokenIndex
from search.time_limit import check_time

__all__ = ["unknown_values"]

#: Letters that authors who may be meant have in common with the one that was typed, and how many are compared.
_ALIKE, _COMPARED = 2, 5_000

_UI = re.compile(r"[DC]\d{6,9}", re.IGNORECASE)
_ISSN = re.compile(r"\d{4}-?\d{3}[\dX]", re.IGNORECASE)


#: So many values are looked up, and so many of those that no article has are reported.
_LOOKED_UP, _REPORTED = 100, 5


def unknown_values(filters: Filters, tokens: TokenIndex) -> list[str]:
    """Return a sentence for each author, journal, publication type, heading and language that no article has.

    Of many values the first hundred are looked up, and of many that no article has the first five are reported.
    """
    sentences: list[str] = []
    nearest = NearestValues(tokens)
    for what, field, value in islice(_values(filters), _LOOKED_UP):
        check_time()
        joined = "_".join(folded_words(journal_key(value) if field == "ta" else value))
        query = authors_query([value]) if field == "au" else AnyOf((f"{field}:{joined}",), exact=True)
        if _UI.fullmatch(value) or _ISSN.fullmatch(value) or tokens.count(query):
            continue
        if len(sentences) == _REPORTED:
            return [*sentences, "and others that no article has"]
        if field == "au":
            sentences.append(_unknown_author(value, tokens))
            continue
        sentences.append(f"no article has the {what} {value!r}{nearest.hint(field, joined)}")
    return sentences


def _unknown_author(name: str, tokens: TokenIndex) -> str:
    """Say that no article has an author, with the nearest that begin alike."""
    words = folded_words(name)
    known = (key.partition(":")[2] for key in tokens.keys(f"au:{words[0][:_ALIKE]}", _COMPARED))
    near = difflib.get_close_matches("/".join(words), known, n=3)
    counts = [tokens.count(AnyOf((f"au:{key}",), exact=True)) for key in near]
    shown = [f"{key.replace('_', ' ').replace('/', ' ')} ({count:,})" for key, count in zip(near, counts, strict=True)]
    return f"no article has the author {name!r}" + (f"; the nearest are {', '.join(shown)}" if shown else "")


def _values(filters: Filters) -> Iterator[tuple[str, str, str]]:
    yield from (("author", "au", name) for name in filters.authors)
    yield from (("journal", "ta", name) for name in filters.journals)
    yield from (("publication type", "pt", name) for name in filters.publication_types)
    yield from (("MeSH heading", "mh", term.descriptor) for term in filters.mesh)
    yield from (("language", "la", code) for code in filters.languages)
