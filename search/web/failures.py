"""The one shape of every error: `{"error": {"status": 400, "code": "bad_request", "message": "..."}}`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from search.errors import (
    IndexFolderError,
    IndexLockedError,
    ModelError,
    QueryError,
    SearchError,
    StoreError,
)

__all__ = ["ErrorAnswer", "failure", "failure_of"]


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong: the HTTP status, its name, and a sentence for a person."""

    status: int
    code: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: ErrorDetail


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that says what went wrong."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    body = msgspec.json.encode(ErrorAnswer(ErrorDetail(status, code, message))) + b"\n"
    return Response(body, status, dict(headers or {}), "application/json")


def failure_of(error: SearchError) -> Response:
    """Return the answer for an error of this package: 400 what the asker can mend, 5xx what only the server can."""
    if isinstance(error, QueryError):
        return failure(400, str(error))
    if isinstance(error, IndexLockedError):
        return failure(409, str(error), {"retry-after": "5"})
    if isinstance(error, IndexFolderError | ModelError | StoreError):
        return failure(503, str(error), {"retry-after": "5"})
    return failure(500, str(error))
