"""An index as a shard of a txtai cluster, and as what txtai's own clients of `embeddings` ask.

    CONFIG=config.yml EXTENSIONS=search.integrations.txtai_shard.Shard uvicorn txtai.api:app

adds the routes by which txtai asks an index (/search, /batchsearch, /count) to txtai's API; its token holds for them.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from txtai.api import Extension

from search.api import Index
from search.config import load_config
from search.errors import SearchError
from search.presentation.hit_record import text_record

__all__ = ["Shard"]


class BatchQuery(BaseModel):
    """What a cluster sends to /batchsearch; of weights, indexes and parameters there are none here."""

    queries: list[str]
    limit: int | None = None
    weights: float | None = None
    index: str | None = None
    parameters: list[dict[str, Any]] | None = None
    graph: bool | None = False


class Shard(Extension):  # type: ignore[misc]
    """A txtai API extension: routes that answer from the index that the configuration names."""

    def __init__(self) -> None:
        self.config = load_config(os.environ.get("CONFIG"))
        self._index: Index | None = None
        self._lock = threading.Lock()

    def __call__(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route("/search", self.search, methods=["GET"])
        app.add_api_route("/batchsearch", self.batchsearch, methods=["POST"])
        app.add_api_route("/count", self.count, methods=["GET"])
        # txtai's own routes, /workflow above all, would answer a wrong element with "Internal Server Error". The
        # application has put its handlers in order before it loads extensions: have it do so again.
        app.add_exception_handler(SearchError, _bad_request)
        app.middleware_stack = None

    def search(self, query: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return `id`, `text` and `score` of the articles nearest to a question."""
        return self._answers([query], limit)[0]

    def batchsearch(self, query: BatchQuery) -> list[list[dict[str, Any]]]:
        """Return the same for each of several questions."""
        return self._answers(query.queries, query.limit)

    def count(self) -> int:
        """Return the number of articles."""
        return self.index().count()

    def index(self) -> Index:
        """Return the index, opened when it is first needed."""
        with self._lock:
            if self._index is None:
                self._index = Index.open(self.config.index, config=self.config)
            return self._index

    def _answers(self, queries: list[str], limit: int | None) -> list[list[dict[str, Any]]]:
        if any(query.lstrip().lower().startswith("select ") for query in queries):
            raise HTTPException(400, "this shard answers questions, not SQL")
        try:
            # A cluster puts the answers of its shards in one order by score: only cosines can be compared.
            answers = self.index().search(queries, limit or self.config.results, mode="semantic")
        except SearchError as error:
            raise HTTPException(400, str(error)) from error
        return [[_short(text_record(hit)) for hit in hits] for hits in answers]


async def _bad_request(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 400)


def _short(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("id", "text", "score")}
