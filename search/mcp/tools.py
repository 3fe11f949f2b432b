"""The tools that a language model is given, and the server that offers them over stdio or HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field, ValidationError
from starlette.types import ASGIApp

from search import __version__
from search.api import Index
from search.config import Config
from search.errors import QueryError, SearchError
from search.formats.export import write
from search.mcp.arguments import (
    DEFAULT_BUDGET,
    Budget,
    Exact,
    FilterObject,
    Ids,
    Limit,
    ModeName,
    Offset,
    OptionalIds,
    QuestionText,
    Sentences,
    StrategyText,
    without_empty,
)
from search.mcp.results import ResultLists, article_result, cited_result, fitting, hit_result, mesh_result
from search.messages import left_out
from search.retrieval.filters import Filters, filters_from_dict
from search.retrieval.hit import Hit
from search.retrieval.request import SearchOptions
from search.retrieval.strategy import StrategyAnswer
from search.time_limit import time_limit
from search.web.guard import Guard
from search.web.metrics import Metrics
from search.web.server import run

__all__ = ["make_server", "run_http", "run_stdio"]

INSTRUCTIONS = """\
Searches the medical literature (PubMed records on this machine) by meaning. Ask `search` in plain English; PubMed field
tags work as filters inside a question (`statins 2015:2024[dp] AND review[pt]`). Each result carries its PMID, the
sentences of its abstract that say what was found (`evidence`, each led by its section; empty if none is near enough),
how to cite it (`cite`), and `warnings`: never rely on an article that is retracted, and say so if you mention it. State
only what the evidence or the abstract says, and cite PMIDs. `results` names a list of results: other tools take
`NAME:3` for its third. An answer that would be too long is cut, and `next` says how to call for the rest.
"""

_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

#: Results a call gives, and the most of them; the most sentences of an article; characters of an answer.
_DEFAULT, _MOST, _MOST_SENTENCES, _BUDGETS = 10, 50, 10, (500, 200_000)

#: Values of each kind that facets show.
_VALUES = 15

CitationFormat = Annotated[
    Literal["citation", "ris", "bibtex", "csl", "nbib"], Field(description="Plain citations, or a format of files.")
]


class Tools:
    """The tools over one index, within the limits of its `serve` settings."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.lists = ResultLists(index)
        self._limits = index.config.serve
        self._busy = 0

    async def search(
        self,
        question: QuestionText,
        limit: Limit = None,
        offset: Offset = None,
        mode: ModeName = None,
        filters: FilterObject = None,
        exact: Exact = False,
        characters: Budget = None,
    ) -> dict[str, Any]:
        """Find the articles that answer a question, best first, with the sentences that say what was found."""

        def work() -> dict[str, Any]:
            options = SearchOptions(
                limit=_within("limit", limit, _DEFAULT, 1, _MOST),
                offset=_within("offset", offset, 0, 0, self._limits.results),
                mode=mode,
                filters=_filters(filters),
                evidence=2,
                exact=exact or None,
            )
            (hits,) = self.index.engine.search([question], options)
            return self._listed(hits, options.offset, characters)

        return await self._run(work)

    async def strategy(
        self,
        strategy: StrategyText,
        limit: Annotated[int, Field(ge=0, le=1000, description="How many PMIDs to return.")] = 100,
    ) -> dict[str, Any]:
        """Run a search in PubMed's query language: exact counts by line, search details, notes and PMIDs."""

        def work() -> dict[str, Any]:
            answer = StrategyAnswer.of(self.index.strategy(strategy), limit)
            return {**msgspec.to_builtins(answer), "results": self.lists.keep(answer.pmids)}

        return await self._run(work)

    async def ask(
        self, question: QuestionText, limit: Limit = None, filters: FilterObject = None, exact: Exact = False
    ) -> dict[str, Any]:
        """Quote what the best articles found; findings that agree are in one group, those of firm designs come first.

        No groups means that nothing near enough was found: say so, and do not answer from memory.
        """

        def work() -> dict[str, Any]:
            asked = _within("limit", limit, _DEFAULT, 1, _MOST)
            found = self.index.ask(question, asked, filters=_filters(filters), exact=exact or None)
            answer: dict[str, Any] = msgspec.to_builtins(found)
            return {**answer, "results": self.lists.keep([one.pmid for group in found.groups for one in group])}

        return await self._run(work)

    async def similar(
        self,
        ids: Ids,
        limit: Limit = None,
        unlike: OptionalIds = None,
        filters: FilterObject = None,
        characters: Budget = None,
    ) -> dict[str, Any]:
        """Find the articles most like some others, without these; `unlike` names articles to keep away from."""

        def work() -> dict[str, Any]:
            hits = self.index.similar(
                self.lists.pmids(ids),
                _within("limit", limit, _DEFAULT, 1, _MOST),
                unlike=self.lists.pmids(unlike) if unlike else (),
                filters=_filters(filters),
            )
            return self._listed(hits, 0, characters)

        return await self._run(work)

    async def get_article(self, ids: Ids, characters: Budget = None) -> dict[str, Any]:
        """Return articles whole: title, abstract, authors, journal, date, MeSH headings, how to cite it, warnings."""

        def work() -> dict[str, Any]:
            pmids = self.lists.pmids(ids)
            there = [article for pmid in pmids if (article := self.index.get(pmid)) is not None]
            missing = sorted(set(pmids) - {article.pmid for article in there})
            if not there:
                raise QueryError(f"PMID {missing[0]} is not in this index; call `search` to find what is")
            shown = fitting([article_result(article) for article in there], _budget(characters))
            rest = [str(article.pmid) for article in there[len(shown) :]]
            return {
                "articles": shown,
                **({"not_in_this_index": missing} if missing else {}),
                **({"next": f"get_article(ids={rest})"} if rest else {}),
            }

        return await self._run(work)

    async def cited_by(
        self, pmid: Annotated[int, Field(ge=1, description="The article's PMID.")], limit: Limit = None
    ) -> dict[str, Any]:
        """Return what cites an article: how many works, and those of this index, the newest first."""

        def work() -> dict[str, Any]:
            return cited_result(self.index.cited_by(pmid, _within("limit", limit, _DEFAULT, 1, _MOST)))

        return await self._run(work)

    async def references(
        self, pmid: Annotated[int, Field(ge=1, description="The article's PMID.")], limit: Limit = None
    ) -> dict[str, Any]:
        """Return what an article cites, in its order: the articles of this index, and identifiers of the others."""

        def work() -> dict[str, Any]:
            return cited_result(self.index.references(pmid, _within("limit", limit, _MOST, 1, _MOST)))

        return await self._run(work)

    async def evidence(
        self, question: QuestionText, ids: Ids, sentences: Sentences = None, exact: Exact = False
    ) -> dict[str, Any]:
        """Quote the sentences of certain articles that speak to a question, each with its section and its place."""

        def work() -> dict[str, Any]:
            pmids = self.lists.pmids(ids)
            options = SearchOptions(
                limit=len(pmids),
                filters=Filters(pmids=frozenset(pmids)),
                evidence=_within("sentences", sentences, 2, 1, _MOST_SENTENCES),
                fold=False,
                feedback=False,
                exact=exact or None,
            )
            (hits,) = self.index.engine.search([question], options)
            return {"articles": [{**_quoted(hit), "warnings": hit_result(hit)["warnings"]} for hit in hits]}

        return await self._run(work)

    async def cite(self, ids: Ids, format: CitationFormat = "citation") -> dict[str, Any]:
        """Return how to cite articles, as text or in a format of files (RIS, BibTeX, CSL JSON, MEDLINE)."""

        def work() -> dict[str, Any]:
            articles = self.index.get_many(self.lists.pmids(ids))
            if format == "citation":
                return {"citations": {str(one.pmid): article_result(one)["cite"] for one in articles}}
            stream = io.StringIO()
            write(articles, stream, format)
            return {"text": stream.getvalue()}

        return await self._run(work)

    async def facets(
        self,
        question: QuestionText,
        filters: FilterObject = None,
        mode: ModeName = None,
        exact: Exact = False,
    ) -> dict[str, Any]:
        """Count the first 1,000 results by year, journal, MeSH heading, publication type, language and design.

        Shows how to narrow a search: every value works in `filters`.
        """

        def work() -> dict[str, Any]:
            found = self.index.facets(question, mode=mode, filters=_filters(filters), exact=exact or None)
            counts: dict[str, Any] = msgspec.to_builtins(found, str_keys=True)
            return {
                kind: dict(list(values.items())[:_VALUES]) if kind != "years" and isinstance(values, dict) else values
                for kind, values in counts.items()
            }

        return await self._run(work)

    async def mesh(
        self, heading: Annotated[str, Field(min_length=1, max_length=200, description="A MeSH heading.")]
    ) -> dict[str, Any]:
        """Look up a MeSH heading: how many articles have it, its entry terms, its place in the tree, what is below it.

        A name that is not a heading is answered with the nearest.
        """
        return await self._run(partial(mesh_result, self.index, heading))

    def _listed(self, hits: Sequence[Hit], offset: int, characters: int | None) -> dict[str, Any]:
        """Return hits as a list with a name, as many as fit, and how to call for more."""
        shown = fitting([hit_result(hit) for hit in hits], _budget(characters))
        answer: dict[str, Any] = {"results": self.lists.keep([hit.pmid for hit in hits]), "hits": shown}
        if hits and hits[0].changes:
            answer["also_searched"] = [str(change) for change in hits[0].changes]
        if len(shown) < len(hits):
            answer["next"] = (
                f"{len(hits) - len(shown)} results are left out: call again with offset={offset + len(shown)}"
            )
        return answer

    async def _run(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do some work in a thread; a refusal, or an error of this package, is reported to the model.

        The answer has a warning if articles were left out because they are damaged.
        """

        def limited() -> dict[str, Any]:
            with time_limit(self._limits.seconds):
                answer = work()
            damaged = self.index.damaged
            return {**answer, "warning": left_out(damaged)} if damaged else answer

        if self._busy >= self._limits.requests:
            raise ToolError("too many are asking at once: try again")
        self._busy += 1
        try:
            with anyio.fail_after(self._limits.seconds):
                return await anyio.to_thread.run_sync(limited, abandon_on_cancel=True)
        except TimeoutError as error:
            raise ToolError(
                f"the answer took longer than {self._limits.seconds:g} s: call again with a smaller limit"
            ) from error
        except SearchError as error:
            raise ToolError(f"{error}. Mend this and call again") from error
        finally:
            self._busy -= 1


def _quoted(hit: Hit) -> dict[str, Any]:
    sentences = [
        {"section": part.section, "text": part.text, "start": part.start, "end": part.end} for part in hit.evidence
    ]
    return {"pmid": hit.pmid, "title": hit.article.title, "sentences": sentences}


def _filters(filters: dict[str, Any] | None) -> Filters:
    return filters_from_dict(without_empty(filters))


def _within(name: str, value: int | None, default: int, least: int, most: int) -> int:
    """Return a number. Raises QueryError that says what it may be."""
    number = default if value is None else value
    if not least <= number <= most:
        raise QueryError(f"{name} must be {least} to {most:,}, not {number:,}")
    return number


def _budget(characters: int | None) -> int:
    return _within("characters", characters, DEFAULT_BUDGET, *_BUDGETS)


class _Server(MCPServer[Any]):
    """A server that answers a wrong call by saying how to call; an argument that it does not know is one."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Raises ToolError if there is none of this name, or if its arguments are wrong."""
        tools = {tool.name: tool.input_schema for tool in await self.list_tools()}
        if name not in tools:
            raise ToolError(f"there is no tool {name}: call one of {', '.join(tools)}")
        known, needed = tools[name]["properties"], tools[name].get("required", [])
        usage = f"{name} takes " + ", ".join(one if one in needed else f"[{one}]" for one in known)
        if unknown := [one for one in arguments if one not in known]:
            raise ToolError(f"{name} has no argument {', '.join(unknown)}: call again; {usage}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(f"{_wrong(error.__cause__)}: call again; {usage}") from error
            raise


def _wrong(error: ValidationError) -> str:
    """Return what is wrong with arguments: `question is missing; limit: a valid integer is needed, not 'ten'`."""
    said = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]) if fault["loc"] else "arguments"
        reason = fault["msg"][:1].lower() + fault["msg"][1:]
        is_missing = fault["type"] == "missing"
        said.append(f"{name} is missing" if is_missing else f"{name}: {reason}, not {str(fault['input'])[:80]!r}")
    return "; ".join(dict.fromkeys(said))


