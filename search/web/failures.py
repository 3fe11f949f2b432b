"""The one shape of every error: `{"error": {"status": 400, "code": "bad_request", "message": "..."}}`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from search.errors import (
    IndexFolderError,
    IndexLockedError,
    ModelError,
    NotFoundError,
    QueryError,
    SearchError,
    SourceError,
    StoreError,
    TimeLimitError,
)

__all__ = ["NOT_JSON", "ErrorAnswer", "add_failures", "error_answer", "failure"]

#: The type of the validation error for a body that was not sent as JSON.
NOT_JSON = "not_json"

#: What a program tells errors apart by. Python's own names for some of them change from version to version.
_CODES = {
    400: "bad_request",
    401: "token_needed",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_too_slow",
    409: "index_locked",
    413: "too_large",
    415: "not_json",
    421: "wrong_host",
    500: "internal_error",
    503: "unavailable",
    504: "timed_out",
}

#: The status of each error of this package, the first kind that fits: 400 what the client can mend, 5xx what only the
#: server can.
_STATUSES: tuple[tuple[type[SearchError], int], ...] = (
    (NotFoundError, 404),
    (QueryError, 400),
    (SourceError, 400),
    (IndexLockedError, 409),
    (IndexFolderError, 503),
    (ModelError, 503),
    (StoreError, 503),
    (TimeLimitError, 504),
)


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
    body = msgspec.json.encode(_answer(status, message)) + b"\n"
    return Response(body, status, dict(headers or {}), "application/json")


def error_answer(error: SearchError) -> ErrorAnswer:
    """Return what is answered for an error of this package."""
    return _answer(_status(error), str(error))


def _answer(status: int, message: str) -> ErrorAnswer:
    return ErrorAnswer(ErrorDetail(status, _CODES.get(status, f"status_{status}"), message))


def _status(error: SearchError) -> int:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def add_failures(app: FastAPI) -> None:
    """Answer every exception in the one shape."""

    @app.exception_handler(SearchError)
    async def refused(_: Request, error: SearchError) -> Response:
        status = _status(error)
        return failure(status, str(error), {"retry-after": "5"} if status in (409, 503) else None)

    @app.exception_handler(HTTPException)
    async def known(_: Request, error: HTTPException) -> Response:
        return failure(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        message = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        if first["type"] == NOT_JSON:
            return failure(415, message)
        if first["type"] == "json_invalid":
            return failure(400, f"the body of the request is not valid JSON: {first['ctx']['error']}")
        where = ".".join(str(part) for part in first["loc"][1:])
        return failure(400, f"{where}: {message}" if where else message)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return failure(500, f"something went wrong here ({type(error).__name__}); the server's log says what")
