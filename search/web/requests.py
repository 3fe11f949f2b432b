"""What may be asked over HTTP: the bodies of requests, as they are read and as the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from search.article import MAX_PMID
from search.errors import QueryError
from search.retrieval.filters import Filters, filters_from_dict
from search.retrieval.request import Mode

__all__ = [
    "MEDIA_TYPES",
    "ArticlesRequest",
    "BatchRequest",
    "ExportRequest",
    "FacetsRequest",
    "MapRequest",
    "SavedRequest",
    "SearchRequest",
    "SimilarRequest",
    "read_request",
]

#: The formats of files by name, and what HTTP calls them.
MEDIA_TYPES = {
    "ris": "application/x-research-info-systems",
    "bibtex": "application/x-bibtex",
    "nbib": "application/nbib",
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "markdown": "text/markdown",
}

#: Longer questions are a mistake: a model reads some hundreds of words.
Question = Annotated[str, Meta(min_length=1, max_length=10_000, description="A question, PubMed field tags and all.")]
Pmid = Annotated[int, Meta(ge=1, le=MAX_PMID)]
Pmids = Annotated[tuple[Pmid, ...], Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=1, description="How many results; the default is the configuration's `results`.")]
Offset = Annotated[int, Meta(ge=0, description="How many of the first results to leave out.")]
Sentences = Annotated[int, Meta(ge=0, le=10, description="How many evidence sentences each hit comes with.")]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the requests; `filters` are those of `search.Filters`, a MeSH term may be just its name."""

    filters: Filters = Filters()


class SearchRequest(_Request, frozen=True):
    """A question, and how it is to be answered: as `search query`."""

    question: Question
    limit: Count | None = None
    offset: Offset = 0
    mode: Mode | None = None
    evidence: Sentences = 0
    explain: bool = False
    fold: bool = True


class BatchRequest(_Request, frozen=True):
    """Several questions that are answered in the same way: as `search query --queries`."""

    questions: Annotated[tuple[Question, ...], Meta(min_length=1, max_length=100)]
    limit: Count | None = None
    mode: Mode | None = None
    evidence: Sentences = 0
    explain: bool = False
    fold: bool = True


class SimilarRequest(_Request, frozen=True):
    """Articles and texts of which more like them are wanted: as `search similar`."""

    pmids: Pmids = ()
    texts: Annotated[tuple[Question, ...], Meta(max_length=100)] = ()
    unlike: Pmids = ()
    limit: Count | None = None
    offset: Offset = 0


class ArticlesRequest(_Request, frozen=True):
    """Some articles: those that answer a question, or those like others (`pmids`, `texts`)."""

    question: Question | None = None
    pmids: Pmids = ()
    texts: Annotated[tuple[Question, ...], Meta(max_length=100)] = ()
    unlike: Pmids = ()
    mode: Mode | None = None


class FacetsRequest(ArticlesRequest, frozen=True):
    """What is to be counted: the first `depth` results of a search, as `search facets`, or of similar articles."""

    depth: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class MapRequest(ArticlesRequest, frozen=True):
    """What is to be laid out on a map: the first `limit` results of a search, or of similar articles."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 300


class ExportRequest(_Request, frozen=True):
    """What is to be written as a file: articles by PMID, or the results of a question; as `search export`."""

    format: Literal["ris", "bibtex", "nbib", "csv", "jsonl", "markdown"]
    pmids: Pmids = ()
    question: Question | None = None
    limit: Count = 100
    mode: Mode | None = None


class SavedRequest(_Request, frozen=True):
    """A search that is to be kept under a name: as `search query --save`."""

    question: Question
    limit: Count | None = None
    mode: Mode | None = None


_Kind = TypeVar("_Kind", bound=_Request)


def read_request(data: Any, kind: type[_Kind]) -> _Kind:
    """Read a request from what JSON gave. Raises QueryError that names the field that is wrong."""
    if not isinstance(data, Mapping):
        raise QueryError("the body of the request must be a JSON object")
    given = dict(data)
    filters = given.pop("filters", None)
    if filters is not None and not isinstance(filters, Mapping):
        raise QueryError('filters: a JSON object is expected, e.g. {"year_from": 2015}')
    try:
        request = msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise QueryError(_in_words(error, kind)) from error
    return msgspec.structs.replace(request, filters=filters_from_dict(filters or {}))


def _in_words(error: msgspec.ValidationError, kind: type[_Request]) -> str:
    reason, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    if "unknown field" in reason:
        return f"{reason[0].lower()}{reason[1:]}: there are {', '.join(kind.__struct_fields__)}"
    return f"{where}: {reason[0].lower()}{reason[1:]}" if where else f"{reason[0].lower()}{reason[1:]}"