def make_server(index: Index) -> MCPServer[Any]:
    """Return a server of an index's tools."""
    tools = Tools(index)
    server = _Server(
        "pubmed-semantic-search",
        title="PubMed semantic search",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
    )
    for tool, title in (
        (tools.search, "Search the medical literature"),
        (tools.ask, "Quote what was found"),
        (tools.similar, "Find similar articles"),
        (tools.get_article, "Read articles"),
        (tools.evidence, "Quote what articles say about a question"),
        (tools.cite, "Cite articles"),
        (tools.facets, "Count results by what they are"),
        (tools.mesh, "Look up a MeSH heading"),
        (tools.strategy, "Run a PubMed strategy"),
        (tools.cited_by, "What cites an article"),
        (tools.references, "What an article cites"),
    ):
        server.tool(title=title, annotations=_READS)(tool)
    return server


def run_stdio(address: str | Path, config: Config) -> None:
    """Answer over standard input and output until the client closes them."""
    with Index.open(address, config=config) as index:
        make_server(index).run("stdio")


def run_http(address: str | Path, config: Config, started: Callable[[str, str], None]) -> None:
    """Answer over HTTP at /mcp until the process is stopped; names, tokens and limits are those of `serve`."""
    index = Index.open(address, config=config)

    def make() -> tuple[str, ASGIApp]:
        app = make_server(index).streamable_http_app(
            json_response=True,
            stateless_http=True,
            max_request_body_size=config.serve.body,
            # The guard in front knows the names of this server and its tokens.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        return index.name, Guard(app, config.serve, Metrics())

    try:
        run(make, config.serve, started)
    finally:
        index.close()
