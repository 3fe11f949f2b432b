"""The application: which address is answered by what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from search import __version__
from search.errors import QueryError, SearchError
from search.retrieval.filters import Filters
from search.retrieval.request import Mode
from search.web.batching import QuestionBatcher
from search.web.failures import failure, failure_of
from search.web.guard import Guard
from search.web.metrics import Metrics
from search.web.requests import read_request
from search.web.service import Service

__all__ = ["Application", "make_app"]

PAGE = Path(__file__).parent / "page"

#: Threads for what is quick, and for what is not: whoever wants a file or evidence does not hold up the others.
_QUICK, _SLOW = 2, 2

_Kind = TypeVar("_Kind", bound=Any)
_Result = TypeVar("_Result")


class Application:
    """What the routes share: the service, the threads that it runs in, and the limits."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.settings = service.config.serve
        self.metrics = Metrics()
        self._encoding = ThreadPoolExecutor(1, "encode")
        self._quick = ThreadPoolExecutor(_QUICK, "quick")
        self._slow = ThreadPoolExecutor(_SLOW, "slow")
        self.batcher = QuestionBatcher(service.encoder, self._encoding)
        self._busy = 0

    def close(self) -> None:
        """Let what is running end, and close the index."""
        for executor in (self._quick, self._slow, self._encoding):
            executor.shutdown(cancel_futures=True)
        self.service.close()

    async def read(self, request: Request, kind: type[_Kind]) -> _Kind:
        """Read the body of a request as JSON. Raises QueryError, or HTTPException if it is too large or no JSON."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "send JSON, with the header `Content-Type: application/json`")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.settings.body:
                raise HTTPException(413, f"the request is too large: at most {self.settings.body:,} bytes")
        try:
            asked = read_request(msgspec.json.decode(bytes(body)), kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise QueryError(f"the body of the request is not valid JSON: {error}") from error
        request.scope["asked"] = getattr(asked, "question", None) or getattr(asked, "questions", None)
        return asked

    async def answer(
        self,
        work: Callable[[], bytes],
        *,
        questions: Sequence[str] = (),
        filters: Filters | None = None,
        mode: Mode | None = None,
        slow: bool = False,
        media_type: str = "application/json",
    ) -> Response:
        """Encode the questions together with those of other requests, do the work in a thread, and answer.

        Raises HTTPException: 503 where too many are waiting, 504 after the time that a request may take.
        """
        if self._busy >= self.settings.requests:
            raise HTTPException(503, "too many are asking at once: try again", {"retry-after": "1"})
        self._busy += 1
        try:
            texts = self.service.to_encode(questions, filters or Filters(), mode)
            body = await asyncio.wait_for(self._prepare_and_run(texts, work, slow), self.settings.seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10 has two of that name
            raise HTTPException(504, f"the answer took longer than {self.settings.seconds:g} s") from None
        finally:
            self._busy -= 1
        return Response(body, media_type=media_type)

    async def _prepare_and_run(self, texts: Sequence[str], work: Callable[[], bytes], slow: bool) -> bytes:
        await self.batcher.prepare(texts)
        return await self.run(work, slow=slow)

    async def run(self, work: Callable[[], _Result], *, slow: bool = False) -> _Result:
        """Do some work in a thread."""
        executor = self._slow if slow else self._quick
        return await asyncio.get_running_loop().run_in_executor(executor, work)


def make_app(service: Service) -> ASGIApp:
    """Return the ASGI application that answers for a service, and closes it when the server stops."""
    from search.web.routes import router
    from search.web.schema import openapi

    shared = Application(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        shared.close()

    # The pages that show the OpenAPI document load their scripts from elsewhere: there are none here.
    app = FastAPI(
        title="PubMed semantic search",
        version=__version__,
        description="Find articles of the medical literature by what they mean.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.shared = shared
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    app.include_router(router)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    _add_failures(app)
    if shared.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=shared.settings.origins,
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=["authorization", "content-type"],
        )
    return Guard(app, shared.settings, shared.metrics)


def _add_failures(app: FastAPI) -> None:
    @app.exception_handler(SearchError)
    async def refused(_: Request, error: SearchError) -> Response:
        return failure_of(error)

    @app.exception_handler(HTTPException)
    async def known(_: Request, error: HTTPException) -> Response:
        return failure(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return failure(400, f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return failure(500, f"something went wrong here ({type(error).__name__}); the server's log says what")
