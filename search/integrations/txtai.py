"""What txtai calls: the pipelines that config.yml names in its workflows.

>>> from txtai.app import Application
>>> application = Application("config.yml")
>>> results = list(application.workflow("search", ["does aspirin lower the risk of bowel cancer?"]))

Like txtai's own, a pipeline takes one element and gives one answer, or a list and gives a list. The docstrings of
`__call__` have the form that txtai's agents read.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from search.api import Index
from search.article import Article
from search.config import Config, config_from_dict
from search.errors import ExportError, QueryError
from search.presentation.hit_record import text_record
from search.pubmed.subset import Part
from search.retrieval.request import (
    ContextRequest,
    ExportRequest,
    SearchRequest,
    SimilarRequest,
    StrategyRequest,
    read_request,
)
from search.retrieval.strategy import StrategyAnswer

__all__ = ["Context", "Export", "Ingest", "Search", "Similar", "Strategy", "Sync"]


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

    def _answers(self, elements: Any, answers: Callable[[list[Any]], list[Any]]) -> Any:
        """Return the answer to one element, or those to a list of them, as `answers` gives them for a list."""
        if isinstance(elements, (str, int, Mapping)):
            return answers([elements])[0]
        return answers(list(elements))

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
    """Questions in, hits out.

    It is also what txtai's `rag` and application ask where they would ask an index of txtai: `similarity:
    search.workflow.Search`, and `application.search(...)` where the configuration has no index of txtai.
    """

    def __init__(self, application: Any = None, **overrides: Any) -> None:
        """Read the configuration; see `_Pipeline`."""
        super().__init__(application, **overrides)
        if application is not None and getattr(application, "embeddings", self) is None:
            application.embeddings = self

    def __call__(self, elements: Any, limit: int | None = None) -> Any:
        """Find articles of PubMed by the meaning of a question.

        Args:
            elements: A question in plain language, or a list of questions. A question may also be a mapping of options,
                the fields of SearchRequest, with the question as `query`.
            limit: How many articles to return for a question that does not say so itself.

        Returns:
            The articles of each question, the nearest first: mappings with `id` (the PMID), `text` (notices, title and
            abstract), `score`, and the fields of HitRecord.

        Raises QueryError for anything else.
        """
        return self._answers(elements, lambda each: self._search(each, limit))

    def _search(self, elements: Sequence[Any], limit: int | None) -> list[list[dict[str, Any]]]:
        defaults = {} if limit is None else {"limit": limit}
        requests = [self._read(element, SearchRequest, "question", defaults) for element in elements]
        answers: list[list[dict[str, Any]]] = [[] for _ in requests]
        # Questions that differ in nothing else are encoded and searched as one batch.
        batches: dict[SearchRequest, list[int]] = {}
        for position, request in enumerate(requests):
            batches.setdefault(msgspec.structs.replace(request, question=""), []).append(position)
        for options, positions in batches.items():
            results = self.index().engine.search([requests[position].question for position in positions], options)
            for position, hits in zip(positions, results, strict=True):
                question = requests[position].question if options.explain else None
                answers[position] = [text_record(hit, question) for hit in hits]
        return answers

    # What txtai asks of an index ------------------------------------------------------------------------------------

    def search(self, query: str, limit: int | None = None, *options: Any, **named: Any) -> list[dict[str, Any]]:
        """Return the articles of one question; see `batchsearch`."""
        return self.batchsearch([query], limit, *options, **named)[0]

    def batchsearch(
        self,
        queries: Sequence[str],
        limit: int | None = None,
        weights: Any = None,
        index: str | None = None,
        parameters: Any = None,
        graph: bool = False,
    ) -> list[list[dict[str, Any]]]:
        """Return the articles of several questions. Raises QueryError for SQL, weights, subindexes and graphs."""
        if any(str(query).lstrip().lower().startswith("select ") for query in queries):
            raise QueryError(
                "this index answers questions, not SQL; `search export --format txtai` makes one that does"
            )
        for name, value in (("weights", weights), ("an index", index), ("parameters", parameters), ("a graph", graph)):
            if value:
                raise QueryError(f"this index takes a question and a limit; it cannot use {name}")
        return self._search(queries, limit)

    def similarity(self, query: str, data: Sequence[str]) -> list[tuple[int, float]]:
        """Return the row and cosine of each text, the nearest to the query first."""
        return self.index().batchsimilarity([query], data)[0]

    def batchsimilarity(self, queries: Sequence[str], data: Sequence[str]) -> list[list[tuple[int, float]]]:
        """Return the row and cosine of each text for each query; see `Index.batchsimilarity`."""
        return self.index().batchsimilarity(queries, data)

    def count(self) -> int:
        """Return the number of articles."""
        return self.index().count()


class Similar(_Pipeline):
    """PMIDs in, the articles most like each out."""

    def __call__(self, elements: Any, limit: int | None = None) -> Any:
        """Find the articles of PubMed that are most like another.

        Args:
            elements: A PMID, or a list of PMIDs. In place of a PMID, a mapping of SimilarRequest's fields.
            limit: How many articles to return for an element that does not say so itself.

        Returns:
            The articles most like each, as `Search` gives them.

        Raises QueryError for anything else.
        """
        return self._answers(elements, lambda each: self._similar(each, limit or self.config.results))

    def _similar(self, elements: Sequence[Any], count: int) -> list[list[dict[str, Any]]]:
        answers = []
        for element in elements:
            request = self._read(element, SimilarRequest, "pmids")
            limit = request.offset + (request.limit or count)
            hits = self.index().similar(
                request.pmids, limit, unlike=request.unlike, texts=request.texts, filters=request.filters
            )
            answers.append([text_record(hit) for hit in hits[request.offset :]])
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

    def __call__(self, elements: Any, limit: int | None = None) -> Any:
        """Collect the passages of PubMed's abstracts that answer a question, each with its source.

        Args:
            elements: A question in plain language, or a list of questions. A question may also be a mapping of options,
                the fields of ContextRequest, with the question as `query`.
            limit: How many articles to use at most for a question that does not say so itself.

        Returns:
            For each question a mapping with `question`, `text`, `sources`, `tokens`.

        Raises QueryError for anything else.
        """
        defaults = self.defaults if limit is None else {**self.defaults, "limit": limit}
        return self._answers(elements, lambda each: self._contexts(each, defaults))

    def _contexts(self, elements: Sequence[Any], defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
        answers = []
        for element in elements:
            request = self._read(element, ContextRequest, "question", defaults)
            context = self.index().context(
                request.question,
                request.tokens,
                limit=request.limit,
                sentences=request.sentences,
                mode=request.mode,
                filters=request.filters,
                exact=request.exact,
                retracted=request.retracted,
            )
            answers.append(msgspec.to_builtins(context))
        return answers


class Strategy(_Pipeline):
    """Strategies in PubMed's query language in, exact counts and PMIDs out."""

    def __call__(self, elements: Any, limit: int | None = None) -> Any:
        """Run searches in PubMed's query language.

        Args:
            elements: A strategy, numbered lines and all, or a list of strategies. In place of one, a mapping of
                StrategyRequest's fields.
            limit: How many PMIDs to return for a strategy that does not say so itself.

        Returns:
            For each strategy a mapping with `count`, `translation`, `lines`, `notes` and `pmids`, as `search strategy
            --format json` prints it. To put what it selects in order by a question, give it to `Search` as
            `{"query": ..., "filters": {"strategy": ...}}`.

        Raises QueryError for anything else, and with the place of what cannot be read.
        """
        defaults = {} if limit is None else {"limit": limit}
        return self._answers(elements, lambda each: [self._strategy(element, defaults) for element in each])

    def _strategy(self, element: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
        request = self._read(element, StrategyRequest, "strategy", defaults)
        answer: dict[str, Any] = msgspec.to_builtins(
            StrategyAnswer.of(self.index().strategy(request.strategy), request.limit)
        )
        return answer


class Export(_Pipeline):
    """PMIDs or questions in, files or their content out."""

    def __call__(self, elements: Any, limit: int | None = None) -> Any:
        """Write articles in a format of reference managers.

        Args:
            elements: A PMID, or a list of PMIDs. In place of a PMID, a mapping of ExportRequest's fields, with a
                question as `query`, and `output` for a file to write.
            limit: How many results of a question to export where it does not say so itself.

        Returns:
            The text of each element's articles; with `output`, the path of the file.

        Raises QueryError for anything else, ExportError for a file that cannot be written.
        """
        defaults = {"limit": limit or self.config.results}
        return self._answers(
            elements,
            lambda each: [self._export(self._read(element, ExportToFile, "pmids", defaults)) for element in each],
        )

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
            hits = self.index().search(
                request.question, request.limit, mode=request.mode, filters=request.filters, exact=request.exact
            )
            return [hit.article for hit in hits]
        return self.index().get_many(request.pmids)


class Sync(_Pipeline):
    """Folders of NLM's files in, or nothing to download them; reports out."""

    def __call__(self, elements: Any) -> Any:
        """Bring the index to NLM's state, or make it if it is not there.

        Args:
            elements: A folder of NLM's files, an empty text to download them from the address in the configuration, or
                a mapping of SyncRequest's fields; or a list of these.

        Returns:
            What was done for each.

        Raises QueryError for anything else.
        """
        return self._answers(elements, self._sync)

    def _sync(self, elements: Sequence[Any]) -> list[dict[str, Any]]:
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

    def __call__(self, elements: Any) -> Any:
        """Add the records of files to the index; it is made if it is not there.

        Args:
            elements: The path of a file or folder, or a list of paths.

        Returns:
            What was read from each.
        """
        return self._answers(elements, lambda paths: [self._add(path) for path in paths])

    def _add(self, path: str) -> dict[str, Any]:
        return {"path": path, **msgspec.to_builtins(self.open_or_create().add(path))}
