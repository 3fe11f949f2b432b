"""The routes of the REST API."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from search.api import Status
from search.article import MAX_PMID, Article
from search.errors import QueryError
from search.formats.export import FORMATS
from search.presentation.hit_record import Answer, CitationsRecord, HitRecord, SnowballRecord, as_json
from search.presentation.study_table import StudyRow
from search.retrieval.expansion import Understanding
from search.retrieval.facets import Facets
from search.retrieval.findings import Findings
from search.retrieval.landscape import Landscape
from search.retrieval.request import (
    BatchRequest,
    DedupeRequest,
    ExportRequest,
    FacetsRequest,
    MapRequest,
    Mode,
    ReferencesRequest,
    RenameRequest,
    SavedRequest,
    SearchRequest,
    SimilarRequest,
    SnowballRequest,
    SourcesRequest,
    StrategyRequest,
    TableRequest,
    read_request,
)
from search.retrieval.saved_searches import RunDifference, SavedSearch
from search.retrieval.strategy import StrategyAnswer
from search.retrieval.suggestions import SuggestField, Suggestion
from search.review.check import Report
from search.review.dedupe import Deduplication
from search.web.answer_events import answer_events
from search.web.application import Application
from search.web.guard import check_write
from search.web.openapi import AsStruct
from search.web.service import About, Health

__all__ = ["router"]

_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}}

router = APIRouter(
    responses={
        "4XX": {"description": "What the client can mend.", **_ERROR},
        "5XX": {"description": "What only the server can mend.", **_ERROR},
    }
)

HITS = Annotated[list[HitRecord], AsStruct()]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            format.media_type: {"schema": {} if "json" in format.media_type else {"type": "string"}}
            for format in FORMATS.values()
        }
    }
}


_RIS = FORMATS["ris"].media_type
_FEED: dict[int | str, dict[str, Any]] = {200: {"content": {"application/atom+xml": {"schema": {"type": "string"}}}}}


def _shared(request: Request) -> Application:
    shared: Application = request.app.state.shared
    return shared


Shared = Annotated[Application, Depends(_shared)]


def _check_writer(request: Request) -> None:
    check_write(request.headers, _shared(request).settings)


@router.post("/api/search", summary="Answer a question", response_model=HITS)
async def search(request: Request, shared: Shared, body: Annotated[SearchRequest, AsStruct(), Body()]) -> Response:
    """Return the articles that answer a question, best first, as `search query --format json` prints them."""
    return await shared.answer(request, lambda: shared.service.search(body), body, slow=body.evidence > 0)


@router.get("/api/search", summary="Answer a question", response_model=HITS)
async def search_by_address(
    request: Request,
    shared: Shared,
    q: Annotated[str, Query(min_length=1, max_length=10_000)],
    limit: Annotated[int | None, Query(ge=1)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    mode: Mode | None = None,
    evidence: Annotated[int, Query(ge=0, le=10)] = 0,
    explain: bool = False,
    fold: bool = True,
    exact: bool | None = None,
    filters: Annotated[str | None, Query(description="The filters as a JSON object.")] = None,
) -> Response:
    """Return the articles that answer a question; here the question is part of the address."""
    try:
        given = msgspec.json.decode(filters) if filters else None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise QueryError(f"filters: not valid JSON: {error}") from error
    body = read_request(
        {"question": q, "limit": limit, "offset": offset, "mode": mode, "evidence": evidence}
        | {"explain": explain, "fold": fold, "exact": exact, "filters": given},
        SearchRequest,
    )
    return await search(request, shared, body)


@router.post("/api/batch", summary="Answer several questions", response_model=Annotated[list[Answer], AsStruct()])
async def batch(request: Request, shared: Shared, body: Annotated[BatchRequest, AsStruct(), Body()]) -> Response:
    """Return the hits of each question, encoded as one batch, as `search query --queries FILE` prints them."""
    return await shared.answer(request, lambda: shared.service.batch(body), body, slow=True)


@router.post(
    "/api/ask",
    summary="Quote what was found, or write an answer",
    response_model=Annotated[Findings, AsStruct()],
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def ask(
    request: Request, shared: Shared, body: Annotated[SearchRequest, AsStruct(), Body()], stream: bool = False
) -> Response:
    """Quote what the best articles found about a question, as `search ask --no-llm --format json` prints it.

    With `stream`, the language model of the configuration writes an answer instead, sent as server-sent events:
    `sources`, a `sentence` each as it is written and checked, then `end`, or `error`.
    """
    if stream:
        return await shared.stream(request, lambda: answer_events(shared.service.written_answer(body)), body)
    return await shared.answer(request, lambda: shared.service.ask(body), body, slow=True)


@router.post("/api/table", summary="A table of studies", response_model=Annotated[list[StudyRow], AsStruct()])
async def table(request: Request, shared: Shared, body: Annotated[TableRequest, AsStruct(), Body()]) -> Response:
    """Lay the articles that answer a question out as rows, as `search table` prints them: JSON, or a CSV file."""
    if body.format == "json":
        return await shared.answer(request, lambda: shared.service.table(body), body, slow=True)
    media_type = FORMATS["csv"].media_type
    answer = await shared.answer(request, lambda: shared.service.table(body), body, slow=True, media_type=media_type)
    answer.headers["content-disposition"] = 'attachment; filename="studies.csv"'
    return answer


@router.post("/api/understand", summary="How a question is read", response_model=Annotated[Understanding, AsStruct()])
async def understand(request: Request, shared: Shared, body: Annotated[SearchRequest, AsStruct(), Body()]) -> Response:
    """Return what a question is searched as, what of it was changed, and how many articles pass its filters.

    Takes what `/api/search` takes; with `exact` nothing is changed.
    """
    return await shared.answer(request, lambda: shared.service.understand(body))


@router.post("/api/strategy", summary="Run a strategy", response_model=Annotated[StrategyAnswer, AsStruct()])
async def strategy(request: Request, shared: Shared, body: Annotated[StrategyRequest, AsStruct(), Body()]) -> Response:
    """Return what a search in PubMed's query language selects, with exact counts by line.

    The same text as `filters.strategy` of another request selects the articles that its question puts in order.
    """
    return await shared.answer(request, lambda: shared.service.strategy(body), body, slow=True)


@router.post("/api/similar", summary="Find more like these", response_model=HITS)
async def similar(request: Request, shared: Shared, body: Annotated[SimilarRequest, AsStruct(), Body()]) -> Response:
    """Return the articles most like some articles and texts, as `search similar --format json` prints them."""
    return await shared.answer(request, lambda: shared.service.similar(body), body, slow=bool(body.texts))


@router.post("/api/facets", summary="Count results by what they are", response_model=Annotated[Facets, AsStruct()])
async def facets(request: Request, shared: Shared, body: Annotated[FacetsRequest, AsStruct(), Body()]) -> Response:
    """Count the first results of a search, or the articles most like some, as `search facets` prints them."""
    return await shared.answer(request, lambda: shared.service.facets(body), body, slow=True)


@router.post("/api/map", summary="A map of results by meaning", response_model=Annotated[Landscape, AsStruct()])
async def landscape(request: Request, shared: Shared, body: Annotated[MapRequest, AsStruct(), Body()]) -> Response:
    """Lay out the first results of a search, or the articles most like some, in the plane, and name their topics."""
    return await shared.answer(request, lambda: shared.service.landscape(body), body, slow=True)


@router.post("/api/export", summary="Write articles as a file", response_class=Response, responses=_FILES)
async def export(request: Request, shared: Shared, body: Annotated[ExportRequest, AsStruct(), Body()]) -> Response:
    """Write articles by PMID, or the results of a question, as RIS, BibTeX, MEDLINE, CSV, JSON lines or Markdown."""
    format = FORMATS[body.format]
    answer = await shared.answer(
        request, lambda: shared.service.export(body), body, slow=True, media_type=format.media_type
    )
    answer.headers["content-disposition"] = f'attachment; filename="pubmed{format.suffix}"'
    return answer


@router.get("/api/suggest", summary="Complete what is typed", response_model=Annotated[list[Suggestion], AsStruct()])
async def suggest(
    request: Request,
    shared: Shared,
    field: SuggestField,
    prefix: Annotated[str, Query(max_length=200)],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Return journals, publication types, MeSH headings, authors or languages that begin so, with their counts."""
    return await shared.answer(request, lambda: shared.service.suggest(field, prefix, limit))


