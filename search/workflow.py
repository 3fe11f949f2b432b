"""What txtai calls: the pipelines that config.yml names in its workflows.

>>> from txtai.app import Application
>>> application = Application("config.yml")
>>> results = list(application.workflow("search", ["does aspirin lower the risk of bowel cancer?"]))
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from search.api import Index
from search.config import Config, config_from_dict
from search.errors import IndexFolderError, QueryError
from search.query.filters import Filters, filters_from_dict
from search.query.records import hit_record
from search.query.search import Mode

__all__ = ["Ingest", "Search", "Similar"]


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `search`: a question and how it is to be answered, as in `Index.search`."""

    query: str
    limit: int
    mode: Mode
    filters: Filters = Filters()
    evidence: int = 0
    fold: bool = True


class SimilarRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `similar`: what is to be found more of, as in `Index.similar`."""

    pmids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    unlike: tuple[int, ...] = ()
    limit: int
    filters: Filters = Filters()


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

        An element is a question, or a mapping of SearchRequest's fields, `filters` as in `Filters`. Raises QueryError
        for anything else.
        """
        requests = [self._request(element) for element in elements]
        answers: list[list[dict[str, Any]]] = [[] for _ in requests]
        # Questions that differ in nothing else are encoded and searched as one batch.
        batches: dict[SearchRequest, list[int]] = {}
        for place, request in enumerate(requests):
            batches.setdefault(msgspec.structs.replace(request, query=""), []).append(place)
        for options, places in batches.items():
            found = self.index().search(
                [requests[place].query for place in places],
                options.limit,
                mode=options.mode,
                filters=options.filters,
                evidence=options.evidence,
                fold=options.fold,
            )
            for place, hits in zip(places, found, strict=True):
                answers[place] = [hit_record(hit) for hit in hits]
        return answers

    def _request(self, element: str | dict[str, Any]) -> SearchRequest:
        given = {"query": element} if isinstance(element, str) else element
        return _read(given, SearchRequest, {"limit": self.config.results, "mode": self.config.mode}, "a question")


class Similar(_Pipeline):
    """PMIDs in, the articles most like each out."""

    def __call__(self, elements: Sequence[int | str | dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return the articles most like each element, as plain records.

        An element is a PMID, or a mapping of SimilarRequest's fields. Raises QueryError for anything else.
        """
        answers = []
        for element in elements:
            given = {"pmids": [element]} if isinstance(element, int | str) else element
            request = _read(given, SimilarRequest, {"limit": self.config.results}, "a PMID")
            hits = self.index().similar(
                request.pmids, request.limit, unlike=request.unlike, texts=request.texts, filters=request.filters
            )
            answers.append([hit_record(hit) for hit in hits])
        return answers


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


_Request = TypeVar("_Request", SearchRequest, SimilarRequest)


def _read(given: Any, kind: type[_Request], defaults: dict[str, Any], short: str) -> _Request:
    """Read an element; what it does not say is as in the configuration."""
    if not isinstance(given, dict):
        raise QueryError(f"an element is {short}, or a mapping of {', '.join(kind.__struct_fields__)}")
    filters = {"filters": filters_from_dict(given["filters"])} if "filters" in given else {}
    try:
        return msgspec.convert({**defaults, **given, **filters}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise QueryError(f"an element is {short}, or a mapping with options: {error}") from error
