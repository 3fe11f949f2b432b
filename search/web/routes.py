"""The routes of the REST API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from search.article import MAX_PMID
from search.errors import QueryError
from search.formats.export import FORMATS
from search.web.app import Application
from search.web.guard import token_refusal
from search.web.requests import (
    MEDIA_TYPES,
    BatchRequest,
    ExportRequest,
    FacetsRequest,
    MapRequest,
    SavedRequest,
    SearchRequest,
    SimilarRequest,
    read_request,
)
from search.web.schema import describe

__all__ = ["router"]

router = APIRouter()

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


def _shared(request: Request) -> Application:
    shared: Application = request.app.state.shared
    return shared


@router.post("/api/search", **describe("Answer a question", SearchRequest, "hits"))
async def search(request: Request) -> Response:
    """Return the articles that answer a question, best first, as `search query --format json` prints them."""
    shared = _shared(request)
    return await _search(shared, await shared.read(request, SearchRequest))


@router.get("/api/search", **describe("Answer a question", None, "hits"))
async def search_by_address(
    request: Request,
    q: Annotated[str, Query(min_length=1, max_length=10_000)],
    limit: Annotated[int | None, Query(ge=1)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    mode: Annotated[str | None, Query(pattern="^(semantic|lexical|hybrid)$")] = None,
    evidence: Annotated[int, Query(ge=0, le=10)] = 0,
    explain: bool = False,
    filters: Annotated[str | None, Query(description="The filters as a JSON object.")] = None,
) -> Response:
    """Return the articles that answer a question; the question is part of the address here."""
    given: dict[str, Any] = {"question": q, "offset": offset, "evidence": evidence, "explain": explain}
    given |= {"limit": limit} if limit is not None else {}
    given |= {"mode": mode} if mode is not None else {}
    try:
        given |= {"filters": msgspec.json.decode(filters)} if filters else {}
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise QueryError(f"filters: not valid JSON: {error}") from error
    asked = read_request(given, SearchRequest)
    request.scope["asked"] = q
    return await _search(_shared(request), asked)


async def _search(shared: Application, asked: SearchRequest) -> Response:
    return await shared.answer(
        lambda: shared.service.search(asked),
        questions=[asked.question],
        filters=asked.filters,
        mode=asked.mode,
        slow=asked.evidence > 0,
    )


@router.post("/api/batch", **describe("Answer several questions", BatchRequest, "answers"))
async def batch(request: Request) -> Response:
    """Return the hits of each question, encoded as one batch, as `search query --queries FILE` prints them."""
    shared = _shared(request)
    asked = await shared.read(request, BatchRequest)
    return await shared.answer(
        lambda: shared.service.batch(asked),
        questions=asked.questions,
        filters=asked.filters,
        mode=asked.mode,
        slow=True,
    )


@router.post("/api/similar", **describe("Find more like these", SimilarRequest, "hits"))
async def similar(request: Request) -> Response:
    """Return the articles most like some articles and texts, as `search similar --format json` prints them."""
    shared = _shared(request)
    asked = await shared.read(request, SimilarRequest)
    return await shared.answer(lambda: shared.service.similar(asked), slow=bool(asked.texts))


@router.post("/api/facets", **describe("Count results by what they are", FacetsRequest, "facets"))
async def facets(request: Request) -> Response:
    """Count the first results of a search, or the articles most like some, as `search facets` prints them."""
    shared = _shared(request)
    asked = await shared.read(request, FacetsRequest)
    questions = [asked.question] if asked.question is not None else []
    return await shared.answer(
        lambda: shared.service.facets(asked),
        questions=questions,
        filters=asked.filters,
        mode=asked.mode,
        slow=True,
    )


@router.post("/api/map", **describe("A map of results by meaning", MapRequest, "map"))
async def landscape(request: Request) -> Response:
    """Lay out the first results of a search, or the articles most like some, in the plane, and name their topics."""
    shared = _shared(request)
    asked = await shared.read(request, MapRequest)
    return await shared.answer(
        lambda: shared.service.landscape(asked),
        questions=[asked.question] if asked.question is not None else [],
        filters=asked.filters,
        mode=asked.mode,
        slow=True,
    )


@router.post("/api/export", **describe("Write articles as a file", ExportRequest, "file"))
async def export(request: Request) -> Response:
    """Write articles by PMID, or the results of a question, as RIS, BibTeX, MEDLINE, CSV, JSON lines or Markdown."""
    shared = _shared(request)
    asked = await shared.read(request, ExportRequest)
    answer = await shared.answer(
        lambda: shared.service.export(asked),
        questions=[asked.question] if asked.question is not None else [],
        filters=asked.filters,
        mode=asked.mode,
        slow=True,
        media_type=MEDIA_TYPES[asked.format],
    )
    answer.headers["content-disposition"] = f'attachment; filename="pubmed{FORMATS[asked.format].suffix}"'
    return answer


@router.get("/api/articles/{pmid}", **describe("An article", None, "article", 404))
async def article(request: Request, pmid: Annotated[int, Path(ge=1, le=MAX_PMID)]) -> Response:
    """Return all that is known of an article, as `search show --format json` prints it."""
    shared = _shared(request)

    def work() -> bytes:
        found = shared.service.article(pmid)
        if found is None:
            raise HTTPException(404, f"PMID {pmid} is not in the index")
        return found

    return await shared.answer(work)


@router.get("/api/about", **describe("What the server may do, and its limits", None, "about"))
async def about(request: Request) -> Response:
    """Return the version, whether searches may be kept, the formats of files, and the limits."""
    return Response(_shared(request).service.about(), media_type="application/json")


@router.get("/api/status", **describe("The state of the index", None, "status"))
async def status(request: Request) -> Response:
    """Return what the index holds, as `search status --format json` prints it."""
    shared = _shared(request)
    return await shared.answer(shared.service.status)


# Saved searches ------------------------------------------------------------------------------------------------------


@router.get("/api/saved", **describe("The saved searches", None, "saved"))
async def saved(request: Request) -> Response:
    """Return the saved searches with their runs, as `search saved --format json` prints them."""
    shared = _shared(request)
    return await shared.answer(shared.service.saved)


@router.get("/api/saved/{name}", **describe("A saved search", None, "saved", 404))
async def saved_one(request: Request, name: Name) -> Response:
    """Return a saved search with its runs, as `search saved NAME --format json` prints it."""
    shared = _shared(request)
    return await shared.answer(_named(lambda: shared.service.saved(name)))


@router.get("/api/saved/{name}/methods", **describe("A saved search for a methods section", None, "text", 404))
async def saved_methods(request: Request, name: Name) -> Response:
    """Return what a methods section says of a saved search, as `search saved NAME` prints it."""
    shared = _shared(request)
    return await shared.answer(_named(lambda: shared.service.methods(name)), media_type="text/plain")


@router.put("/api/saved/{name}", **describe("Keep a search", SavedRequest, "hits", 401, 403))
async def save(request: Request, name: Name) -> Response:
    """Run a search and keep it under a name. Needs a server that may write, and a token."""
    shared = _shared(request)
    _check_writer(request)
    asked = await shared.read(request, SavedRequest)
    return await shared.answer(
        lambda: shared.service.save(name, asked),
        questions=[asked.question],
        filters=asked.filters,
        mode=asked.mode,
        slow=True,
    )


@router.post("/api/saved/{name}/new", **describe("What is new for a saved search", None, "hits", 401, 403, 404))
async def new(request: Request, name: Name) -> Response:
    """Run a saved search over what was added since it last ran, and note the run. Needs a token, as it writes."""
    shared = _shared(request)
    _check_writer(request)
    return await shared.answer(_named(lambda: shared.service.new(name)), slow=True)


def _check_writer(request: Request) -> None:
    settings = _shared(request).settings
    if not settings.write:
        raise HTTPException(403, "this server only reads; `serve: write: true` in its configuration changes that")
    if token_refusal(request.headers, settings) is not None:
        message = "writing needs a token: send it as `Authorization: Bearer TOKEN`"
        raise HTTPException(401, message, {"www-authenticate": "Bearer"})


def _named(work: Callable[[], bytes]) -> Callable[[], bytes]:
    def checked() -> bytes:
        try:
            return work()
        except QueryError as error:
            if str(error).startswith("there is no saved search"):
                raise HTTPException(404, str(error)) from error
            raise

    return checked


# The server itself ---------------------------------------------------------------------------------------------------


@router.get("/health", **describe("Whether the server can answer", None, "health"))
async def health(request: Request) -> Response:
    """Return 200 if the index can be read, however many are asking."""
    shared = _shared(request)
    return Response(await shared.run(shared.service.health), media_type="application/json")


@router.get("/metrics", **describe("Numbers for Prometheus", None, "text"))
async def metrics(request: Request) -> Response:
    """Return counts and durations of requests, and the state of the index, in Prometheus's text format."""
    shared = _shared(request)
    gauges = await shared.run(shared.service.gauges)
    text = shared.metrics.text(gauges, shared.batcher.batches, shared.service.encoder.texts_encoded)
    return Response(text, media_type="text/plain; version=0.0.4")
