"""The tools that a language model is given: search, strategy, ask, similar, get_article, cited_by, references."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio.to_thread
import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field
from starlette.types import ASGIApp

from search import __version__
from search.api import Index
from search.article import Article
from search.config import Config
from search.errors import SearchError
from search.messages import left_out
from search.presentation.citation import citation
from search.presentation.hit import article_record, hit_record
from search.presentation.notices import notice_labels
from search.retrieval.citing import Citations
from search.retrieval.filters import Filters, filters_from_dict
from search.retrieval.findings import Findings
from search.retrieval.hit import Hit
from search.retrieval.request import Mode
from search.retrieval.strategy import StrategyAnswer
from search.retrieval.strategy.strategy_parser import MAX_LENGTH
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
only what the evidence or the abstract says, and cite PMIDs.
"""

_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

_Result = TypeVar("_Result")

Limit = Annotated[int, Field(ge=1, le=50, description="How many articles.")]
FilterObject = Annotated[
    dict[str, Any] | None,
    Field(
        description="What articles must be: year_from, year_to, date_from, date_to, authors, journals, mesh, "
        "publication_types, languages, designs, min_n (participants), has_abstract, free_full_text, not_retracted, "
        "pmids, not_pmids, strategy: a search in PubMed's query language, such as 'aspirin[tiab] AND neoplasms[mh]'."
    ),
]


class Tools:
    """The tools over one index, within the limits of its `serve` settings."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._limits = index.config.serve
        self._busy = 0

    async def search(
        self,
        question: Annotated[str, Field(min_length=1, max_length=10_000, description="A question in plain English.")],
        limit: Limit = 10,
        mode: Annotated[Mode | None, Field(description="Rank by meaning, by words, or by both.")] = None,
        filters: FilterObject = None,
    ) -> dict[str, Any]:
        """Find the articles that answer a question, best first, with the sentences that speak to it."""

        def work() -> list[Hit]:
            chosen = filters_from_dict(filters or {})
            return self.index.search(question, limit, mode=mode, filters=chosen, evidence=2)

        return self._with_warning({"results": [_result(hit) for hit in await self._run(work)]})

    async def strategy(
        self,
        strategy: Annotated[str, Field(min_length=1, max_length=MAX_LENGTH, description="The search, or its lines.")],
        limit: Annotated[int, Field(ge=0, le=1000, description="How many PMIDs to return.")] = 100,
    ) -> dict[str, Any]:
        """Run a search in PubMed's query language: exact counts by line, search details, notes and PMIDs."""
        result = await self._run(partial(self.index.strategy, strategy))
        return self._with_warning(msgspec.to_builtins(StrategyAnswer.of(result, limit)))

    async def ask(
        self,
        question: Annotated[str, Field(min_length=1, max_length=10_000, description="A question in plain English.")],
        limit: Limit = 10,
        filters: FilterObject = None,
    ) -> dict[str, Any]:
        """Quote what the best articles found; findings that agree are in one group, those of firm designs come first.

        No groups means that nothing near enough was found: say so, and do not answer from memory.
        """

        def work() -> Findings:
            return self.index.ask(question, limit, filters=filters_from_dict(filters or {}))

        return self._with_warning(msgspec.to_builtins(await self._run(work)))

    async def similar(
        self,
        pmids: Annotated[
            list[int], Field(min_length=1, max_length=100, description="Articles of which more is wanted.")
        ],
        limit: Limit = 10,
        unlike: Annotated[list[int], Field(max_length=100, description="Articles to keep away from.")] = [],  # noqa: B006
        filters: FilterObject = None,
    ) -> dict[str, Any]:
        """Find the articles most like some others, without these."""

        def work() -> list[Hit]:
            chosen: Filters = filters_from_dict(filters or {})
            return self.index.similar(pmids, limit, unlike=unlike, filters=chosen)

        return self._with_warning({"results": [_result(hit) for hit in await self._run(work)]})

    async def get_article(self, pmid: Annotated[int, Field(ge=1, description="The article's PMID.")]) -> dict[str, Any]:
        """Return an article: title, abstract, authors, journal, date, MeSH headings, how to cite it, warnings."""
        article = await self._run(partial(self.index.get, pmid))
        if article is None:
            raise ToolError(f"PMID {pmid} is not in this index")
        return {**msgspec.to_builtins(article_record(article)), **_to_cite(article)}

    def _with_warning(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an answer with a warning if articles were left out because they are damaged."""
        damaged = self.index.damaged
        return {**answer, "warning": left_out(damaged)} if damaged else answer

    async def cited_by(
        self, pmid: Annotated[int, Field(ge=1, description="The article's PMID.")], limit: Limit = 10
    ) -> dict[str, Any]:
        """Return what cites an article: how many works, and those of this index, the newest first."""
        return _cited(await self._run(partial(self.index.cited_by, pmid, limit)))

    async def references(
        self, pmid: Annotated[int, Field(ge=1, description="The article's PMID.")], limit: Limit = 50
    ) -> dict[str, Any]:
        """Return what an article cites, in its order: the articles of this index, and identifiers of the others."""
        return _cited(await self._run(partial(self.index.references, pmid, limit)))

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        """Do some work in a thread; a refusal, or an error of this package, is reported to the model."""

        def limited() -> _Result:
            with time_limit(self._limits.seconds):
                return work()

        if self._busy >= self._limits.requests:
            raise ToolError("too many are asking at once: try again")
        self._busy += 1
        try:
            with anyio.fail_after(self._limits.seconds):
                return await anyio.to_thread.run_sync(limited, abandon_on_cancel=True)
        except TimeoutError as error:
            raise ToolError(f"the answer took longer than {self._limits.seconds:g} s") from error
        except SearchError as error:
            raise ToolError(str(error)) from error
        finally:
            self._busy -= 1


def make_server(index: Index) -> MCPServer[Any]:
    """Return a server of an index's tools."""
    tools = Tools(index)
    server: MCPServer[Any] = MCPServer(
        "pubmed-semantic-search",
        title="PubMed semantic search",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
    )
    for tool, title in (
        (tools.search, "Search the medical literature"),
        (tools.strategy, "Run a PubMed strategy"),
        (tools.ask, "Quote what was found"),
        (tools.similar, "Find similar articles"),
        (tools.get_article, "Read an article"),
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


_SHOWN = ("rank", "pmid", "title", "journal", "year", "publication_types", "design", "sample_size", "url")


def _result(hit: Hit) -> dict[str, Any]:
    record = hit_record(hit)
    return {
        **{name: getattr(record, name) for name in _SHOWN},
        "score": round(hit.score, 4),
        "evidence": [f"{part.section}: {part.text}" for part in hit.evidence],
        **_to_cite(hit.article),
    }


#: Works that are not in the index of which a model is told.
_OTHERS = 100


def _cited(found: Citations) -> dict[str, Any]:
    shown = [
        {"pmid": article.pmid, "title": article.title, "year": article.year, **_to_cite(article)}
        for article in found.articles
    ]
    others = found.others[:_OTHERS]
    return {"pmid": found.pmid, "count": found.count, "in_index": found.in_index, "articles": shown, "others": others}


def _to_cite(article: Article) -> dict[str, Any]:
    return {"retracted": article.is_retracted, "warnings": notice_labels(article), "cite": citation(article)}
