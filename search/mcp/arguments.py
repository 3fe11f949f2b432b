"""The arguments of the tools: what a model may leave out it may also send empty, or as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from search.retrieval.request import Mode
from search.retrieval.strategy.strategy_parser import MAX_LENGTH

__all__ = [
    "Budget",
    "Exact",
    "FilterObject",
    "Ids",
    "Limit",
    "ModeName",
    "Offset",
    "OptionalIds",
    "QuestionText",
    "Sentences",
    "StrategyText",
    "without_empty",
]

#: Characters of an answer where the model does not say how many it can take.
DEFAULT_BUDGET = 20_000


def _none_if_empty(value: Any) -> Any:
    """Return None for what models send where they mean nothing."""
    if isinstance(value, str) and value.strip().lower() in ("", "null", "none"):
        return None
    return None if value in ([], {}) else value


def _ids(value: Any) -> Any:
    """Return ids as a list of texts: one id, several in one text, numbers."""
    value = [] if _none_if_empty(value) is None else value
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, int):
        value = [value]
    return [str(one) for one in value] if isinstance(value, list) else value


def without_empty(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return filters without those that are empty."""
    return {name: value for name, value in (filters or {}).items() if _none_if_empty(value) is not None}


_OPTIONAL = BeforeValidator(_none_if_empty)
_ID_LIST = {"type": "array", "items": {"type": "string"}}
_IDS = (
    "PMIDs, DOIs or PMCIDs, or results of earlier calls: `r1f3a9c:2` is the second, `r1f3a9c:1-5` are five, `r1f3a9c` "
    "all of them."
)

QuestionText = Annotated[str, Field(min_length=1, max_length=10_000, description="A question in plain English.")]
StrategyText = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH, description="The search, or its lines.")]
Limit = Annotated[int | None, _OPTIONAL, Field(description="How many, 1 to 50; 10 if left out.")]
Offset = Annotated[int | None, _OPTIONAL, Field(description="How many of the first results to leave out.")]
Sentences = Annotated[int | None, _OPTIONAL, Field(description="How many sentences of each, 1 to 10; 2 if left out.")]
ModeName = Annotated[Mode | None, _OPTIONAL, Field(description="Rank by meaning, by words, or by both (`hybrid`).")]
Budget = Annotated[
    int | None,
    _OPTIONAL,
    Field(description=f"About how many characters the answer may have; {DEFAULT_BUDGET:,} if left out."),
]
Exact = Annotated[bool, Field(description="Search the words as typed: correct no spelling, expand no acronym.")]
Ids = Annotated[list[str], BeforeValidator(_ids), WithJsonSchema({**_ID_LIST, "minItems": 1}), Field(description=_IDS)]
OptionalIds = Annotated[list[str] | None, BeforeValidator(_ids), WithJsonSchema(_ID_LIST), Field(description=_IDS)]
FilterObject = Annotated[
    dict[str, Any] | None,
    _OPTIONAL,
    Field(
        description="What articles must be: year_from, year_to, date_from, date_to, authors, journals, mesh, "
        "publication_types, languages, designs, min_n (participants), has_abstract, free_full_text, not_retracted, "
        "pmids, not_pmids, and strategy: a search in PubMed's query language, e.g. 'aspirin[tiab] AND neoplasms[mh]'."
    ),
]
