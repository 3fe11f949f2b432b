"""What the server does with a request: it asks the index, and answers as the command line would print it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from search import __version__
from search.api import Index
from search.article import Article
from search.config import Config
from search.errors import NotFoundError, QueryError
from search.formats.byte_stream import ByteStream
from search.formats.export import FORMATS, write
from search.formats.reference_lists import write_ris
from search.llm.answer import WrittenAnswer
from search.llm.language_models import describe_llm
from search.llm.load import load_llm
from search.presentation.hit_record import as_json, citations_record, hit_records, search_records, snowball_record
from search.presentation.study_table import csv_table, study_rows
from search.retrieval.example_questions import example_questions
from search.retrieval.facets import facets_of, facets_of_alternatives
from search.retrieval.filters import Filters
from search.retrieval.hit import Hit
from search.retrieval.relevance import least_relevant, relevant, unnarrowed
from search.retrieval.request import (
    ArticlesRequest,
    BatchRequest,
    DedupeRequest,
    ExportRequest,
    FacetsRequest,
    MapRequest,
    Mode,
    ReferencesRequest,
    SavedRequest,
    SearchOptions,
    SearchRequest,
    SimilarRequest,
    SnowballRequest,
    StrategyRequest,
    TableRequest,
    questions_of,
)
from search.retrieval.saved_searches import methods
from search.retrieval.strategy import StrategyAnswer
from search.retrieval.suggestions import SuggestField
from search.review.dedupe import dedupe_files
from search.web.batching import KeepingEncoder
from search.web.guard import is_open, may_write

__all__ = ["About", "Health", "Service"]


#: A map of fewer articles shows no topics: there it takes the next ones too.
_FEWEST_ON_A_MAP = 40


class Health(msgspec.Struct, frozen=True):
    """Whether the server can answer: `ok`, or `busy` if the index does not answer at this moment."""

    status: Literal["ok", "busy"]


class Limits(msgspec.Struct, frozen=True):
    """The most results of a request, requests at a time, seconds and bytes of a request."""

    results: int
    requests: int
    seconds: float
    body: int


class Llm(msgspec.Struct, frozen=True):
    """The language model that answers are written by, and the host that questions are sent to (None: this machine)."""

    model: str
    sent_to: str | None


class About(msgspec.Struct, frozen=True):
    """What a client must know of the server; `encoded`: no search has to encode articles."""

    version: str
    mode: Mode
    write: bool
    token: bool
    encoded: bool
    formats: list[str]
    llm: Llm | None
    limits: Limits


class Service:
    """One index, open for as long as the server runs. Every method may be called from any thread."""

    def __init__(self, address: str | Path, config: Config) -> None:
        self.config = config
        self._examples = -1, b""
        self.index = Index.open(address, config=config)
        try:
            self.encoder = KeepingEncoder(self.index.manifest.used_model, precision=config.model_precision)
            self.index.encoder = self.encoder
            # Whatever must be compiled or made ready is so before the first question.
            if config.language_model is not None:
                load_llm(config.language_model)
            self.encoder.encode(["ready"], kind="query")
        except BaseException:
            self.index.close()
            raise

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def to_encode(self, request: msgspec.Struct) -> list[str]:
        """Return the texts that must be encoded for the questions of a request.

        Raises QueryError if their tags do not parse.
        """
        questions = questions_of(request)
        options = SearchOptions(
            mode=getattr(request, "mode", None),
            filters=getattr(request, "filters", Filters()),
            exact=getattr(request, "exact", None),
        )
        return self.index.engine.questions_to_encode(questions, options) if questions else []

    # Answers ---------------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest) -> bytes:
        """Return the hits of a question as `search query --format json` prints them."""
        self._last(request.limit, request.offset)
        (hits,) = self.index.engine.search([request.question], request)
        if not hits and not request.offset:
            self.index.engine.check_values(request.filters)
        return as_json(hit_records(request.question, hits, explain=request.explain))

    def ask(self, request: SearchRequest) -> bytes:
        """Return the findings about a question as `search ask --format json` prints them."""
        limit = self._last(request.limit)
        found = self.index.ask(request.question, limit, mode=request.mode, filters=request.filters, exact=request.exact)
        return as_json(found)

    def written_answer(self, request: SearchRequest) -> WrittenAnswer:
        """Return the answer that the language model is going to write, with its sources."""
        limit = None if request.limit is None else self._last(request.limit)
        return self.index.ask(
            request.question, limit, mode=request.mode, filters=request.filters, exact=request.exact, llm=True
        )

    def table(self, request: TableRequest) -> bytes:
        """Return the articles of a question as rows of a table, as `search table` prints them."""
        hits = self.index.search(
            request.question,
            self._last(request.limit, request.offset),
            mode=request.mode,
            filters=request.filters,
            evidence=1,
            exact=request.exact,
            sort=request.sort,
            min_score=request.min_score,
        )
        rows = study_rows(hits[request.offset :])
        return csv_table(rows).encode("utf-8", "replace") if request.format == "csv" else as_json(rows)

    def batch(self, request: BatchRequest) -> bytes:
        """Return the hits of several questions as `search query --queries FILE --format json` prints them."""
        self._last(request.limit, request.offset)
        answers = self.index.engine.search(request.questions, request)
        return as_json(search_records(request.questions, answers, explain=request.explain))

    def strategy(self, request: StrategyRequest) -> bytes:
        """Return what a strategy selects as `search strategy --format json` prints it."""
        return as_json(StrategyAnswer.of(self.index.strategy(request.strategy), request.limit))

    def similar(self, request: SimilarRequest) -> bytes:
        """Return the articles like some others as `search similar --format json` prints them."""
        hits = self._similar(request, self._last(request.limit, request.offset))
        return as_json(hit_records(None, hits[request.offset :]))

    def facets(self, request: FacetsRequest) -> bytes:
        """Return the counts of the first results as `search facets --format json` prints them."""
        limit = self._last(request.depth)

        def hits_for(filters: Filters) -> list[Hit]:
            asked = msgspec.structs.replace(request, filters=filters)
            return self._relevant(asked, self._hits(asked, limit))

        if request.alternatives:
            counts = facets_of_alternatives(hits_for, request.filters)
        else:
            counts = facets_of(hits_for(request.filters))
        return as_json(msgspec.to_builtins(counts, str_keys=True))

    def landscape(self, request: MapRequest) -> bytes:
        """Return a map of the first results of a search, or of similar articles."""
        hits = self._hits(request, self._last(request.limit), fold=True)
        topic_map = self.index.landscape(self._relevant(request, hits, _FEWEST_ON_A_MAP))
        return as_json(msgspec.to_builtins(topic_map), indent=0)

    def article(self, pmid: int) -> bytes:
        """Return an article as `search show --format json` prints it. Raises NotFoundError."""
        article = self.index.get(pmid)
        if article is None:
            raise NotFoundError(f"PMID {pmid} is not in the index")
        return as_json(article)

    def examples(self) -> bytes:
        """Return some questions that this index has answers to."""
        change = self.index.status().change
        if self._examples[0] != change:
            questions = example_questions(lambda text: self.index.strategy(text).pmids, self.index.get_many)
            self._examples = change, as_json(questions)
        return self._examples[1]

    def cited_by(self, pmid: int, limit: int, offset: int) -> bytes:
        """Return what cites an article as `search cited-by --format json` prints it. Raises NotFoundError."""
        self._last(limit, offset)
        return as_json(citations_record(self.index.cited_by(pmid, limit, offset=offset)))

    def references(self, pmid: int, limit: int, offset: int) -> bytes:
        """Return what an article cites as `search references --format json` prints it. Raises NotFoundError."""
        self._last(limit, offset)
        return as_json(citations_record(self.index.references(pmid, limit, offset=offset)))

    def snowball(self, request: SnowballRequest) -> bytes:
        """Return what citations lead to from a set of articles, as `search snowball --format json` prints it."""
        if bool(request.pmids) == (request.saved is not None):
            raise QueryError("give pmids or the name of a saved search, not both")
        limit = self._last(request.limit)
        start = request.saved if request.saved is not None else request.pmids
        found = self.index.snowball(start, limit, rounds=request.rounds, seen=request.seen)
        return as_json(snowball_record(found))

    def check(self, request: ReferencesRequest) -> bytes:
        """Return what is to be said of some references, as `search check --format json` prints it."""
        (stream,) = _streams({request.name: request.references})
        return as_json(self.index.check(stream))

    def dedupe(self, request: DedupeRequest) -> bytes:
        """Return the duplicates among the references of several databases, as `search dedupe --format json` does.

        In RIS the references without their duplicates, as `search dedupe --output` writes them.
        """
        found = dedupe_files(_streams(request.sources))
        return as_json(found) if request.format == "json" else "".join(map(write_ris, found.kept)).encode()

    def status(self) -> bytes:
        """Return the state of the index as `search status --format json` prints it."""
        return as_json(self.index.status())

    def about(self) -> bytes:
        """Return what a client must know of this server: what it may do, and its limits."""
        serve = self.config.serve
        return as_json(
            About(
                version=__version__,
                mode=self.config.mode,
                write=may_write(serve),
                token=not is_open(serve),
                encoded=self.index.engine.is_encoded(),
                formats=list(FORMATS),
                llm=None if self.config.language_model is None else Llm(*describe_llm(self.config.language_model)),
                limits=Limits(serve.results, serve.requests, serve.seconds, serve.body),
            )
        )

    def understand(self, request: SearchRequest) -> bytes:
        """Return what a question is searched as, and how many articles pass its filters."""
        return as_json(self.index.engine.understand(request.question, request))

    def suggest(self, field: SuggestField, prefix: str, limit: int) -> bytes:
        """Return the values of a field that begin with a text, the most frequent first."""
        return as_json(self.index.suggest(field, prefix, limit))

    def look(self) -> None:
        """Look into the index. Raises SearchError if it cannot be read."""
        self.index.get_many([])

    def export(self, request: ExportRequest) -> bytes:
        """Return articles in a format of `search export`. Raises QueryError for a PMID that is not there."""
        if bool(request.pmids) == (request.question is not None):
            raise QueryError("give pmids or a question, not both")
        articles: Iterable[Article]
        quotes: dict[int, list[str]] = {}
        if request.question is not None:
            hits = self.index.search(
                request.question,
                self._last(request.limit),
                mode=request.mode,
                filters=request.filters,
                evidence=request.evidence if request.format == "markdown" else 0,
                exact=request.exact,
            )
            articles = [hit.article for hit in hits]
            quotes = {hit.pmid: [f"{part.section}: {part.text}" for part in hit.evidence] for hit in hits}
        else:
            articles = self.index.get_many(request.pmids)
        stream = io.StringIO()
        write(articles, stream, request.format, style=request.style, quotes=quotes)
        return stream.getvalue().encode("utf-8", "replace")

    # Saved searches --------------------------------------------------------------------------------------------------

    def saved(self, name: str | None = None) -> bytes:
        """Return the saved searches, or the one of a name, as `search saved --format json` prints them."""
        searches = self.index.saved_searches() if name is None else [self.index.saved_search(name)]
        return as_json(msgspec.to_builtins(searches))

    def methods(self, name: str) -> bytes:
        """Return what a methods section says of a saved search, as `search saved NAME` prints it."""
        return f"{methods(self.index.saved_search(name))}\n".encode()

    def feed(self, name: str, address: str) -> bytes:
        """Return the Atom feed of a saved search."""
        return self.index.saved_feed(name, address).encode("utf-8", "replace")

    def report(self, name: str, sources: Mapping[str, str] | None = None) -> bytes:
        """Return the report of a saved search, as `search report NAME --with FILE` prints it."""
        return self.index.saved_report(name, _streams(sources or {})).encode("utf-8", "replace")

    def difference(self, name: str, first: int, second: int) -> bytes:
        """Return what sets two runs of a saved search apart, as `search saved NAME --diff --format json` prints it."""
        return as_json(self.index.saved_difference(name, first, second))

    def save(self, name: str, request: SavedRequest) -> bytes:
        """Keep a search under a name, and return its hits."""
        limit = self._last(request.limit)
        hits = self.index.save_search(
            name,
            request.question,
            limit,
            mode=request.mode,
            filters=request.filters,
            exact=request.exact,
            replace=request.replace,
        )
        return as_json(hit_records(request.question, hits))

    def delete_saved(self, name: str) -> bytes:
        """Delete a saved search, and return those that are left."""
        self.index.delete_saved(name)
        return self.saved()

    def rename_saved(self, name: str, new: str) -> bytes:
        """Rename a saved search, and return it under its new name. Raises QueryError if there is one of that name."""
        self.index.rename_saved(name, new)
        return self.saved(new)

    def new(self, name: str) -> bytes:
        """Return what a saved search finds among what was added since it last ran, as `search new --format json`."""
        return as_json(hit_records(None, self.index.new_results(name)))

    # Parts -----------------------------------------------------------------------------------------------------------

    def _last(self, limit: int | None, offset: int = 0) -> int:
        last = (self.config.results if limit is None else limit) + offset
        most = self.config.serve.results
        if last > most:
            raise QueryError(f"{last:,} results are too many: this server gives the first {most:,}")
        return last

    def _similar(self, request: SimilarRequest | ArticlesRequest, limit: int) -> list[Hit]:
        return self.index.similar(
            request.pmids, limit, unlike=request.unlike, texts=request.texts, filters=request.filters
        )

    def _relevant(self, request: ArticlesRequest, hits: list[Hit], fewest: int = 0) -> list[Hit]:
        """Return the hits that are near enough: of a request that wants them alone the relevant, or first `fewest`."""
        if request.relevant:
            unfiltered = msgspec.structs.replace(request, filters=unnarrowed(request.filters))
            best = relevant(hits, least_relevant(self._hits(unfiltered, 5)))
            hits = best if len(best) >= fewest else hits[:fewest]
        return [hit for hit in hits if hit.near_enough]

    def _hits(self, request: ArticlesRequest, limit: int, *, fold: bool = False) -> list[Hit]:
        if request.question is None:
            return self._similar(request, limit)
        if request.pmids or request.texts or request.unlike:
            raise QueryError("give a question, or pmids and texts, not both")
        options = SearchOptions(limit=limit, mode=request.mode, filters=request.filters, fold=fold, exact=request.exact)
        if request.relevant:
            # With feedback the same article has another score under each filter. For a count nothing is encoded.
            options = msgspec.structs.replace(options, feedback=False, encode_on_demand=0)
        (hits,) = self.index.engine.search([request.question], options)
        if not hits:
            self.index.engine.check_values(request.filters)
        return hits


def _streams(texts: Mapping[str, str]) -> list[ByteStream]:
    """Return texts under their names as what is read like files."""
    return [ByteStream(name, text.encode("utf-8", "replace")) for name, text in texts.items()]
