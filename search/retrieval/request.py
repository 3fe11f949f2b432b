"""What a search request says: the question and the options of its answer. Every door to the index uses these."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from search.errors import QueryError
from search.retrieval.filters import And, Filters
from search.retrieval.tags import parse_question

__all__ = ["MODES", "Mode", "Question", "SearchOptions", "check_limit", "check_question", "read_question"]

Mode = Literal["semantic", "lexical", "hybrid"]
MODES: tuple[Mode, ...] = ("semantic", "lexical", "hybrid")


class SearchOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a question is to be answered; `None` stands for the `results` and the `mode` of the configuration.

    `offset` of the first hits are left out, `evidence` is the number of sentences each hit comes with, and `fold` shows
    duplicates once.
    """

    limit: Annotated[int, Meta(ge=1, description="How many results; the default is the configuration's `results`.")] | (
        None
    ) = None
    offset: Annotated[int, Meta(ge=0, description="How many of the first results to leave out.")] = 0
    mode: Mode | None = None
    filters: Filters = Filters()
    evidence: Annotated[int, Meta(ge=0, description="How many evidence sentences each hit comes with.")] = 0
    fold: bool = True


class Question(msgspec.Struct, frozen=True):
    """A question as it is understood: its free text, and the filters that its answers must pass."""

    text: str
    filters: Filters


def read_question(question: str, filters: Filters | None = None) -> Question:
    """Read the PubMed field tags of a question, and join them with the filters given beside it.

    Raises QueryError if the question is empty, or its tags do not parse.
    """
    text, expression = parse_question(check_question(question))
    given = filters or Filters()
    if expression is None:
        return Question(text, given)
    if given.expression is not None:
        expression = And((expression, given.expression))
    return Question(text.strip(), msgspec.structs.replace(given, expression=expression))


def check_question(question: str) -> str:
    """Return the question without white space around it. Raises QueryError if nothing is left."""
    text = question.strip()
    if not text:
        raise QueryError("the question is empty: say in a few words or a sentence what you are looking for")
    return text


def check_limit(limit: int) -> int:
    """Return the number of results. Raises QueryError if it is below 1."""
    if limit < 1:
        raise QueryError(f"the number of results must be at least 1, not {limit}")
    return limit
