"""The part of the Python API that finds articles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import msgspec

from search.errors import QueryError
from search.opened import OpenedIndex
from search.retrieval.engine import RERANKED, read_question, reranked, with_evidence
from search.retrieval.facets import Facets, facets_of
from search.retrieval.filters import Filters
from search.retrieval.ranking import Hit, Mode, check_question, hits_of, nearest
from search.retrieval.saved_searches import Run, SavedSearch, read_saved, write_saved

if TYPE_CHECKING:
    from search.models import Reranker
    from search.retrieval.context import Context, Retracted
    from search.retrieval.landscape import Landscape
    from search.storage.rows import Vectors

__all__ = ["SearchableIndex"]


class SearchableIndex(OpenedIndex):
    """An index that articles are found in."""

    @overload
    def search(
        self,
        question: str,
        limit: int = 10,
        *,
        mode: Mode = "semantic",
        filters: Filters | None = None,
        evidence: int = 0,
        fold: bool = True,
    ) -> list[Hit]: ...
    @overload
    def search(
        self,
        question: list[str],
        limit: int = 10,
        *,
        mode: Mode = "semantic",
        filters: Filters | None = None,
        evidence: int = 0,
        fold: bool = True,
    ) -> list[list[Hit]]: ...
    def search(
        self,
        question: str | list[str],
        limit: int = 10,
        *,
        mode: Mode = "semantic",
        filters: Filters | None = None,
        evidence: int = 0,
        fold: bool = True,
    ) -> list[Hit] | list[list[Hit]]:
        """Return the articles that answer a question, best first; for a list of questions, a list each.

        `mode`: `semantic` ranks by cosine, exact up to the rounding of the stored vectors; `lexical` by the BM25 of
        the words; `hybrid` by both (`search.retrieval.fusion`). Where the config has `rerank`, that cross-encoder puts
        the first 100 in its own order, and its score is the hits'. `filters` and PubMed field tags inside a question
        restrict the search before the cut: if `limit` articles pass, so many come back. A question of tags alone
        gives the newest articles that pass. `evidence` sentences of each abstract are found, those nearest to the
        question. `fold` shows articles that are one (same DOI, or same title and year) once, with the others as
        `Hit.duplicates`. Several questions are encoded as one batch. Raises QueryError if a question is empty, its
        tags do not parse, or `limit` is below 1.

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
        texts = [question] if isinstance(question, str) else question
        read = [read_question(text, filters) for text in texts]
        with self._reader.view() as view:
            depth = max(limit, RERANKED) if self.config.rerank else limit
            answers = self._engine.search(view, read, self._encode_queries, depth, mode, fold=fold)
        if self.config.rerank:
            answers = [
                reranked(hits, question.text, self._reranker.score)[:limit] if question.text else hits[:limit]
                for hits, question in zip(answers, read, strict=True)
            ]
        if evidence:
            answers = with_evidence(answers, read, self._encode_queries, evidence)
        return answers[0] if isinstance(question, str) else answers

    @cached_property
    def _reranker(self) -> Reranker:
        from search.models import load_reranker

        return load_reranker(self.config.rerank or "")

    def _encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encoder.encode(texts, kind="query")

    def facets(
        self,
        question: str,
        *,
        mode: Mode = "semantic",
        filters: Filters | None = None,
        depth: int = 1000,
    ) -> Facets:
        """Count the first `depth` results of a search by year, journal, MeSH heading, type and language.

        >>> index = Index.open("indexes/demo")
        >>> index.facets("high blood pressure", depth=50).articles
        50
        >>> index.close()
        """
        return facets_of(hit.article for hit in self.search(question, depth, mode=mode, filters=filters, fold=False))

    def save_search(
        self,
        name: str,
        question: str,
        limit: int = 10,
        *,
        mode: Mode = "semantic",
        filters: Filters | None = None,
    ) -> list[Hit]:
        """Run a search and keep it under a name, with what is needed to say how it was made.

        A search of that name is replaced. Raises QueryError for a name that is none.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> [saved.question for saved in index.saved_searches()]
        ['aspirin and bowel cancer']
        >>> index.close()
        """
        saved = SavedSearch(name=name, question=question, mode=mode, limit=limit, filters=filters or Filters())
        return self._run_saved(saved, among_new=False)

    def new_results(self, name: str) -> list[Hit]:
        """Run a saved search over the articles that were added since it last ran, and note the run.

        >>> index = Index.open("indexes/demo")
        >>> hits = index.save_search("aspirin", "aspirin and bowel cancer", limit=3)
        >>> index.new_results("aspirin")
        []
        >>> index.close()
        """
        return self._run_saved(read_saved(self._reader.saved, name), among_new=True)

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

    def _run_saved(self, saved: SavedSearch, *, among_new: bool) -> list[Hit]:
        question = read_question(saved.question, saved.filters)
        with self._reader.view() as view:
            among = view.added_since(saved.runs[-1].change if saved.runs else 0) if among_new else None
            hits = self._engine.search(
                view, [question], self._encode_queries, saved.limit, saved.mode, fold=True, among=among
            )[0]
            allowed = self._engine.allowed(view, question.filters)
            passing = view.store.counts()["articles"] if allowed is None else view.count(allowed)
            run = Run.of(view, passing, len(hits))
        write_saved(self._reader.saved, msgspec.structs.replace(saved, runs=(*saved.runs, run)))
        return hits

    def nearest(self, vectors: Vectors, limit: int = 10) -> list[list[Hit]]:
        """Return the articles nearest to vectors of your own: (n, dimension) float32 with unit rows.

        >>> index = Index.open("indexes/demo")
        >>> vectors = index.encoder.encode(["migraine"], kind="query")
        >>> len(index.nearest(vectors, limit=5)[0])
        5
        >>> index.close()
        """
        with self._reader.view() as view:
            return hits_of(view, nearest(view, vectors, limit))

    def similar(
        self,
        pmids: int | Sequence[int] = (),
        limit: int = 10,
        *,
        unlike: Sequence[int] = (),
        texts: Sequence[str] = (),
        filters: Filters | None = None,
    ) -> list[Hit]:
        """Return the articles most like one, or like several articles and texts together, without these.

        `texts` are titles, abstracts or whatever describes what is wanted; `unlike` are articles to keep away from.
        Raises QueryError if a PMID is not in the index or has no vector yet.

        >>> index = Index.open("indexes/demo")
        >>> 990000010 in [hit.pmid for hit in index.similar(990000010)]
        False
        >>> len(index.similar([990000010, 990000011], 5, unlike=[990000050], texts=["salt intake"]))
        5
        >>> index.close()
        """
        from search.retrieval.similar import similar

        liked = [pmids] if isinstance(pmids, int) else list(pmids)
        vectors = self.encoder.encode([check_question(text) for text in texts]) if texts else None
        with self._reader.view() as view:
            allowed = self._engine.allowed(view, filters or Filters())
            found = similar(view, liked, limit, unlike=unlike, texts=vectors, allowed=allowed)
            return hits_of(view, [found])[0]

    def landscape(self, hits: Sequence[Hit]) -> Landscape:
        """Return a map of hits: a place in the unit square for each, near those of like meaning, and named topics.

        Hits that have no vector yet are left out. Takes about a second for some hundreds of hits.

        >>> index = Index.open("indexes/demo")
        >>> found = index.landscape(index.search("high blood pressure", 40))
        >>> len(found.points), sum(topic.articles for topic in found.topics)
        (40, 40)
        >>> index.close()
        """
        from search.retrieval.landscape import landscape_of

        with self._reader.view() as view:
            pmids, vectors = view.store.vectors([hit.pmid for hit in hits])
        row = {pmid: place for place, pmid in enumerate(pmids.tolist())}
        placed = [hit for hit in hits if hit.pmid in row]
        return landscape_of(placed, vectors[[row[hit.pmid] for hit in placed]])

    def context(
        self,
        question: str,
        tokens: int = 1500,
        *,
        limit: int = 20,
        sentences: int = 3,
        mode: Mode = "semantic",
        filters: Filters | None = None,
        retracted: Retracted = "mark",
    ) -> Context:
        """Return what a language model should answer a question from: sentences with their sources, within a budget.

        The best `limit` articles are looked through for the `sentences` nearest to the question; as many as fit into
        about `tokens` tokens are numbered, each under its citation. Retracted articles are marked, or left out.
        Raises QueryError as `search` does, and if `tokens` is below 1.

        >>> index = Index.open("indexes/demo")
        >>> found = index.context("does aspirin lower the risk of bowel cancer?", 500)
        >>> found.tokens <= 500, found.sources[0].pmid, found.text[:4]
        (True, 990000025, '[1] ')
        >>> index.close()
        """
        from search.retrieval.context import context_of

        if tokens < 1:
            raise QueryError(f"the number of tokens must be at least 1, not {tokens}")
        hits = self.search(question, limit, mode=mode, filters=filters, evidence=max(1, sentences))
        return context_of(question, hits, tokens, retracted=retracted)
