"""What a search request says: the question and the options of its answer. Every door to the index uses these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from search.article import MAX_PMID
from search.errors import QueryError
from search.messages import explained, nearest_name
from search.retrieval.context import Retracted
from search.retrieval.expansion import Change
from search.retrieval.filters import And, Filters, filters_from_dict
from search.retrieval.strategy.strategy_parser import MAX_LENGTH
from search.retrieval.tags import parse_question
from search.storage.bm25 import Terms

__all__ = [
    "MODES",
    "ArticlesRequest",
    "BatchRequest",
    "ContextRequest",
    "DedupeRequest",
    "ExportFormat",
    "ExportRequest",
    "FacetsRequest",
    "MapRequest",
    "Mode",
    "Question",
    "ReferencesRequest",
    "RenameRequest",
    "SavedRequest",
    "SearchOptions",
    "SearchRequest",
    "SimilarRequest",
    "SnowballRequest",
    "Sort",
    "SourcesRequest",
    "StrategyRequest",
    "TableRequest",
    "check_limit",
    "check_question",
    "questions_in",
    "questions_of",
    "read_question",
    "read_request",
    "whole_number",
]

Mode = Literal["semantic", "lexical", "hybrid"]
Sort = Literal["relevance", "date", "first-author", "cited"]
MODES: tuple[Mode, ...] = ("semantic", "lexical", "hybrid")


Exact = Annotated[bool | None, Meta(description="Whether to search the words just as they are typed.")]


class SearchOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a question is to be answered; `None` stands for the `results` and the `mode` of the configuration.

    `offset` of the first hits are left out, `evidence` is the number of sentences each hit comes with, and `fold` shows
    duplicates once. `feedback` lets the question learn from its first answers; `exact` searches the words as they were
    typed, without corrections and other names. `None` is the configuration's. `sort` puts the best 200 in order by date
    (the newest first) or first author; with `min_score`, what scores less is left out and nothing is marked as far.
    """

    limit: Annotated[int, Meta(ge=1, description="How many results; the default is the configuration's `results`.")] | (
        None
    ) = None
    offset: Annotated[int, Meta(ge=0, description="How many of the first results to leave out.")] = 0
    mode: Mode | None = None
    filters: Filters = Filters()
    evidence: Annotated[int, Meta(ge=0, le=10, description="How many evidence sentences each hit comes with.")] = 0
    fold: bool = True
    feedback: bool | None = None
    encode_on_demand: (
        Annotated[int, Meta(ge=0, description="How many articles without a vector may be encoded for the question.")]
        | None
    ) = None
    exact: Exact = None
    sort: Annotated[Sort, Meta(description="How the best results are put in order.")] = "relevance"
    min_score: Annotated[float | None, Meta(description="Leave out results whose score is lower.")] = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise QueryError(f"no mode {self.mode!r}: {nearest_name(str(self.mode), MODES)}")
        if self.sort not in get_args(Sort):
            raise QueryError(f"no order {self.sort!r}: {nearest_name(str(self.sort), get_args(Sort))}")
        whole_number(self.evidence, "the number of evidence sentences", 0)
        if self.min_score is not None and not isinstance(self.min_score, Real):
            raise QueryError(f"min_score must be a number, not {self.min_score!r}")


class Question(msgspec.Struct, frozen=True):
    """A question as it is understood: its free text, and the filters that its answers must pass.

    The text is the one that is searched: `changes` tells what of it was typed otherwise, and `terms` are those that
    BM25 looks for besides its words.
    """

    text: str
    filters: Filters
    terms: Terms = {}
    changes: tuple[Change, ...] = ()


def read_question(question: str, filters: Filters | None = None) -> Question:
    """Read the PubMed field tags of a question, and join them with the filters given beside it.

    A question may be empty where a strategy is given. Raises QueryError if it is, or its tags do not parse.
    """
    given = filters or Filters()
    if given.strategy is not None and not question.strip():
        return Question("", given)
    text, expression = parse_question(check_question(question))
    if expression is None:
        return Question(text, given)
    if given.expression is not None:
        expression = And((expression, given.expression))
    return Question(text.strip(), msgspec.structs.replace(given, expression=expression))


def check_question(question: str) -> str:
    """Return the question without surrounding white space. Raises QueryError if it is empty."""
    text = question.strip()
    if not text:
        raise QueryError("the question is empty: say in a few words or a sentence what you are looking for")
    return text


def check_limit(limit: int) -> int:
    """Return the number of results. Raises QueryError if it is below 1."""
    return whole_number(limit, "the number of results", 1)


def whole_number(value: object, name: str, least: int) -> int:
    """Return a whole number that is at least so large. Raises QueryError, which calls it by its name, if it is not."""
    if not isinstance(value, Integral):
        raise QueryError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise QueryError(f"{name} must be at least {least}, not {value}")
    return int(value)


ExportFormat = Literal["ris", "bibtex", "nbib", "csv", "jsonl", "csl", "citation", "markdown"]

CitationStyle = Literal["nlm", "vancouver", "ama", "apa"]

#: Longer questions are a mistake: a model reads some hundreds of words.
#: Only where a strategy selects the articles it may be empty (`read_question`).
QuestionText = Annotated[str, Meta(max_length=10_000, description="A question, PubMed field tags and all.")]
Texts = Annotated[tuple[QuestionText, ...], Meta(max_length=100)]
Pmid = Annotated[int, Meta(ge=1, le=MAX_PMID)]
Pmids = Annotated[tuple[Pmid, ...], Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=1, description="How many results; the default is the configuration's `results`.")]


