"""The ASGI application: its routes, its page, its errors, and the guard in front of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from search import __version__
from search.web.application import Application
from search.web.failures import add_failures
from search.web.guard import Guard
from search.web.openapi import openapi
from search.web.routes import router
from search.web.service import Service

__all__ = ["make_app"]

PAGE = Path(__file__).parent / "page"


def make_app(service: Service) -> ASGIApp:
    """Return the ASGI application that answers for a service, and closes it when the server stops."""
    shared = Application(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        shared.close()

    # FastAPI's documentation pages load scripts from other servers, so they are switched off.
    app = FastAPI(
        title="PubMed semantic search",
        version=__version__,
        description="Find articles of the medical literature by what they mean.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.shared = shared
    app.openapi = lambda: openapi(app, router)  # type: ignore[method-assign]
    app.include_router(router)

    @app.get("/article/{pmid}", include_in_schema=False)
    async def article_page(pmid: str) -> FileResponse:
        return FileResponse(PAGE / "article.html")

    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    add_failures(app)
    guarded = Guard(app, shared.settings, shared.metrics)
    if not shared.settings.origins:
        return guarded
    # Outside the guard: a page of an allowed origin reads its refusals too.
    return CORSMiddleware(
        guarded,
        allow_origins=shared.settings.origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type"],
        expose_headers=["warning"],
    )
