"""What txtai calls: the pipelines that config.yml names in its workflows.

>>> from txtai.app import Application
>>> application = Application("config.yml")
>>> results = list(application.workflow("search", ["does aspirin lower the risk of bowel cancer?"]))
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from search.api import Index
from search.config import Config, config_from_dict
from search.errors import IndexFolderError, QueryError
from search.query.records import hit_record
from search.query.search import Mode

__all__ = ["Ingest", "Search", "Similar"]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question as an element of the workflow `search`."""

    query: str
    limit: int
    mode: Mode


class _Pipeline:
    """A txtai pipeline that works on the index of its application's configuration."""

    def __init__(self, application: Any = None, **overrides: Any) -> None:
        """Read the configuration; `application` is txtai's, set by `application: true` in the file.

        Any key of config.yml may be given beside it to override the file's, e.g. another `index`.
        """
        base = dict(application.config) if application is not None else {}
        self.config: Config = config_from_dict({**base, **overrides}, "the txtai configuration")
        self._index: Index | None = None
        self._lock = threading.Lock()

    def index(self) -> Index:
        """Return the index, opened when it is first needed."""
        with self._lock:
            if self._index is None:
                self._index = Index.open(self.config.index, config=self.config)
            return self._index

    def close(self) -> None:
        """Close the index."""
        with self._lock:
            if self._index is not None:
                self._index.close()
                self._index = None


class Search(_Pipeline):
    """Questions in, hits out."""

    def __call__(self, elements: Sequence[str | dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return the hits of each question, as plain records.

        An element is a question, or a dict with `query` and, optionally, `limit` and `mode`. Raises QueryError for
        anything else.
        """
        requests = [_request(element, self.config) for element in elements]
        answers: list[list[dict[str, Any]]] = [[] for _ in requests]
        # Questions that differ in nothing else are encoded and searched as one batch.
        for options in sorted({(request.limit, request.mode) for request in requests}):
            places = [place for place, request in enumerate(requests) if (request.limit, request.mode) == options]
            found = self.index().search([requests[place].query for place in places], options[0], mode=options[1])
            for place, hits in zip(places, found, strict=True):
                answers[place] = [hit_record(hit) for hit in hits]
        return answers


class Similar(_Pipeline):
    """PMIDs in, the articles most like each out."""

    def __call__(self, elements: Sequence[int | str]) -> list[list[dict[str, Any]]]:
        """Return the articles most like each PMID, as plain records."""
        return [
            [hit_record(hit) for hit in self.index().similar(_pmid(element), self.config.results)]
            for element in elements
        ]


class Ingest(_Pipeline):
    """Paths in, reports out."""

    def __call__(self, elements: Sequence[str]) -> list[dict[str, Any]]:
        """Add the records of each file or folder; the index is made if it is not there."""
        return [{"path": element, **msgspec.to_builtins(self._open_or_create().add(element))} for element in elements]

    def _open_or_create(self) -> Index:
        try:
            return self.index()
        except IndexFolderError as error:
            if "is not there" not in str(error):
                raise
        Index.create(self.config.index, config=self.config).close()
        return self.index()


def _request(element: str | dict[str, Any], config: Config) -> SearchRequest:
    """Read an element; what it does not say is as in the configuration."""
    given = {"query": element} if isinstance(element, str) else element
    try:
        return msgspec.convert({"limit": config.results, "mode": config.mode, **given}, SearchRequest)
    except (msgspec.ValidationError, TypeError) as error:
        raise QueryError(f"a search element is a question, or a dict with `query` and options: {error}") from error


def _pmid(element: int | str) -> int:
    try:
        return int(element)
    except ValueError:
        raise QueryError(f"{element!r} is no PMID") from None