@router.get("/api/articles/{pmid}", summary="An article", response_model=Annotated[Article, AsStruct()])
async def article(request: Request, shared: Shared, pmid: Annotated[int, Path(ge=1, le=MAX_PMID)]) -> Response:
    """Return all that is known of an article, as `search show --format json` prints it."""
    return await shared.answer(request, lambda: shared.service.article(pmid))


@router.get("/api/examples", summary="Questions to begin with", response_model=list[str])
async def examples(request: Request, shared: Shared) -> Response:
    """Return up to four questions that articles of this index ask in their titles."""
    return await shared.answer(request, shared.service.examples)


Pmid = Annotated[int, Path(ge=1, le=MAX_PMID)]
CITATIONS = Annotated[CitationsRecord, AsStruct()]


@router.get("/api/articles/{pmid}/cited-by", summary="What cites an article", response_model=CITATIONS)
async def cited_by(
    request: Request,
    shared: Shared,
    pmid: Pmid,
    limit: Annotated[int, Query(ge=1)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Return the works that cite an article, those of the index with their records, as `search cited-by` does."""
    return await shared.answer(request, lambda: shared.service.cited_by(pmid, limit, offset), slow=True)


@router.get("/api/articles/{pmid}/references", summary="What an article cites", response_model=CITATIONS)
async def references(
    request: Request,
    shared: Shared,
    pmid: Pmid,
    limit: Annotated[int, Query(ge=1)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Return the works that an article cites, those of the index with their records, as `search references` does."""
    return await shared.answer(request, lambda: shared.service.references(pmid, limit, offset), slow=True)


@router.post(
    "/api/snowball", summary="Follow citations from some articles", response_model=Annotated[SnowballRecord, AsStruct()]
)
async def snowball(request: Request, shared: Shared, body: Annotated[SnowballRequest, AsStruct(), Body()]) -> Response:
    """Return what cites a set of articles or is cited by it, as `search snowball --format json` prints it."""
    return await shared.answer(request, lambda: shared.service.snowball(body), slow=True)


@router.post("/api/check", summary="Check references", response_model=Annotated[Report, AsStruct()])
async def check(request: Request, shared: Shared, body: Annotated[ReferencesRequest, AsStruct(), Body()]) -> Response:
    """Return which references are retracted, corrected, duplicated or not what PubMed has, as `search check` prints."""
    return await shared.answer(request, lambda: shared.service.check(body), slow=True)


@router.post(
    "/api/dedupe",
    summary="Find duplicates",
    response_model=Annotated[Deduplication, AsStruct()],
    responses={200: {"content": {_RIS: {"schema": {"type": "string"}}}}},
)
async def dedupe(request: Request, shared: Shared, body: Annotated[DedupeRequest, AsStruct(), Body()]) -> Response:
    """Return the duplicates among references of several databases, as `search dedupe --format json` prints them.

    With `format` `ris`, the references without their duplicates, as `search dedupe --output` writes them.
    """
    if body.format == "json":
        return await shared.answer(request, lambda: shared.service.dedupe(body), slow=True)
    answer = await shared.answer(request, lambda: shared.service.dedupe(body), slow=True, media_type=_RIS)
    answer.headers["content-disposition"] = 'attachment; filename="deduplicated.ris"'
    return answer


@router.get("/api/about", summary="What the server may do, and its limits", response_model=Annotated[About, AsStruct()])
async def about(request: Request, shared: Shared) -> Response:
    """Return the version, whether searches may be kept, the formats of files, and the limits."""
    return await shared.answer(request, shared.service.about)


@router.get("/api/status", summary="The state of the index", response_model=Annotated[Status, AsStruct()])
async def status(request: Request, shared: Shared) -> Response:
    """Return what the index holds, as `search status --format json` prints it."""
    return await shared.answer(request, shared.service.status)


# Saved searches ------------------------------------------------------------------------------------------------------


@router.get("/api/saved", summary="The saved searches", response_model=Annotated[list[SavedSearch], AsStruct()])
async def saved(request: Request, shared: Shared) -> Response:
    """Return the saved searches with their runs, as `search saved --format json` prints them."""
    return await shared.answer(request, shared.service.saved)


@router.get("/api/saved/{name}", summary="A saved search", response_model=Annotated[list[SavedSearch], AsStruct()])
async def saved_one(request: Request, shared: Shared, name: Name) -> Response:
    """Return a saved search with its runs, as `search saved NAME --format json` prints it."""
    return await shared.answer(request, lambda: shared.service.saved(name))


@router.get(
    "/api/saved/{name}/methods", summary="A saved search for a methods section", response_class=PlainTextResponse
)
async def saved_methods(request: Request, shared: Shared, name: Name) -> Response:
    """Return what a methods section says of a saved search, as `search saved NAME` prints it."""
    return await shared.answer(request, lambda: shared.service.methods(name), media_type="text/plain")


@router.get("/api/saved/{name}/report", summary="The report of a saved search", response_class=PlainTextResponse)
async def saved_report(request: Request, shared: Shared, name: Name) -> Response:
    """Return methods, strategy with counts, PRISMA numbers and PRISMA-S items, as `search report NAME` prints them."""
    return await shared.answer(request, lambda: shared.service.report(name), slow=True, media_type="text/markdown")


@router.post("/api/saved/{name}/report", summary="A report with other databases", response_class=PlainTextResponse)
async def saved_report_with(
    request: Request, shared: Shared, name: Name, body: Annotated[SourcesRequest, AsStruct(), Body()]
) -> Response:
    """Return the report with the references of other databases in its numbers, as `search report NAME --with FILE`."""
    return await shared.answer(
        request, lambda: shared.service.report(name, body.sources), slow=True, media_type="text/markdown"
    )


@router.get(
    "/api/saved/{name}/difference",
    summary="What sets two runs apart",
    response_model=Annotated[RunDifference, AsStruct()],
)
async def saved_difference(
    request: Request,
    shared: Shared,
    name: Name,
    first: Annotated[int, Query(ge=1)],
    second: Annotated[int, Query(ge=1)],
) -> Response:
    """Return what sets two runs of a saved search apart, by their numbers from 1, as `search saved --diff` does."""
    return await shared.answer(request, lambda: shared.service.difference(name, first, second))


@router.get("/feeds/{name}.atom", summary="The feed of a saved search", response_class=Response, responses=_FEED)
async def feed(request: Request, shared: Shared, name: Name) -> Response:
    """Return the Atom feed of a saved search: what its runs found, and what was retracted since."""
    address = str(request.url.replace(query=""))
    return await shared.answer(request, lambda: shared.service.feed(name, address), media_type="application/atom+xml")


@router.put("/api/saved/{name}", summary="Keep a search", response_model=HITS, dependencies=[Depends(_check_writer)])
async def save(
    request: Request, shared: Shared, name: Name, body: Annotated[SavedRequest, AsStruct(), Body()]
) -> Response:
    """Run a search and keep it under a name. Needs a server that may write (`/api/about`)."""
    return await shared.answer(request, lambda: shared.service.save(name, body), body, slow=True)


@router.delete(
    "/api/saved/{name}",
    summary="Delete a saved search",
    response_model=Annotated[list[SavedSearch], AsStruct()],
    dependencies=[Depends(_check_writer)],
)
async def delete_saved(request: Request, shared: Shared, name: Name) -> Response:
    """Delete a saved search with its runs, and return those that are left. Needs a server that may write."""
    return await shared.answer(request, lambda: shared.service.delete_saved(name))


@router.patch(
    "/api/saved/{name}",
    summary="Rename a saved search",
    response_model=Annotated[list[SavedSearch], AsStruct()],
    dependencies=[Depends(_check_writer)],
)
async def rename_saved(
    request: Request, shared: Shared, name: Name, body: Annotated[RenameRequest, AsStruct(), Body()]
) -> Response:
    """Give a saved search another name, and return it with its runs. Needs a token, as it writes."""
    return await shared.answer(request, lambda: shared.service.rename_saved(name, body.name))


@router.post(
    "/api/saved/{name}/new",
    summary="What is new for a saved search",
    response_model=HITS,
    dependencies=[Depends(_check_writer)],
)
async def new(request: Request, shared: Shared, name: Name) -> Response:
    """Run a saved search over what was added since it last ran, and note the run. Needs a server that may write."""
    return await shared.answer(request, lambda: shared.service.new(name), slow=True)


# The server itself ---------------------------------------------------------------------------------------------------


@router.get("/health", summary="Whether the server can answer", response_model=Annotated[Health, AsStruct()])
async def health(shared: Shared) -> Response:
    """Return 200 as long as the server answers, however much there is to do; 503 if the index cannot be read."""
    return Response(as_json(Health("ok" if await shared.is_well() else "busy")), media_type="application/json")


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
async def metrics(shared: Shared) -> Response:
    """Return counts and durations of requests, and the state of the index, in Prometheus's text format."""
    text = await shared.run(shared.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4")
