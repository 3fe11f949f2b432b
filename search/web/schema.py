"""What the OpenAPI document says of requests and answers: the schemas of the types themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from search.api import Status
from search.article import Article
from search.retrieval.facets import Facets
from search.retrieval.landscape import Landscape
from search.retrieval.saved_searches import SavedSearch
from search.web import requests
from search.web.failures import ErrorAnswer

__all__ = ["describe", "openapi"]


class Evidence(msgspec.Struct):
    """A sentence of the abstract near to the question; offsets count in the sections joined by spaces."""

    text: str
    start: int
    end: int
    score: float


class Notice(msgspec.Struct):
    """A notice that a reader must know of: a retraction, a correction."""

    kind: str
    pmid: int | None
    citation: str | None


class FoldedDuplicate(msgspec.Struct):
    """An article that was folded into a hit, and why."""

    pmid: int
    reason: str


class Explanation(msgspec.Struct):
    """Why a hit is where it is."""

    cosine: float | None
    bm25: float | None
    semantic_rank: int | None
    lexical_rank: int | None
    matched_words: list[str]
    fused: float | None


class HitRecord(msgspec.Struct, kw_only=True):
    """An article that was found."""

    rank: int
    score: float
    pmid: int
    title: str
    abstract: str
    year: int | None
    date: str | None
    journal: str | None
    authors: list[str]
    publication_types: list[str]
    mesh: list[str]
    languages: list[str]
    doi: str | None
    pmcid: str | None
    url: str
    retracted: bool
    notices: list[Notice]
    sample: bool
    evidence: list[Evidence] | None = None
    duplicates: list[FoldedDuplicate] | None = None
    explain: Explanation | None = None


class AnsweredQuestion(msgspec.Struct):
    """A question of a batch and its hits."""

    question: str
    hits: list[HitRecord]


class Health(msgspec.Struct):
    """Whether the server can answer."""

    status: str


class Limits(msgspec.Struct):
    """The most results of a request, requests at a time, seconds and bytes of a request."""

    results: int
    requests: int
    seconds: float
    body: int


class About(msgspec.Struct):
    """What a client must know of the server."""

    version: str
    mode: str
    write: bool
    token: bool
    formats: list[str]
    limits: Limits


_ANSWERS: dict[str, Any] = {
    "about": About,
    "answers": list[AnsweredQuestion],
    "article": Article,
    "facets": Facets,
    "health": Health,
    "map": Landscape,
    "hits": list[HitRecord],
    "saved": list[SavedSearch],
    "status": Status,
}

_REQUESTS: list[Any] = [getattr(requests, name) for name in requests.__all__ if name.endswith("Request")]

_REF = "#/components/schemas/{name}"


def describe(summary: str, body: type | None, answer: str, *statuses: int) -> dict[str, Any]:
    """Return what a route's decorator is told: its summary, body, answer, and the errors beside the usual ones."""
    errors = {400, 401, 403, 421, 503, 504, *statuses} | ({413, 415} if body else set())
    responses: dict[int, dict[str, Any]] = {200: {"description": "The answer.", "content": _content(answer)}}
    for status in sorted(errors):
        error = {"application/json": {"schema": {"$ref": _REF.format(name="ErrorAnswer")}}}
        responses[status] = {"description": HTTPStatus(status).phrase, "content": error}
    extra: dict[str, Any] = {}
    if body is not None:
        reference = {"$ref": _REF.format(name=body.__name__)}
        extra = {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}
    return {"summary": summary, "response_class": Response, "responses": responses, "openapi_extra": extra}


def _content(answer: str) -> dict[str, Any]:
    if answer == "text":
        return {"text/plain": {"schema": {"type": "string"}}}
    if answer == "file":
        return {kind: {"schema": {"type": "string"}} for kind in requests.MEDIA_TYPES.values()}
    (schema,), _ = msgspec.json.schema_components([_ANSWERS[answer]], ref_template=_REF)
    return {"application/json": {"schema": schema}}


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, components = msgspec.json.schema_components([*_REQUESTS, *_ANSWERS.values(), ErrorAnswer], ref_template=_REF)
        # A MeSH term that is given may be just its name.
        mesh = components["Filters"]["properties"]["mesh"]
        mesh["items"] = {"anyOf": [mesh["items"], {"type": "string"}]}
        document["components"] = {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        document["security"] = [{}, {"token": []}]
        for methods in document["paths"].values():
            for operation in methods.values():
                # FastAPI's own 422: a value it refuses is answered with 400, in the one shape of errors.
                operation["responses"].pop("422", None)
        app.openapi_schema = document
    return app.openapi_schema