class SearchRequest(SearchOptions, frozen=True):
    """A question, and how to answer it: as `search query`."""

    question: QuestionText
    explain: bool = False


class TableRequest(SearchRequest, frozen=True):
    """A question whose answers are laid out as a table of studies, as JSON or as a CSV file: as `search table`."""

    format: Literal["json", "csv"] = "json"


class BatchRequest(SearchOptions, frozen=True):
    """Several questions that are answered in the same way: as `search query --queries`."""

    questions: Annotated[tuple[QuestionText, ...], Meta(min_length=1, max_length=100)]
    explain: bool = False


class _Filtered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the requests without the options of a search."""

    mode: Mode | None = None
    filters: Filters = Filters()


class _Understood(_Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of those with a question."""

    exact: Exact = None


class SimilarRequest(_Filtered, frozen=True):
    """Articles and texts to find more like, and articles to keep away from: as `search similar`."""

    pmids: Pmids = ()
    texts: Texts = ()
    unlike: Pmids = ()
    limit: Count | None = None
    offset: Annotated[int, Meta(ge=0)] = 0


class ArticlesRequest(_Understood, frozen=True):
    """Some articles: those that answer a question, or those like others (`pmids`, `texts`).

    With `relevant`, only those near enough to the question whose scores are at least half of the best ones.
    """

    question: QuestionText | None = None
    pmids: Pmids = ()
    texts: Texts = ()
    unlike: Pmids = ()
    relevant: bool = False


class FacetsRequest(ArticlesRequest, frozen=True):
    """What to count: the first `depth` results of a search, as `search facets`, or of similar articles.

    With `alternatives`, each kind of value is counted without the filters of that kind.
    """

    depth: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    alternatives: bool = False


class MapRequest(ArticlesRequest, frozen=True):
    """What to lay out on a map: the first `limit` results of a search, or of similar articles."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 300


class ContextRequest(_Understood, frozen=True):
    """A question and the size of the context for a language model: as `Index.context`."""

    question: QuestionText
    tokens: Annotated[int, Meta(ge=1)] = 1500
    limit: Count = 20
    sentences: Annotated[int, Meta(ge=1)] = 3
    retracted: Retracted = "mark"


class ExportRequest(_Understood, frozen=True):
    """Articles to write as a file, by PMID or as the results of a question: as `search export`.

    `style` is that of the format `citation`; `evidence` sentences of each result are quoted in Markdown.
    """

    format: ExportFormat = "ris"
    style: CitationStyle = "nlm"
    pmids: Pmids = ()
    question: QuestionText | None = None
    limit: Count = 100
    evidence: Annotated[int, Meta(ge=0, le=10)] = 0


class SavedRequest(_Understood, frozen=True):
    """A search to keep under a name: as `search query --save`."""

    question: QuestionText
    limit: Count | None = None
    replace: bool = False


class RenameRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new name of a saved search: as `search saved NAME --rename NEW`."""

    name: str


class SnowballRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Articles, or a saved search, from which citations are followed: as `search snowball`."""

    pmids: Pmids = ()
    saved: str | None = None
    rounds: Annotated[int, Meta(ge=1, le=5)] = 1
    limit: Count | None = None
    seen: Pmids = ()


class ReferencesRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """References as text: RIS, BibTeX, MEDLINE text, CSL JSON, CSV, or PMIDs and DOIs, one a line."""

    references: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1, max_length=255, description="What the file is called.")] = "references"


class SourcesRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """References of several databases, each as text under the name of its database or file."""

    sources: Annotated[dict[str, str], Meta(min_length=1, max_length=50)]


class DedupeRequest(SourcesRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """References of several databases whose duplicates are wanted, or what is left without them: as `search dedupe`."""

    format: Annotated[Literal["json", "ris"], Meta(description="What was found, or what is left as RIS.")] = "json"


class StrategyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search in PubMed's query language, and how many of its PMIDs to send: as `search strategy --format json`."""

    strategy: Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH, description="One search, or numbered lines.")]
    limit: Annotated[int, Meta(ge=0, le=1_000_000, description="How many PMIDs to send.")] = 10_000


def questions_in(given: object) -> list[str]:
    """Return the questions of a call, which gives one or several. Raises QueryError if one is not a text."""
    questions = []
    for question in given if isinstance(given, Iterable) and not isinstance(given, str) else (given,):
        if not isinstance(question, str):
            raise QueryError(f"a question is a text, not {type(question).__name__}")
        questions.append(question)
    return questions


def questions_of(request: msgspec.Struct) -> list[str]:
    """Return the questions in a request."""
    if isinstance(request, BatchRequest):
        return list(request.questions)
    question: str | None = getattr(request, "question", None)
    return [] if question is None else [question]


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def read_request(data: Any, kind: type[_Kind], *, strict: bool = True) -> _Kind:
    """Read a request from what JSON or YAML gave; without `strict`, a text may stand for a number.

    Raises QueryError that names the field that is wrong.
    """
    if not isinstance(data, Mapping):
        raise QueryError("a request must be a JSON object")
    given = dict(data)
    filters = given.pop("filters", None)
    if filters is not None:
        given["filters"] = filters_from_dict(filters)
    try:
        return msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise QueryError(explained(error, kind.__struct_fields__)) from error
