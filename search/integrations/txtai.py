"""What txtai calls: the pipelines that config.yml names in its workflows.

>>> from txtai.app import Application
>>> application = Application("config.yml")
>>> results = list(application.workflow("search", ["does aspirin lower the risk of bowel cancer?"]))
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from search.api import Index
from search.article import Article
from search.config import Config, config_from_dict
from search.errors import ExportError, QueryError
from search.presentation.hit import hit_record
from search.pubmed.subset import Part
from search.retrieval.hit import Hit
from search.retrieval.request import ContextRequest, ExportRequest, SearchRequest, SimilarRequest, read_request

__all__ = ["Context", "Export", "Ingest", "Search", "Similar", "Sync"]


class SyncRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element of the workflow `sync`: a folder of NLM's files (none: they are downloaded), and the part to keep."""

    folder: str | None = None
    part: Part | None = None
    change_part: bool = False
    accept_removals: bool = False
    keep: bool = False


class ExportToFile(ExportRequest, frozen=True):
    """An element of the workflow `export`: what to export, and the file to write, if there is one."""

    output: str | None = None


_Request = TypeVar("_Request", bound=msgspec.Struct)


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

    def _read(
        self, element: Any, kind: type[_Request], short: str, defaults: Mapping[str, Any] | None = None
    ) -> _Request:
        """Read an element: a mapping of a request's fields, or the value of its field `short` alone."""
        if not isinstance(element, Mapping):
            element = {short: [element] if short == "pmids" else element}
        given = {("question" if key == "query" else key): value for key, value in element.items()}
        try:
            return read_request({**(defaults or {}), **given}, kind, strict=False)
        except QueryError as error:
            name = {"pmids": "PMID", "question": "question"}.get(short, short)
            raise QueryError(f"an element is a {name}, or a mapping with options: {error}") from error

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

        An element is a question, or a mapping of SearchRequest's fields, with the question as `query`. Raises
        QueryError for anything else.
        """
        requests = [self._read(element, SearchRequest, "question") for element in elements]
        answers: list[list[dict[str, Any]]] = [[] for _ in requests]
        # Questions that differ in nothing else are encoded and searched as one batch.
        batches: dict[SearchRequest, list[int]] = {}
        for position, request in enumerate(requests):
            batches.setdefault(msgspec.structs.replace(request, question=""), []).append(position)
        for options, positions in batches.items():
            results = self.index().engine.search([requests[position].question for position in positions], options)
            for position, hits in zip(positions, results, strict=True):
                question = requests[position].question if options.explain else None
                answers[position] = _plain(hits, question)
        return answers


class Similar(_Pipeline):
    """PMIDs in, the articles most like each out."""

    def __call__(self, elements: Sequence[int | str | dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Return the articles most like each element, as plain records.

        An element is a PMID, or a mapping of SimilarRequest's fields. Raises QueryError for anything else.
        """
        answers = []
        for element in elements:
            request = self._read(element, SimilarRequest, "pmids")
            limit = request.offset + (request.limit or self.config.results)
            hits = self.index().similar(
                request.pmids, limit, unlike=request.unlike, texts=request.texts, filters=request.filters
            )
            answers.append(_plain(hits[request.offset :]))
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

        An element is a question, or a mapping of ContextRequest's fields, with the question as `query`. Raises
        QueryError for anything else.
        """
        answers = []
        for element in elements:
            request = self._read(element, ContextRequest, "question", self.defaults)
            context = self.index().context(
                request.question,
                request.tokens,
                limit=request.limit,
                sentences=request.sentences,
                mode=request.mode,
                filters=request.filters,
                retracted=request.retracted,
            )
            answers.append(msgspec.to_builtins(context))
        return answers


class Export(_Pipeline):
    """PMIDs or questions in, files or their content out."""

    def __call__(self, elements: Sequence[int | str | dict[str, Any]]) -> list[str]:
        """Return the articles of each element in a format of `search export`; with `output`, the path of the file.

        An element is a PMID, or a mapping of ExportRequest's fields, with a question as `query`, and `output`. Raises
        QueryError for anything else, ExportError for a file that cannot be written.
        """
        defaults = {"limit": self.config.results}
        return [self._export(self._read(element, ExportToFile, "pmids", defaults)) for element in elements]

    def _export(self, request: ExportToFile) -> str:
        from search.formats.export import write

        articles = self._articles(request)
        if request.output is None:
            stream = io.StringIO()
            write(articles, stream, request.format)
            return stream.getvalue()
        try:
            with Path(request.output).open("w", encoding="utf-8", newline="") as file:
                write(articles, file, request.format)
        except OSError as error:
            raise ExportError(f"{request.output}: {error.strerror}") from error
        return request.output

    def _articles(self, request: ExportToFile) -> list[Article]:
        if (request.question is None) == (not request.pmids):
            raise QueryError("an element is a PMID, or a mapping with either pmids or a query")
        if request.question is not None:
            hits = self.index().search(request.question, request.limit, mode=request.mode, filters=request.filters)
            return [hit.article for hit in hits]
        return self.index().get_many(request.pmids)


class Sync(_Pipeline):
    """Folders of NLM's files in, or nothing to download them; reports out."""

    def __call__(self, elements: Sequence[str | dict[str, Any]]) -> list[dict[str, Any]]:
        """Bring the index to NLM's state and return what was done; the index is made if it is not there.

        An element is a folder, an empty text to download from the address in the configuration, or a mapping of
        SyncRequest's fields. Raises QueryError for anything else.
        """
        reports = []
        for element in elements:
            request = self._read(element, SyncRequest, "folder")
            report = self.open_or_create().sync(
                request.folder or None,
                part=request.part,
                change_part=request.change_part,
                accept_removals=request.accept_removals,
                keep=request.keep,
            )
            reports.append(msgspec.to_builtins(report))
        return reports


class Ingest(_Pipeline):
    """Paths in, reports out."""

    def __call__(self, elements: Sequence[str]) -> list[dict[str, Any]]:
        """Add the records of each file or folder; the index is made if it is not there."""
        return [{"path": element, **msgspec.to_builtins(self.open_or_create().add(element))} for element in elements]


def _plain(hits: Sequence[Hit], explain: str | None = None) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(hit_record(hit, explain)) for hit in hits]
