"""A question as it is ranked by: its vector, the terms that are looked for, and what each counts."""

from __future__ import annotations

import msgspec

from search.retrieval.fusion import DEFAULT_WEIGHT
from search.storage.bm25 import Terms, question_terms
from search.storage.rows import Vectors

__all__ = ["Query", "query_of"]


class Query(msgspec.Struct, frozen=True):
    """The text of a question, its vector (dimension,), its terms, and the weight of BM25 beside the cosine.

    After feedback `vector` is moved and `asked` is what it was; `added_words` are those that were not in the question.
    """

    text: str
    vector: Vectors
    terms: Terms
    weight: float = DEFAULT_WEIGHT
    asked: Vectors | None = None
    added_words: tuple[str, ...] = ()


def query_of(text: str, vector: Vectors, also: Terms = {}) -> Query:  # noqa: B006 - it is only read
    """Return a question as it is before feedback; `vector` is float32 of unit length, `also` further terms."""
    return Query(text, vector, {**also, **question_terms(text)})
