"""The one shape of every error: `{"error": {"status": 400, "code": "bad_request", "message": "..."}}`."""

from __future__ import annotations

from collections.abc import Mapping

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


#: What a program tells errors apart by. Python's own names for some of them change from version to version.
_CODES = {
    400: "bad_request",
    401: "token_needed",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "index_locked",
    413: "too_large",
    415: "not_json",
    421: "wrong_host",
    500: "internal_error",
    503: "unavailable",
    504: "timed_out",
}


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
    code = _CODES.get(status, f"status_{status}")
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
