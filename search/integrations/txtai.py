"""What txtai calls: the pipelines that config.yml names in its workflows.

>>> from txtai.app import Application
>>> application = Application("config.yml")
>>> results = list(application.workflow("search", ["does aspirin lower the risk of bowel cancer?"]))
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from search.api import Index
from search.article import Article
from search.config import Config, config_from_dict
from search.errors import ExportError, QueryError
from search.presentation.hit_record import hit_record
from search.pubmed.subset import Part
from search.retrieval.context import Retracted
from search.retrieval.filters import Filters, filters_from_dict
from search.retrieval.request import Mode

__all__ = ["Context", "Export", "Ingest", "Search", "Similar", "Sync"]


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


class ContextRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `context`: a question and how much may be said, as in `Index.context`."""

    query: str
    tokens: int = 1500
    limit: int = 20
    sentences: int = 3
    mode: Mode
    filters: Filters = Filters()
    retracted: Retracted = "mark"


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `export`: PMIDs or a question, the format, and the file to write, if there is one."""

    format: str = "ris"
    pmids: tuple[int, ...] = ()
    query: str | None = None
    limit: int
    mode: Mode
    filters: Filters = Filters()
    output: str | None = None


class SyncRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `sync`: a folder of NLM's files (none: they are downloaded), and the part to keep."""

    folder: str | None = None
    part: Part | None = None
    change_part: bool = False
    accept_removals: bool = False
    keep: bool = False


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

    def open_or_create(self) -> Index:
        """Return the index, made if it is not there."""
        if not Index.exists(self.config.index, config=self.config):
            Index.create(self.config.index, config=self.config).close()
        return self.index()

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


class Context(_Pipeline):
    """Questions in, what a language model should answer them from out.

    `tokens`, `sentences`, `limit` and `retracted` hold for every question that does not say otherwise.
    """

    def __init__(self, application: Any = None, **options: Any) -> None:
        """Read the options and the configuration; see `_Pipeline`."""
        own = ("tokens", "sentences", "limit", "retracted")
        self.defaults: dict[str, Any] = {str(key): options.pop(key) for key in own if key in options}
        super().__init__(application, **options)

    def __call__(self, elements: Sequence[str | dict[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each question, passages with their sources: `question`, `text`, `sources`, `tokens`.

        An element is a question, or a mapping of ContextRequest's fields. Raises QueryError for anything else.
        """
        answers = []
        for element in elements:
            given = {"query": element} if isinstance(element, str) else element
            asked = _read(given, ContextRequest, {"mode": self.config.mode, **self.defaults}, "a question")
            found = self.index().context(
                asked.query,
                asked.tokens,
                limit=asked.limit,
                sentences=asked.sentences,
                mode=asked.mode,
                filters=asked.filters,
                retracted=asked.retracted,
            )
            answers.append(msgspec.to_builtins(found))
        return answers


class Export(_Pipeline):
    """PMIDs or questions in, files or their content out."""

    def __call__(self, elements: Sequence[int | str | dict[str, Any]]) -> list[str]:
        """Return the articles of each element in a format of `search export`; with `output`, the path of the file.

        An element is a PMID, or a mapping of ExportRequest's fields. Raises QueryError for anything else, ExportError
        for a format there is not or a file that cannot be written.
        """
        defaults = {"limit": self.config.results, "mode": self.config.mode}
        answers = []
        for element in elements:
            given = {"pmids": [element]} if isinstance(element, int | str) else element
            answers.append(self._export(_read(given, ExportRequest, defaults, "a PMID")))
        return answers

    def _export(self, asked: ExportRequest) -> str:
        from search.formats.export import write

        articles = self._articles(asked)
        if asked.output is None:
            stream = io.StringIO()
            write(articles, stream, asked.format)
            return stream.getvalue()
        try:
            with Path(asked.output).open("w", encoding="utf-8", newline="") as file:
                write(articles, file, asked.format)
        except OSError as error:
            raise ExportError(f"{asked.output}: {error.strerror}") from error
        return asked.output

    def _articles(self, asked: ExportRequest) -> list[Article]:
        if (asked.query is None) == (not asked.pmids):
            raise QueryError("an element is a PMID, or a mapping with either pmids or a query")
        if asked.query is not None:
            hits = self.index().search(asked.query, asked.limit, mode=asked.mode, filters=asked.filters)
            return [hit.article for hit in hits]
        return self.index().get_many(asked.pmids)


class Sync(_Pipeline):
    """Folders of NLM's files in, or nothing to download them; reports out."""

    def __call__(self, elements: Sequence[str | dict[str, Any]]) -> list[dict[str, Any]]:
        """Bring the index to NLM's state and return what was done; the index is made if it is not there.

        An element is a folder, an empty text to download from the address in the configuration, or a mapping of
        SyncRequest's fields. Raises QueryError for anything else.
        """
        reports = []
        for element in elements:
            given = {"folder": element or None} if isinstance(element, str) else element
            asked = _read(given, SyncRequest, {}, "a folder")
            report = self.open_or_create().sync(
                asked.folder,
                part=asked.part,
                change_part=asked.change_part,
                accept_removals=asked.accept_removals,
                keep=asked.keep,
            )
            reports.append(msgspec.to_builtins(report))
        return reports


class Ingest(_Pipeline):
    """Paths in, reports out."""

    def __call__(self, elements: Sequence[str]) -> list[dict[str, Any]]:
        """Add the records of each file or folder; the index is made if it is not there."""
        return [{"path": element, **msgspec.to_builtins(self.open_or_create().add(element))} for element in elements]


_Request = TypeVar("_Request", SearchRequest, SimilarRequest, ContextRequest, ExportRequest, SyncRequest)


def _read(given: Any, kind: type[_Request], defaults: dict[str, Any], short: str) -> _Request:
    """Read an element; what it does not say is as in the configuration."""
    if not isinstance(given, dict):
        raise QueryError(f"an element is {short}, or a mapping of {', '.join(kind.__struct_fields__)}")
    filters = {"filters": filters_from_dict(given["filters"])} if "filters" in given else {}
    try:
        return msgspec.convert({**defaults, **given, **filters}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise QueryError(f"an element is {short}, or a mapping with options: {error}") from error
