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

__all__ = ["Ingest", "Search", "Similar"]


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

        An element is a question, or a dict with `query` and, optionally, `limit`. Raises QueryError for anything else.
        """
        requests = [_request(element, self.config.results) for element in elements]
        found = self.index().search([question for question, _ in requests], max(limit for _, limit in requests))
        return [[hit_record(hit) for hit in hits[:limit]] for hits, (_, limit) in zip(found, requests, strict=True)]


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


def _request(element: str | dict[str, Any], limit: int) -> tuple[str, int]:
    if isinstance(element, str):
        return element, limit
    if not isinstance(element, dict) or not isinstance(element.get("query"), str):
        raise QueryError("a search element is a question, or a dict with `query` and optionally `limit`")
    unknown = sorted(set(element) - {"query", "limit"})
    if unknown:
        raise QueryError(f"a search element has no `{unknown[0]}`")
    return element["query"], int(element.get("limit", limit))


def _pmid(element: int | str) -> int:
    try:
        return int(element)
    except ValueError:
        raise QueryError(f"{element!r} is no PMID") from None
