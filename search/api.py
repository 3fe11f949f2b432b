"""The Python API: an index that articles are added to and found in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import msgspec
import numpy as np

from search.article import TEXT_RULE, Article, Deletion
from search.config import Config, LlmConfig, ModelConfig
from search.errors import IndexCorruptError, IndexFolderError, IndexMismatchError, QueryError, SearchError
from search.messages import left_out
from search.retrieval.engine import Engine, hits_of
from search.retrieval.facets import Facets, facets_of
from search.retrieval.filters import Filters, FiltersLike, as_filters, check_pmids
from search.retrieval.hit import Hit, Hits
from search.retrieval.integrity import newly_retracted, retracted_among, with_notices
from search.retrieval.mesh_tree import load_mesh
from search.retrieval.ranking import nearest
from search.retrieval.request import Mode, Question, SearchOptions, Sort, check_limit, check_question, questions_in
from search.retrieval.saved_searches import (
    Run,
    RunDifference,
    SavedSearch,
    begin_saved,
    delete_saved,
    difference,
    read_saved,
    rename_saved,
    write_saved,
)
from search.retrieval.strategy import StrategyResult
from search.storage import backend
from search.storage.citation_graph import edge_count
from search.storage.manifest import Manifest

if TYPE_CHECKING:
    from search.formats.byte_stream import ByteStream
    from search.ingest.citation_files import FileReport
    from search.ingest.pipeline import IngestReport
    from search.ingest.published_vectors import ImportReport
    from search.ingest.run_progress import Progress
    from search.llm.answer import WrittenAnswer
    from search.llm.language_models import LanguageModel
    from search.models import Encoder
    from search.models.encoder import Kind
    from search.models.static_vectors import StaticVectors
    from search.models.tokens import Text
    from search.pubmed.subset import Part
    from search.pubmed.sync import SyncReport
    from search.pubmed.sync_plan import SyncPlan
    from search.retrieval.citing import Citations, Snowball
    from search.retrieval.context import Context, Retracted
    from search.retrieval.expansion import Understanding
    from search.retrieval.findings import Findings
    from search.retrieval.landscape import Landscape
    from search.retrieval.on_demand import Hashes
    from search.retrieval.suggestions import SuggestField, Suggestion
    from search.review.check import Report
    from search.storage.backend import Writer
    from search.storage.rows import Vectors

__all__ = ["Index", "Status"]

#: Articles that are read at once where all of them are.
_AT_ONCE = 500

#: From so many articles a language model answers where nobody says how many.
_ASKED = 10


_WITHOUT_TOKENS = (
    "its files do not tell its tokens, so articles that are not encoded are found by their words alone, not by meaning"
)


class NlmFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What an index has of NLM's files: the part of PubMed it keeps, how many were applied, the last and when (UTC)."""

    part: str
    applied: int
    last: str
    last_applied: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What an index holds: numbers of articles, `stale` ones without a vector of their text, and so on.

    `files` counts what `add` read, `citations` pairs of a work that cites and one that is cited; `nlm` is None where
    `sync` has applied nothing.
    """

    folder: str
    articles: int
    vectors: int
    stale: int
    deleted: int
    unmerged: int
    generation: int
    change: int
    model: str
    model_settings: ModelConfig | None
    model_notes: list[str]
    fingerprint: str
    dimension: int
    text_rule: str
    stored_vectors: str
    static_vectors: str
    vector_index: str
    created: str
    bytes: dict[str, int]
    citations: int
    files: int
    incomplete_files: list[str]
    nlm: NlmFiles | None


class Index:
    """Articles that are found by meaning, in a folder or in a PostgreSQL database.

    Reading is safe from several threads and while another process writes. Use it as a context manager, or `close` it.

    >>> from search import Index
    >>> with Index.open("indexes/demo") as index:
    ...     hits = index.search("does aspirin lower the risk of bowel cancer?", limit=3)
    >>> [hit.rank for hit in hits]
    [1, 2, 3]
    """

    def __init__(self, address: str | Path, config: Config) -> None:
        self.address = address
        self.config = config
        self._reader = backend.open_reader(address, config)
        self._encoder: Encoder | None = None
        #: Whether a few questions will be asked and no more: the first is answered sooner, further ones take longer.
        self.brief = False
        self.engine = Engine(self._reader, self._encode, config, self._keep_vectors, self._note)
        if self.manifest.copy_of is not None:
            self.close()
            raise IndexFolderError(
                f"{self.name} is an unfinished copy of {self.manifest.copy_of}; run the command that began it again"
            )
        if self.manifest.text_rule != TEXT_RULE:
            self.close()
            raise IndexMismatchError(
                f"{self.name} was made with the text rule {self.manifest.text_rule} and this program uses {TEXT_RULE}; "
                "make a new index, or use the version of the program that made it"
            )

    # Opening and closing -------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls, address: str | Path, *, model: str | ModelConfig | None = None, config: Config | None = None
    ) -> Index:
        """Open an index: a folder, or a database (`postgresql://user@host/database`).

        `config` is obeyed key by key; without it the defaults of `Config` hold. No file is read: to use config.yml as
        the command line does, pass `config=load_config()`. `model`: refuse the index unless it was made with this one.
        Raises IndexFolderError if there is no index,
        IndexMismatchError or IndexCorruptError if its parts do not fit.

        >>> index = Index.open("indexes/demo")
        >>> index.close()
        """
        index = cls(address, config or Config())
        if model is not None:
            try:
                index._check_model(model)
            except BaseException:
                index.close()
                raise
        return index

    @classmethod
    def create(
        cls, address: str | Path, *, model: str | ModelConfig | None = None, config: Config | None = None
    ) -> Index:
        """Make an empty index for the vectors of a model, in a new or empty folder or in a database.

        `model` is a preset (`builtin`, ...), a folder, a hub name, or a ModelConfig; the default is the config's. How
        it is used is kept in the index. Raises ModelError if it cannot be loaded, IndexFolderError if there is
        something already.

        >>> index = Index.create("indexes/new", model="builtin")
        >>> index.status().articles
        0
        >>> index.close()
        """
        from search.models.presets import BUILTIN
        from search.models.static_vectors import builtin_static

        config = config or Config()
        encoder = _load_encoder(model or config.model, config)
        is_builtin = (model or config.model) == BUILTIN
        notes = [*encoder.notes, *([] if is_builtin or encoder.tokens else [_WITHOUT_TOKENS])]
        manifest = Manifest(
            model=encoder.name,
            model_settings=encoder.settings,
            model_notes=tuple(notes),
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            text_rule=TEXT_RULE,
            vectors=config.vectors,
            static=builtin_static().fingerprint if is_builtin else "",
        )
        backend.create(address, manifest, config)
        index = cls(address, config)
        index._encoder = encoder
        return index

    def __repr__(self) -> str:
        """Return the address and the model: `<Index indexes/demo, model builtin>`."""
        return f"<Index {self.name}, model {self.manifest.model}>"

    def close(self) -> None:
        """Close the files. An index that is closed twice stays closed."""
        self._reader.close()

    def __enter__(self) -> Index:
        """Return the index itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @staticmethod
    def exists(address: str | Path, *, config: Config | None = None) -> bool:
        """Whether there is an index at an address.

        >>> Index.exists("indexes/demo"), Index.exists("indexes/nowhere")
        (True, False)
        """
        return backend.exists(address, config)

    @property
    def name(self) -> str:
        """What the index is called in messages: its address, without a password."""
        return self._reader.name

    @property
    def manifest(self) -> Manifest:
        """What the folder is: model, dimension, text rule, generation."""
        return self._reader.manifest

    @property
    def encoder(self) -> Encoder:
        """The model the index was made with, loaded when it is first needed.

        Raises ModelError if it is not there, IndexMismatchError if its weights are no longer the same.
        """
        if self._encoder is None:
            encoder = _load_encoder(self.manifest.used_model, self.config, brief=self.brief)
            if encoder.fingerprint != self.manifest.fingerprint:
                raise IndexMismatchError(
                    f"{self.name} was made with {self.manifest.model} ({self.manifest.fingerprint[:12]}) and the "
                    f"model of that name has changed ({encoder.fingerprint[:12]}); make a new index, or put "
                    "the model back"
                )
            self._encoder = encoder
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        """Use an encoder that is there already, e.g. one that several indexes share.

        Raises IndexMismatchError if it is not of the model the index was made with.
        """
        if encoder.fingerprint != self.manifest.fingerprint:
            raise IndexMismatchError(
                f"{self.name} was made with {self.manifest.model} ({self.manifest.fingerprint[:12]}) and the encoder "
                f"is of {encoder.name} ({encoder.fingerprint[:12]})"
            )
        self._encoder = encoder

    def _check_model(self, model: str | ModelConfig) -> None:
        if model == self.manifest.model:
            return
        encoder = _load_encoder(model, self.config)
        if encoder.fingerprint != self.manifest.fingerprint:
            raise IndexMismatchError(
                f"{self.name} was made with the model {self.manifest.model} of {self.manifest.dimension} dimensions "
                f"and not with {encoder.name} as it is named now; make another index for it"
            )
        self._encoder = encoder

    @staticmethod
    def repair(address: str | Path, *, config: Config | None = None) -> list[str]:
        """Make again what can be made from the records, without encoding, and return what cannot, a sentence each.

        For an index that may not open. A damaged vector is removed; `encode` makes it again. Raises IndexFolderError
        if there is no index, IndexCorruptError if its records are missing; then nothing is touched.

        >>> Index.repair("indexes/demo")
        []
        """
        return backend.repair(address, config)

    @staticmethod
    def verify(address: str | Path, *, config: Config | None = None) -> list[str]:
        """Return the problems of an index, a sentence each; nothing if no problems are found.

        >>> Index.verify("indexes/demo")
        []
        """
        return list(backend.verify(address, config))

    # Reading ---------------------------------------------------------------------------------------------------------

    @property
    def damaged(self) -> list[int]:
        """The PMIDs whose records or vectors were found damaged since the index was opened, and still are.

        They are left out of answers. `verify` looks at all articles and says what to do. After `close`, those of the
        last answer.
        """
        noted = self._reader.damaged
        if noted:
            with suppress(IndexFolderError), self._reader.view() as view:
                noted -= set(noted) - view.store.damaged_among(set(noted))
        return sorted(noted)

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None.

        Raises QueryError if it is not a valid PMID, IndexCorruptError if the record is damaged.

        >>> index = Index.open("indexes/demo")
        >>> index.get(990000010).pmid
        990000010
        >>> index.close()
        """
        check_pmids([pmid])
        with self._reader.view() as view:
            article = with_notices(view.store, view.store.get_many([pmid])).get(pmid)
        if article is None and pmid in self._reader.damaged:
            raise IndexCorruptError(f"the record of PMID {pmid} is damaged; `search verify` says what mends it")
        return article

    def get_many(self, pmids: Iterable[int]) -> list[Article]:
        """Return the articles with these PMIDs, in this order, each once. Raises QueryError if any is missing.

        Of several, those whose records are damaged are left out (`damaged`); IndexCorruptError if all are.

        >>> index = Index.open("indexes/demo")
        >>> [article.pmid for article in index.get_many([990000011, 990000010])]
        [990000011, 990000010]
        >>> index.close()
        """
        distinct = list(dict.fromkeys(pmids))
        check_pmids(distinct)
        with self._reader.view() as view:
            articles = with_notices(view.store, view.store.get_many(distinct))
        missing = [pmid for pmid in distinct if pmid not in articles and pmid not in self._reader.damaged]
        if missing:
            others = f" (nor are {len(missing) - 1:,} others)" if len(missing) > 1 else ""
            raise QueryError(f"PMID {missing[0]} is not in the index{others}")
        if distinct and not articles:
            raise IndexCorruptError(left_out(distinct))
        return [articles[pmid] for pmid in distinct if pmid in articles]

    def articles(self) -> Iterator[Article]:
        """Yield all articles in order of PMID, as of the last commit when the first is taken.

        >>> index = Index.open("indexes/demo")
        >>> next(index.articles()).pmid > 0
        True
        >>> index.close()
        """
        with self._reader.view() as view:
            articles = view.store.articles()
            while some := {article.pmid: article for article in islice(articles, _AT_ONCE)}:
                yield from with_notices(view.store, some).values()

    def export_txtai(
        self,
        folder: str | Path,
        articles: Iterable[Article] | None = None,
        *,
        hybrid: bool = False,
        graph: bool = False,
    ) -> int:
        """Write articles, or the whole index, as an index that plain txtai opens, and return how many there were.

        `hybrid` adds txtai's index of words, `graph` its graph. The copy is opened by txtai and asked a question before
        it is moved in place. Raises ExportError if the folder is there already, or txtai cannot use the model.

        >>> index = Index.open("indexes/demo")
        >>> index.export_txtai("demo-for-txtai", [index.get(990000010), index.get(990000011)])
        2
        >>> index.close()
        """
        from search.integrations.txtai_export import write_txtai

        encoder = self.encoder
        with self._reader.view() as view:
            count = view.store.counts()["vectors"]
            chosen = view.store.articles() if articles is None else articles
            return write_txtai(chosen, view.store.vectors, count, encoder, Path(folder), hybrid=hybrid, graph=graph)

    def count(self) -> int:
        """Return how many articles the index holds.

        >>> index = Index.open("indexes/demo")
        >>> index.count()
        220
        >>> index.close()
        """
        with self._reader.view() as view:
            return view.store.counts()["articles"]

    def status(self) -> Status:
        """Return what the index holds and how far its parts are.

        >>> index = Index.open("indexes/demo")
        >>> index.status().stale
        0
        >>> index.close()
        """
        with self._reader.view() as view:
            counts = view.store.counts()
            files = view.store.files()
            manifest = view.manifest
            return Status(
                folder=self.name,
                **counts,
                unmerged=view.unmerged(),
                generation=manifest.generation,
                change=view.change,
                model=manifest.model,
                model_settings=manifest.model_settings,
                model_notes=list(manifest.model_notes),
                fingerprint=manifest.fingerprint,
                dimension=manifest.dimension,
                text_rule=manifest.text_rule,
                stored_vectors=manifest.vectors,
                static_vectors=_static_kind(view.store.static()),
                vector_index=view.vector_index(),
                created=manifest.created,
                bytes=self._reader.sizes(),
                citations=edge_count(view.store),
                files=len(files),
                incomplete_files=[str(entry["name"]) for entry in files if not entry["complete"]],
                nlm=self._nlm_files(),
            )

    def _nlm_files(self) -> NlmFiles | None:
        from search.pubmed.subset import chosen_part

        with backend.ledger_state(self.address, self.config) as ledger:
            applied = list(ledger.files().values())
            if not applied:
                return None
            part = str(chosen_part(ledger.part(), None))
            last = applied[-1]
            return NlmFiles(part=part, applied=len(applied), last=last.name, last_applied=last.applied)

    # Searching --------------------------------------------------------------------------------------------------------

    @overload
    def search(
        self,
        question: str,
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        strategy: str | None = None,
        evidence: int = 0,
        fold: bool = True,
        feedback: bool | None = None,
        exact: bool | None = None,
        sort: Sort = "relevance",
        min_score: float | None = None,
    ) -> Hits: ...
    @overload
    def search(
        self,
        question: list[str],
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        strategy: str | None = None,
        evidence: int = 0,
        fold: bool = True,
        feedback: bool | None = None,
        exact: bool | None = None,
        sort: Sort = "relevance",
        min_score: float | None = None,
    ) -> list[Hits]: ...
    def search(
        self,
        question: str | list[str],
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        strategy: str | None = None,
        evidence: int = 0,
        fold: bool = True,
        feedback: bool | None = None,
        exact: bool | None = None,
        sort: Sort = "relevance",
        min_score: float | None = None,
    ) -> Hits | list[Hits]:
        """Return the articles that answer a question, best first; for a list of questions, a list each.

        `limit` and `mode` default to the `results` and `mode` of the config the index was opened with. The modes:
        `semantic` ranks by cosine, exact up to the rounding of the stored vectors; `lexical` by the BM25 of the words;
        `hybrid` by both (`search.retrieval.fusion`). If the config has `rerank`, that cross-encoder reorders the first
        100, and its score is the hits'. `filters` (a dict, too) and PubMed field tags inside a question restrict the
        search before the cut: if `limit` articles pass, so many come back. A question of tags alone gives the newest
        articles that pass. `strategy` is a search in PubMed's query language that selects the articles (as
        `Filters.strategy` does); the question orders them, and an empty one gives the newest first. `evidence` is the
        number of sentences of each abstract, those nearest to the question, that come with a hit. `fold` shows
        duplicates (same DOI, or same title and year) once, with the others as `Hit.duplicates`. With `feedback` (the
        default is the config's) the question learns from its first answers before it is answered: the best ten of the
        hybrid ranking move its vector and lend it words, and cosines are with the moved question; see
        `Hit.asked_cosine` and `Hit.added_words`. Misspelled words, acronyms and everyday names are understood by what
        the index holds, as `Hit.changes` tells; with `exact` (the default is the config's) the words are searched as
        they were typed. `sort` puts the best 200 in order by date or first author; `min_score` leaves out what scores
        less. Without it, hits that are probably not about the question have `near_enough` False. Several questions are
        encoded as one batch. Raises QueryError if a question is empty, its tags do not parse, or `limit` is below 1.

        >>> from search import Filters
        >>> index = Index.open("indexes/demo")
        >>> hit = index.search("preventing colorectal cancer with aspirin")[0]
        >>> hit.article.is_sample, hit.rank, -1 <= hit.score <= 1
        (True, 1, True)
        >>> recent = index.search("aspirin AND 2015:2025[dp]", filters=Filters(not_retracted=True))
        >>> all(2015 <= hit.article.year <= 2025 for hit in recent)
        True
        >>> index.close()
        """
        if strategy is not None:
            filters = msgspec.structs.replace(as_filters(filters), strategy=strategy)
        options = _options(
            limit,
            mode,
            filters,
            evidence=evidence,
            fold=fold,
            feedback=feedback,
            exact=exact,
            sort=sort,
            min_score=min_score,
        )
        questions = questions_in(question)
        answers = [Hits(hits) for hits in self.engine.search(questions, options)]
        if not any(answers):
            self.engine.check_values(options.filters)
        return answers[0] if isinstance(question, str) else answers

    def batchsearch(self, queries: Sequence[str], limit: int | None = None) -> list[list[dict[str, Any]]]:
        """Return the hits of several questions as mappings with `id`, `text`, `score` and the fields of a record.

        It has the name and the form that txtai asks for: `txtai.RAG(index, llm)`.

        >>> index = Index.open("indexes/demo")
        >>> [hit["rank"] for hit in index.batchsearch(["aspirin and bowel cancer"], 3)[0]]
        [1, 2, 3]
        >>> index.close()
        """
        from search.presentation.hit_record import text_record

        return [[text_record(hit) for hit in hits] for hits in self.search(list(queries), limit)]

    def batchsimilarity(self, queries: Sequence[str], texts: Sequence[str]) -> list[list[tuple[int, float]]]:
        """Return, for each query, the row and the cosine of each text, the nearest first; as txtai asks for.

        >>> index = Index.open("indexes/demo")
        >>> [row for row, _ in index.batchsimilarity(["bowel cancer"], ["asthma in children", "colorectal tumours"])[0]]
        [1, 0]
        >>> index.close()
        """
        cosines = self._encode(list(queries), "query") @ self._encode(list(texts), "document").T
        return [sorted(enumerate(row.tolist()), key=lambda pair: -pair[1]) for row in cosines]

    def understand(self, question: str, *, filters: FiltersLike = None, exact: bool | None = None) -> Understanding:
        """Return what a question is searched as, what of it was typed otherwise, and how many articles it is among.

        Raises QueryError if the question is empty or its tags do not parse.

        >>> index = Index.open("indexes/demo")
        >>> understood = index.understand("asprin for heart attack 2010:2020[dp]")
        >>> understood.searched, [str(change) for change in understood.changes]
        ('aspirin for myocardial infarction', ['aspirin (for asprin)', 'myocardial infarction (for heart attack)'])
        >>> index.close()
        """
        return self.engine.understand(question, _options(None, None, filters, exact=exact))

    def strategy(self, text: str) -> StrategyResult:
        """Return what a strategy in PubMed's query language selects: PMIDs, exact counts by line, translation, notes.

        Raises QueryError with the place of what cannot be read or answered.

        >>> index = Index.open("indexes/demo")
        >>> result = index.strategy("aspirin[tiab] AND (cancer[ti] OR neoplasms[mh])")
        >>> result.count == len(result.pmids), result.translation
        (True, '"aspirin"[Title/Abstract] AND ("cancer"[Title] OR "neoplasms"[MeSH Terms])')
        >>> index.close()
        """
        return self.engine.strategy(text)

    def suggest(self, field: SuggestField, prefix: str, limit: int = 10) -> list[Suggestion]:
        """Return values that begin as typed, the most frequent first, with the number of articles that have each.

        `field` is journal, type, mesh, author or language. Raises QueryError for another one, or a limit below 1.

        >>> index = Index.open("indexes/demo")
        >>> index.suggest("type", "rand")[0].value
        'Randomized Controlled Trial'
        >>> index.close()
        """
        return self.engine.suggest(field, prefix, limit)

    def _limit(self, limit: int | None) -> int:
        return self.config.results if limit is None else limit

    def _encode(self, texts: Sequence[Text], kind: Kind) -> Vectors:
        return self.encoder.encode(texts, kind=kind)

    def facets(
        self,
        question: str,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        exact: bool | None = None,
        depth: int = 1000,
    ) -> Facets:
        """Count the first `depth` results of a search by year, journal, MeSH heading, type and language.

        Those that are probably not about the question are not counted.

        >>> index = Index.open("indexes/demo")
        >>> index.facets("high blood pressure", depth=5).articles
        5
        >>> index.close()
        """
        hits = self.search(question, depth, mode=mode, filters=filters, fold=False, exact=exact)
        return facets_of(hit for hit in hits if hit.near_enough)

    def save_search(
        self,
        name: str,
        question: str,
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        evidence: int = 0,
        fold: bool = True,
        feedback: bool | None = None,
        exact: bool | None = None,
        sort: Sort = "relevance",
        min_score: float | None = None,
        replace: bool = False,
    ) -> Hits:
        """Run a search and save it under a name, with everything that a report of it needs.

        If the same search is saved under this name, the run is added to its runs. The other arguments are those of
        `search`; `evidence` and `fold` are not saved. Raises QueryError if the name is invalid, or another search is
        saved under it and `replace` is not set.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> [saved.question for saved in index.saved_searches()]
        ['aspirin and bowel cancer']
        >>> index.close()
        """
        saved = SavedSearch(
            name=name,
            question=question,
            mode=mode or self.config.mode,
            limit=self._limit(limit),
            feedback=self.config.feedback if feedback is None else feedback,
            exact=self.config.exact if exact is None else exact,
            filters=as_filters(filters),
        )
        saved = begin_saved(self._reader.saved, saved, replace=replace)
        options = _options(
            saved.limit,
            saved.mode,
            saved.filters,
            evidence=evidence,
            fold=fold,
            feedback=saved.feedback,
            exact=saved.exact,
            sort=sort,
            min_score=min_score,
        )
        hits, run = self.engine.run(question, options)
        return Hits(self._noted(saved, run, hits)[0])

    def delete_saved(self, name: str) -> None:
        """Delete a saved search with its runs. Raises NotFoundError if there is no such name.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.delete_saved("aspirin")
        >>> index.saved_searches()
        []
        >>> index.close()
        """
        delete_saved(self._reader.saved, name)

    def rename_saved(self, name: str, new: str) -> None:
        """Give a saved search another name; its runs stay.

        Raises NotFoundError if there is no such name, QueryError if there is one of the new name.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.rename_saved("aspirin", "bowel-cancer")
        >>> [saved.name for saved in index.saved_searches()]
        ['bowel-cancer']
        >>> index.close()
        """
        rename_saved(self._reader.saved, name, new)

    def new_results(self, name: str) -> Hits:
        """Run a saved search over the articles that were added since it last ran, and note the run.

        After the new articles come those that it had found and that were retracted since it last ran, each with that
        among its notices.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.new_results("aspirin")
        []
        >>> index.close()
        """
        saved = read_saved(self._reader.saved, name)
        since = saved.runs[-1].change if saved.runs else 0
        options = _options(saved.limit, saved.mode, saved.filters, feedback=saved.feedback, exact=saved.exact)
        hits, run = self.engine.run(saved.question, options, since=since)
        hits, newly = self._noted(saved, run, hits)
        articles = self.get_many(pmid for pmid in newly if pmid not in {hit.pmid for hit in hits})
        retracted = [
            Hit(rank=rank, score=0.0, article=newly_retracted(article, saved))
            for rank, article in enumerate(articles, start=len(hits) + 1)
        ]
        return Hits([*hits, *retracted])

    def _noted(self, saved: SavedSearch, run: Run, hits: list[Hit]) -> tuple[list[Hit], tuple[int, ...]]:
        """Note the run of a search, and return its hits with what was retracted since marked, and the PMIDs of this."""
        pmids = [hit.pmid for hit in hits]
        with self._reader.view() as view:
            there = view.store.existing(saved.found | set(pmids))
            retracted = {pmid for pmid in retracted_among(view.store, there) if isinstance(pmid, int)}
        noted = saved.with_run(run, pmids, retracted)
        write_saved(self._reader.saved, noted)
        newly = noted.runs[-1].newly_retracted
        marked = [
            msgspec.structs.replace(hit, article=newly_retracted(hit.article, saved)) if hit.pmid in newly else hit
            for hit in hits
        ]
        return marked, newly

    def saved_searches(self) -> list[SavedSearch]:
        """Return the saved searches with their runs, by name.

        >>> index = Index.open("indexes/demo")
        >>> index.saved_searches()
        []
        >>> index.close()
        """
        return [read_saved(self._reader.saved, name) for name in self._reader.saved.names()]

    def saved_search(self, name: str) -> SavedSearch:
        """Return one saved search with its runs. Raises QueryError if there is none of that name.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.saved_search("aspirin").runs[0].passing
        220
        >>> index.close()
        """
        return read_saved(self._reader.saved, name)

    def saved_difference(self, name: str, first: int, second: int) -> RunDifference:
        """Return what sets two runs of a saved search apart, by their numbers from 1.

        Raises NotFoundError if there is no search of that name, QueryError if it has no such run.

        >>> index = Index.open("indexes/demo")
        >>> for _ in range(2):
        ...     hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.saved_difference("aspirin", 1, 2).changed
        {}
        >>> index.close()
        """
        return difference(self.saved_search(name), first, second)

    def saved_report(self, name: str, files: Sequence[str | Path | ByteStream] = ()) -> str:
        """Return what a review says of a saved search, in Markdown: methods, strategy, PRISMA numbers and items.

        `files` are references of other databases (RIS, BibTeX, CSV, ...), whose numbers and duplicates, among them and
        with what the search found, are part of the flow. Raises NotFoundError if there is no search of that name,
        SourceError if a file cannot be read.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.saved_report("aspirin").splitlines()[0]
        '# Report of the search aspirin'
        >>> index.close()
        """
        from search import __version__
        from search.formats.reference_lists import of_article
        from search.review.dedupe import dedupe_files
        from search.review.report import search_report

        saved = self.saved_search(name)
        others = None
        if files:
            own = [of_article(article) for article in self.present(saved.found)]
            others = dedupe_files(files, own=own)
        return search_report(saved, self.name, __version__, others)

    def present(self, pmids: Iterable[int]) -> list[Article]:
        """Return those of the articles that are in the index, in order of PMID.

        >>> index = Index.open("indexes/demo")
        >>> [article.pmid for article in index.present([990000011, 5])]
        [990000011]
        >>> index.close()
        """
        with self._reader.view() as view:
            found = with_notices(view.store, view.store.get_many(pmids))
        return [found[pmid] for pmid in sorted(found)]

    def saved_feed(self, name: str, address: str = "") -> str:
        """Return the Atom feed of a saved search: what its runs found, and what was retracted since, the newest first.

        Nothing is searched; `new_results` is what makes a run. `address` is where the feed will be. Raises
        NotFoundError if there is no search of that name.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.saved_feed("aspirin").count("<entry>")
        3
        >>> index.close()
        """
        from search.presentation.feed import atom_feed

        def articles_of(pmids: Iterable[int]) -> dict[int, Article]:
            return {article.pmid: article for article in self.present(pmids)}

        return atom_feed(self.saved_search(name), articles_of, address or f"urn:search:{name}")

    def check(self, file: str | Path | ByteStream) -> Report:
        r"""Check the references of a file: which are retracted, corrected, duplicated or not what PubMed has.

        The file is RIS, BibTeX, MEDLINE text, CSL JSON, CSV or a list of PMIDs and DOIs; one in memory is
        `ByteStream(name, data)`. Raises SourceError if it cannot be read.

        >>> from pathlib import Path
        >>> written = Path("pmids.txt").write_text("990000067\n990000010\n")
        >>> index = Index.open("indexes/demo")
        >>> index.check("pmids.txt").counts
        {'retracted': 1}
        >>> index.close()
        """
        from search.review.check import Lookup, check_file

        def by_title(title: str) -> list[int]:
            options = SearchOptions(limit=5, mode="lexical", fold=False, feedback=False)
            return [hit.pmid for hit in self.engine.answer([Question(title, Filters())], options)[0]]

        def articles(pmids: Iterable[int]) -> dict[int, Article]:
            return {article.pmid: article for article in self.present(pmids)}

        def retracted(works: Iterable[int | str]) -> set[int | str]:
            with self._reader.view() as view:
                return retracted_among(view.store, works)

        return check_file(file, Lookup(self.engine.identified, articles, by_title, retracted))

    def nearest(self, vectors: Vectors, limit: int | None = None) -> list[Hits]:
        """Return the articles nearest to vectors of your own: (n, dimension) float32 with unit rows.

        >>> index = Index.open("indexes/demo")
        >>> vectors = index.encoder.encode(["migraine"], kind="query")
        >>> len(index.nearest(vectors, limit=5)[0])
        5
        >>> index.close()
        """
        with self._reader.view() as view:
            return [Hits(hits) for hits in hits_of(view, nearest(view, vectors, self._limit(limit)))]

    def similar(
        self,
        pmids: int | Sequence[int] = (),
        limit: int | None = None,
        *,
        unlike: Sequence[int] = (),
        texts: Sequence[str] = (),
        filters: FiltersLike = None,
    ) -> Hits:
        """Return the articles most like one, or like several articles and texts together, without these.

        `texts` are titles, abstracts or whatever describes what is wanted; `unlike` are articles to keep away from.
        Raises QueryError if a PMID is not in the index.

        >>> index = Index.open("indexes/demo")
        >>> 990000010 in [hit.pmid for hit in index.similar(990000010)]
        False
        >>> len(index.similar([990000010, 990000011], 5, unlike=[990000050], texts=["salt intake"]))
        5
        >>> index.close()
        """
        liked = [pmids] if isinstance(pmids, int | str) else list(pmids)
        check_pmids([*liked, *unlike])
        vectors = self.encoder.encode([check_question(text) for text in texts]) if texts else None
        limit = self._limit(limit)
        return Hits(self.engine.similar(liked, limit, unlike=unlike, texts=vectors, filters=as_filters(filters)))

    def cited_by(self, pmid: int, limit: int = 100, *, offset: int = 0) -> Citations:
        """Return what cites an article: how many works, and those of the index, the newest first.

        Known are the references of the records of the index and, where it was added, NIH's open citation collection.
        Raises NotFoundError if the article is not in the index.

        >>> index = Index.open("indexes/demo")
        >>> index.cited_by(990000010).count
        0
        >>> index.close()
        """
        return self._citations(pmid, limit, offset, citing=True)

    def references(self, pmid: int, limit: int = 1000, *, offset: int = 0) -> Citations:
        """Return what an article cites, in its order: the articles of the index, and the PMIDs or DOIs of the others.

        Raises NotFoundError if the article is not in the index.

        >>> index = Index.open("indexes/demo")
        >>> index.references(990000010).others
        []
        >>> index.close()
        """
        return self._citations(pmid, limit, offset, citing=False)

    def snowball(
        self, pmids: Sequence[int] | str, limit: int | None = None, *, rounds: int = 1, seen: Iterable[int] = ()
    ) -> Snowball:
        """Return what cites some articles or is cited by them, those that touch most of them first.

        `pmids` may be the name of a saved search, whose last results they then are, and all that it ever found counts
        as `seen`, which is left out. Each round goes on from what the rounds before have found. Raises QueryError if
        there is nothing to begin with, NotFoundError if there is no such saved search.

        >>> index = Index.open("indexes/demo")
        >>> index.snowball([990000010, 990000011]).hits
        []
        >>> index.close()
        """
        from search.retrieval.citing import snowball

        left_out = set(seen)
        if isinstance(pmids, str):
            saved = self.saved_search(pmids)
            left_out |= saved.found
            pmids = sorted(saved.found)
        with self._reader.view() as view:
            found = snowball(
                view,
                pmids,
                partial(self.engine.vectors, view),
                rounds=rounds,
                limit=self._limit(limit),
                seen=left_out,
            )
        self.engine.keep_new()
        return found

    def _citations(self, pmid: int, limit: int, offset: int, *, citing: bool) -> Citations:
        from search.retrieval.citing import citations_of

        check_pmids([pmid])
        with self._reader.view() as view:
            return citations_of(view, pmid, citing=citing, limit=check_limit(limit), offset=offset)

    def landscape(self, hits: Sequence[Hit]) -> Landscape:
        """Return a map of hits: a place in the unit square for each, near those of like meaning, and named topics.

        Hits that are not encoded are put where their vectors are estimated to be. Hundreds of hits take about a second.

        >>> index = Index.open("indexes/demo")
        >>> topic_map = index.landscape(index.search("high blood pressure", 40))
        >>> len(topic_map.points), sum(topic.articles for topic in topic_map.topics)
        (40, 40)
        >>> index.close()
        """
        from search.retrieval.landscape import landscape_of

        with self._reader.view() as view:
            vectors = self.engine.vectors(view, [hit.pmid for hit in hits])
        self.engine.keep_new()
        placed = [hit for hit in hits if hit.pmid in vectors]
        rows = [vectors[hit.pmid] for hit in placed]
        return landscape_of(placed, np.stack(rows) if rows else np.empty((0, self.manifest.dimension), np.float32))

    def context(
        self,
        question: str,
        tokens: int = 1500,
        *,
        limit: int = 20,
        sentences: int = 3,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        exact: bool | None = None,
        retracted: Retracted = "mark",
    ) -> Context:
        """Return what a language model should answer a question from: sentences with their sources, within a budget.

        The best `limit` articles are looked through for the `sentences` nearest to the question; as many as fit into
        about `tokens` tokens are numbered, each under its citation. Retracted articles are marked, or left out.
        Raises QueryError as `search` does, and if `tokens` is below 1.

        >>> index = Index.open("indexes/demo")
        >>> passages = index.context("does aspirin lower the risk of bowel cancer?", 500)
        >>> passages.tokens <= 500, passages.sources[0].pmid, passages.text[:4]
        (True, 990000025, '[1] ')
        >>> index.close()
        """
        from search.retrieval.context import context_of

        if tokens < 1:
            raise QueryError(f"the number of tokens must be at least 1, not {tokens}")
        hits = self.search(question, limit, mode=mode, filters=filters, evidence=max(1, sentences), exact=exact)
        return context_of(question, hits, tokens, retracted=retracted)

    @overload
    def ask(
        self,
        question: str,
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        exact: bool | None = None,
        llm: Literal[False] = False,
    ) -> Findings: ...

    @overload
    def ask(
        self,
        question: str,
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        exact: bool | None = None,
        llm: Literal[True] | LlmConfig | LanguageModel,
        strict: bool | None = None,
    ) -> WrittenAnswer: ...

    def ask(
        self,
        question: str,
        limit: int | None = None,
        *,
        mode: Mode | None = None,
        filters: FiltersLike = None,
        exact: bool | None = None,
        llm: bool | LlmConfig | LanguageModel = False,
        strict: bool | None = None,
    ) -> Findings | WrittenAnswer:
        """Return what the best `limit` articles found about a question, as quotations with their sources.

        Findings that agree in wording and direction are in one group; the nearest and those of firmer designs come
        first. No language model takes part. Without groups, nothing near enough was found.

        With `llm` a language model writes an answer from these articles: the one of the configuration (`llm=True`), of
        another LlmConfig, or any object like `search.llm.language_models.LanguageModel`. Iterate over the answer for
        its sentences; each is checked against the sources it names, and marked or (`strict`, else as configured) left
        out if it fails. Raises QueryError as `search` does, and if no model is configured.

        >>> index = Index.open("indexes/demo")
        >>> findings = index.ask("does aspirin lower the risk of bowel cancer?")
        >>> findings.groups[0][0].text in index.get(findings.groups[0][0].pmid).abstract_text
        True
        >>> for sentence in index.ask("does aspirin prevent stroke?", llm=True):  # doctest: +SKIP
        ...     print(sentence.text, sentence.citations, sentence.problems)
        >>> index.close()
        """
        if llm is not False:
            return self._written_answer(question, limit or _ASKED, mode, filters, exact, llm, strict)
        from search.retrieval.findings import findings_of

        found = self.search(question, limit, mode=mode, filters=filters, evidence=2, exact=exact)
        hits = [hit for hit in found if hit.near_enough]
        return findings_of(question, hits, self.engine.sentence_vectors)

    def _written_answer(
        self,
        question: str,
        limit: int,
        mode: Mode | None,
        filters: FiltersLike,
        exact: bool | None,
        llm: Literal[True] | LlmConfig | LanguageModel,
        strict: bool | None,
    ) -> WrittenAnswer:
        from search.llm.answer import WrittenAnswer
        from search.llm.load import load_llm

        settings = llm if isinstance(llm, LlmConfig) else self.config.language_model
        if llm is True and settings is None:
            raise QueryError("no language model is set up: name one under `language_model` in config.yml")
        settings = settings or LlmConfig()
        model = load_llm(settings) if llm is True or isinstance(llm, LlmConfig) else llm
        context = self.context(question, settings.tokens, limit=limit, mode=mode, filters=filters, exact=exact)
        chosen = settings.strict if strict is None else strict
        return WrittenAnswer(context, model, self.engine.sentence_vectors, strict=chosen)

    # Writing ----------------------------------------------------------------------------------------------------------

    def add(
        self,
        sources: str | Path | Article | Iterable[str | Path] | Iterable[Article | Deletion],
        *,
        strict: bool = False,
        restore: bool = False,
        reread: bool = False,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Add articles: files, folders or `-` (standard input), or Article objects.

        The newest version of a PMID wins, and what was deleted stays deleted unless `restore` is set. What is there
        already is not encoded again; a file that was read to its end before is skipped unless `reread` is set. All
        articles are stored and searchable first; then they are encoded, which may be stopped at any time. Without
        `encode` they are not: searches then encode what they need. `strict` stops at the first record that cannot be
        used. Raises IndexLockedError if another process is writing, StoreError if the disk is full; what was committed
        stays.

        >>> from search import Article, Index
        >>> from search.article import AbstractSection
        >>> index = Index.open("indexes/demo")
        >>> abstract = (AbstractSection("It helped a little."),)
        >>> article = Article(pmid=990999999, title="Honey for cough", abstract=abstract)
        >>> index.add(article).counts["added"]
        1
        >>> index.close()
        """
        from search.ingest import pipeline as ingest

        encoder = self.encoder if encode else None
        paths, articles = _sort_out(sources)
        with self._writing() as writer:
            since = ingest.encoding_start(writer)
            if articles is not None:
                report = ingest.add_articles(writer, None, articles, restore=restore, progress=progress)
            else:
                report = ingest.add_files(
                    writer, None, paths, strict=strict, restore=restore, reread=reread, progress=progress
                )
            self._make_static(writer, progress)
            ingest.encode_added(writer, encoder, since, report, progress)
            return report

    def add_pubmed(
        self,
        query: str,
        *,
        limit: int | None = None,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Add the articles that PubMed finds for a query in its own language, `limit` of them at most.

        Asks NCBI's E-utilities; an API key is taken from the environment variable NCBI_API_KEY. A run that was
        interrupted resumes when the same query is given again. Raises QueryError if the query is empty, SourceError
        if NCBI does not answer; what was committed stays.

        >>> index = Index.open("indexes/demo")
        >>> report = index.add_pubmed("aspirin[majr] AND colorectal neoplasms[mh]", limit=500)  # doctest: +SKIP
        >>> index.close()
        """
        from search.files import cache_folder
        from search.ingest.pipeline import encode_added, encoding_start
        from search.pubmed.add_query import add_query
        from search.pubmed.eutils import Eutils

        encoder = self.encoder if encode else None
        settings = self.config.eutils
        eutils = Eutils(
            settings.url,
            tool=settings.tool,
            email=settings.email,
            api_key=os.environ.get("NCBI_API_KEY"),
            cache=cache_folder(),
            timeout=settings.timeout,
        )
        try:
            with self._writing() as writer:
                since = encoding_start(writer)
                report = add_query(writer, None, eutils, query, limit=limit, progress=progress)
                self._make_static(writer, progress)
                encode_added(writer, encoder, since, report, progress)
                return report
        finally:
            eutils.close()

    def sync(
        self,
        folder: str | Path | None = None,
        *,
        part: Part | None = None,
        change_part: bool = False,
        accept_removals: bool = False,
        keep: bool = False,
        encode: bool = True,
        progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        """Bring the index to NLM's state: apply the missing baseline and update files, in NLM's order.

        `folder` holds the files; without it they are downloaded from the address in the config, checked, and removed
        once they were applied unless `keep` is set. `part` keeps a part of PubMed (`search.pubmed.Part`: filters and
        words) and is remembered; another one later is refused unless `change_part` is set. A run that was stopped
        resumes where it was. Raises SourceError if a file cannot be downloaded or read, IndexFolderError if another
        part is kept, or if a new year's baseline would remove very many articles and `accept_removals` is not set.

        >>> from search.pubmed import make_part
        >>> index = Index.open("indexes/demo")
        >>> report = index.sync(part=make_part(since=2015, mesh=["Asthma"]))  # doctest: +SKIP
        >>> index.close()
        """
        from search.ingest.pipeline import encode_added
        from search.pubmed.origin import nlm_origin
        from search.pubmed.sync import synchronize

        encoder = self.encoder if encode else None
        with nlm_origin(self.config.nlm, self.address, folder, keep=keep) as origin, self._writing() as writer:
            report = synchronize(
                writer,
                None,
                origin,
                part=part,
                change_part=change_part,
                accept_removals=accept_removals,
                mesh_tree=load_mesh(self.config.mesh_tree),
                progress=progress,
            )
            self._make_static(writer, progress)
            encode_added(writer, encoder, 0, report.ingest, progress)
            return report

    def plan_sync(
        self, folder: str | Path | None = None, *, part: Part | None = None, change_part: bool = False
    ) -> SyncPlan:
        """Return what `sync` would do, how many records it would read and how long it would take.

        >>> index = Index.open("indexes/demo")
        >>> print(index.plan_sync().records)  # doctest: +SKIP
        >>> index.close()
        """
        from search.pubmed.origin import preview

        return preview(self.config, self.address, folder, part=part, change_part=change_part)

    def encode(
        self,
        *,
        ray: str | None = None,
        workers: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> IngestReport:
        """Encode the articles that were stored without a vector of their text.

        `ray` is the address of a Ray cluster that does it (`auto`, `ray://host:10001`, or `local` for one on this
        machine), a worker for each of its GPUs, or else `workers` of them. Raises ConfigError if there is none.

        >>> index = Index.open("indexes/demo")
        >>> index.encode().encoded
        0
        >>> index.close()
        """
        from search.ingest import pipeline as ingest

        encoder = self.encoder
        if ray is None:
            with self._writing() as writer:
                self._make_static(writer, progress)
                return ingest.encode_stale(writer, encoder, progress=progress)
        from search.ingest.ray_cluster import encode_on_cluster, ray_cluster
        from search.models import load_encoder

        load = partial(load_encoder, self.manifest.used_model, precision=self.config.model_precision)
        with ray_cluster(ray) as cluster, self._writing() as writer:
            self._make_static(writer, progress)
            return encode_on_cluster(writer, cluster, load, workers=workers, progress=progress)

    def import_vectors(
        self,
        paths: Sequence[str | Path],
        *,
        pmids: str | Path | None = None,
        model: str | None = None,
        replace: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> ImportReport:
        """Take published vectors instead of encoding, for articles that are there and have none of their text.

        `paths` are `.npy` files, or folders of NCBI's `embeds_chunk_N.npy` with `pmids_chunk_N.json`; `pmids` names the
        file with the PMIDs of any other `.npy`, `model` the model that made them. Raises SourceError if a file cannot
        be used, IndexMismatchError if model or dimension is not the index's; then nothing is written.

        >>> index = Index.open("indexes/demo")
        >>> report = index.import_vectors(["embeddings"], model="medcpt")  # doctest: +SKIP
        >>> index.close()
        """
        from search.ingest.published_vectors import import_vectors

        with self._writing() as writer:
            return import_vectors(
                writer, self.manifest, paths, pmids=pmids, model=model, replace=replace, progress=progress
            )

    def add_citations(
        self,
        path: str | Path,
        *,
        everything: bool = False,
        reread: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> FileReport:
        """Add NIH's open citation collection, a CSV of `citing,referenced`, and say what came of it.

        Citations of which neither article is in the index are left out unless `everything` is set. A run that was
        stopped resumes; a file that was read before is not read again unless `reread` is set. Raises SourceError if
        it cannot be read to its end, or has no such columns.

        >>> index = Index.open("indexes/demo")
        >>> report = index.add_citations("open_citation_collection.csv")  # doctest: +SKIP
        >>> index.close()
        """
        from search.ingest.citation_files import add_citations

        with self._writing() as writer:
            return add_citations(writer, path, everything=everything, reread=reread, progress=progress)

    def remove_citations(self) -> int:
        """Remove what was added by `add_citations`, and return how many citations; those of records stay.

        >>> index = Index.open("indexes/demo")
        >>> index.remove_citations()
        0
        >>> index.close()
        """
        from search.ingest.citation_files import remove_citations

        with self._writing() as writer:
            return remove_citations(writer)

    def add_retractions(self, path: str | Path) -> FileReport:
        """Take Retraction Watch's list, its public CSV, in place of the one that is there, and say what came of it.

        Its reasons and dates are then among the notices of articles, found by PMID and then by DOI. Raises SourceError
        if the file cannot be read to its end or is no such list; then nothing changes.

        >>> index = Index.open("indexes/demo")
        >>> report = index.add_retractions("retraction_watch.csv")  # doctest: +SKIP
        >>> index.close()
        """
        from search.ingest.citation_files import add_retractions
        from search.retrieval.citing import pmids_by_identifier

        def by_doi(dois: Iterable[str]) -> dict[str, int]:
            with self._reader.view() as view:
                return pmids_by_identifier(view, dois)

        with self._writing() as writer:
            return add_retractions(writer, path, by_doi)

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles and return how many there were. They stay deleted, whatever is added later.

        Raises QueryError for a number that is not a valid PMID.

        >>> index = Index.open("indexes/demo")
        >>> index.delete([990000001])
        1
        >>> index.get(990000001) is None
        True
        >>> index.close()
        """
        unique = set(pmids)
        check_pmids(unique)
        with self._writing() as writer:
            deleted = writer.store.delete(unique)
            writer.merge_if_due()
            return deleted

    def copy_to(self, target: str | Path, *, progress: Callable[[float], None] | None = None) -> int:
        """Copy the index to another address, a folder or a database, and return how many articles were copied.

        Nothing is encoded; deletions, ledger and saved searches come along. A copy that was interrupted resumes when
        it is begun again, and what was written to this index meanwhile is copied in the end; the target can be opened
        from then on. `progress` receives the share that is done. Raises IndexFolderError if the target holds anything
        but an unfinished copy of this index.

        >>> index = Index.open("indexes/demo")
        >>> index.copy_to("indexes/second") == index.status().articles
        True
        >>> index.close()
        """
        from search.storage.copy import copy_index

        return copy_index(self._reader, target, self.config, progress)

    def merge(self) -> None:
        """Bring the derived parts up to the last change now instead of when it is due.

        >>> index = Index.open("indexes/demo")
        >>> index.merge()
        >>> index.status().unmerged
        0
        >>> index.close()
        """
        with self._writing() as writer:
            writer.merge()

    def _keep_vectors(self, hashes: Hashes, vectors: Vectors) -> None:
        """Store vectors made at a question, unless another process writes or the index is read-only."""
        with suppress(SearchError, OSError), self._writing() as writer:
            writer.store.put_vectors(hashes, vectors)

    def _note(self, key: str, value: str) -> None:
        """Keep what was computed from the articles, unless another process writes or the index is read-only."""
        with suppress(SearchError, OSError), self._writing() as writer:
            writer.store.note(key, value)

    def _make_static(self, writer: Writer, progress: Callable[[Progress], None] | None) -> None:
        """Make what the first stage finds articles by that are not encoded, if it is due."""
        from search.ingest.static_models import make_from_vocabulary

        make_from_vocabulary(writer, lambda: self.encoder, progress)

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        writer = backend.open_writer(self.address, self.config)
        try:
            yield writer
        except BaseException:
            writer.close(wait=False)
            raise
        writer.close()


def _options(
    limit: int | None,
    mode: Mode | None,
    filters: FiltersLike,
    *,
    evidence: int = 0,
    fold: bool = True,
    feedback: bool | None = None,
    exact: bool | None = None,
    sort: Sort = "relevance",
    min_score: float | None = None,
) -> SearchOptions:
    return SearchOptions(
        limit=limit,
        mode=mode,
        filters=as_filters(filters),
        evidence=evidence,
        fold=fold,
        feedback=feedback,
        exact=exact,
        sort=sort,
        min_score=min_score,
    )


def _static_kind(static: StaticVectors | None) -> str:
    """Return what articles that are not encoded are found by, beside their words."""
    if static is None:
        return "none"
    if static.fitted:
        return f"fitted to the vectors of {static.fitted:,} articles"
    return f"from the model's vectors of the tokens of {static.articles:,} articles"


def _load_encoder(model: str | ModelConfig, config: Config, *, brief: bool = False) -> Encoder:
    from search.models import load_encoder

    return load_encoder(model, precision=config.model_precision, brief=brief)


def _sort_out(
    sources: str | Path | Article | Iterable[str | Path] | Iterable[Article | Deletion],
) -> tuple[list[str | Path], Iterable[Article | Deletion] | None]:
    """Tell paths from articles: exactly one of the two is given."""
    if isinstance(sources, str | Path):
        return [sources], None
    if isinstance(sources, Article | Deletion):
        return [], [sources]
    rest = iter(sources)
    first = next(rest, None)
    if first is None:
        return [], None
    if isinstance(first, str | Path):
        return [first, *rest], None  # type: ignore[list-item]
    return [], _chain(first, rest)


def _chain(first: object, rest: Iterator[object]) -> Iterator[Article | Deletion]:
    yield _article(first)
    for item in rest:
        yield _article(item)


def _article(item: object) -> Article | Deletion:
    if not isinstance(item, Article | Deletion):
        raise TypeError(f"Index.add takes paths or Article objects, not {type(item).__name__}")
    return item
