"""The search engine: all that happens between a question and its hits, in the order in which it happens.

`Engine.search` reads the questions, encodes them once, selects the articles that pass the filters, ranks those by
meaning, by words or by both, reads the articles, folds duplicates, reranks, and finds evidence sentences.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
from cachetools import LRUCache

from search.article import Article, embedding_text
from search.config import Config
from search.errors import IndexCorruptError, NotFoundError, QueryError
from search.models.kept_vectors import KeptVectors
from search.normalize import date_spans, folded_key
from search.retrieval.duplicates import fold as fold_articles
from search.retrieval.evidence import evidence_for_all
from search.retrieval.expansion import Expansion, Understanding, expand
from search.retrieval.filter_sql import condition_of
from search.retrieval.filters import Filters, explode
from search.retrieval.first_stage import FirstStage
from search.retrieval.floor import Floor, as_setting, kept, measured, with_nearness
from search.retrieval.hit import Duplicate, Hit
from search.retrieval.identifiers_typed import identifier_query
from search.retrieval.integrity import with_notices
from search.retrieval.mesh_tree import load_mesh
from search.retrieval.on_demand import Hashes, OnDemand
from search.retrieval.ranking import Ranker, Ranking
from search.retrieval.request import Mode, Question, SearchOptions, Sort, check_limit, read_question
from search.retrieval.saved_searches import LineCount, Run
from search.retrieval.similar import similar
from search.retrieval.strategy import StrategyEvaluation, StrategyResult, parse_strategy
from search.retrieval.strategy.term_mapping import mapped
from search.retrieval.strategy.term_query import authors_query
from search.retrieval.suggestions import Suggestion, suggestions
from search.retrieval.unknown_values import unknown_values
from search.storage.backend import Reader, Selection, View
from search.storage.citation_graph import cited_counts
from search.storage.conditions import Condition, Conditions, all_of
from search.storage.rows import Pmids, Vectors
from search.time_limit import check_time

if TYPE_CHECKING:
    from search.models.encoder import Kind
    from search.models.tokens import Text

__all__ = ["RERANKED", "Encode", "Engine", "Keep", "Note", "Score", "cited_forward", "folded", "hits_of", "reranked"]

#: So many hits of the first stage are put in order by the cross-encoder, where there is one.
RERANKED = 100

#: So many articles near enough to a question are counted.
_COUNTED = 1_000

#: So many of the best hits are put in order by date or author.
SORTED = 200

#: Sentences of abstracts whose vectors are kept: those of some hundred pages of results.
_SENTENCES_KEPT = 10_000

#: Selections of filters that are kept; a page sends the same filters again and again.
_SELECTIONS_KEPT = 16

#: Questions whose expansion is kept: one is read twice where questions of several requests are encoded together.
_EXPANSIONS_KEPT = 256

#: So many more candidates are ranked than are shown, so that folding leaves enough.
_DUPLICATES_EXPECTED = 10

#: Texts and their kind to vectors: (n, dimension) float32 with unit rows.
Encode: TypeAlias = "Callable[[Sequence[Text], Kind], Vectors]"

#: Stores vectors that were made at a question, with the PMID and the hash of the text of each.
Keep: TypeAlias = Callable[[Hashes, Vectors], None]

#: Keeps something that was computed from the articles with the index: a name and a value.
Note: TypeAlias = Callable[[str, str], None]

#: A question and n texts to n float32 scores, the higher the better.
Score = Callable[[str, list[str]], Vectors]


class Engine:
    """Answers questions on one index as its configuration says (`mode`, `results`, `rerank`, `mesh_tree`)."""

    def __init__(
        self,
        reader: Reader,
        encode: Encode,
        config: Config | None = None,
        keep: Keep | None = None,
        note: Note | None = None,
    ) -> None:
        self.config = config or Config()
        #: What encodes candidates that have no vector yet; `keep` stores what it made.
        self.on_demand = OnDemand(lambda texts: encode(texts, "document"), self.config.encode_on_demand)
        self._keep = keep
        #: Notes a floor that was measured, which is done when no view is held.
        self._note = note
        self._new_floor: Floor | None = None
        self._reader = reader
        self._encode = encode
        self._mesh_tree = load_mesh(self.config.mesh_tree)
        self._selections: LRUCache[tuple[Filters, int | None, int], Selection] = LRUCache(_SELECTIONS_KEPT)
        self._expansions: LRUCache[tuple[str, int], Expansion] = LRUCache(_EXPANSIONS_KEPT)
        self._floors: LRUCache[int, Floor | None] = LRUCache(1)
        self._lock = threading.Lock()
        self.sentence_vectors = KeptVectors(lambda texts: encode(texts, "document"), _SENTENCES_KEPT)

    def search(self, questions: Sequence[str], options: SearchOptions | None = None) -> list[list[Hit]]:
        """Return the hits of each question, best first; the questions are encoded as one batch.

        A question of tags alone is answered with the newest articles that pass; a PMID, DOI, PMCID or the address of an
        article with that article. Raises QueryError if a question is empty, its tags do not parse, or the limit is
        below 1; NotFoundError if the index has no article of an identifier.
        """
        options = options or SearchOptions()
        return self.answer([self._read(question, options) for question in questions], options)

    def answer(self, questions: Sequence[Question], options: SearchOptions) -> list[list[Hit]]:
        """Return the hits of each question that was read already; the filters are those of the questions."""
        vectors = self._encode_questions(questions, options)
        with self._reader.view() as view:
            answers = self._first_stage(view, questions, vectors, options)
        self.keep_new()
        return self._second_stage(questions, vectors, answers, options)

    def run(self, question: str, options: SearchOptions, *, since: int | None = None) -> tuple[list[Hit], Run]:
        """Return the hits of one question, and the record of this run for a saved search.

        `since`: search only the articles that were first added after this change number.
        """
        read = self._read(question, options)
        vectors = self._encode_questions([read], options)
        with self._reader.view() as view:
            answers = self._first_stage(view, [read], vectors, options, since)
            allowed = self.allowed(view, read.filters)
            passing = self._passing(view, allowed)
            hits = answers[0][: self._last(options)]
            run = Run.of(view, passing, len(hits), hits[0].added_words if hits else (), tuple(map(str, read.changes)))
            lines = self._line_counts(view, read.filters.strategy) if read.filters.strategy else ()
            run = msgspec.structs.replace(run, lines=lines, since=since)
        self.keep_new()
        return self._second_stage([read], vectors, answers, options)[0], run

    def _line_counts(self, view: View, strategy: str) -> tuple[LineCount, ...]:
        lines = self._evaluation(view, strategy).result().lines
        return tuple(LineCount(line.number, line.text, line.count) for line in lines)

    def understand(self, question: str, options: SearchOptions, *, near: bool = False) -> Understanding:
        """Return what a question is searched as, and how many articles pass its filters.

        With `near`, count those near enough to it too: up to a thousand, and maybe not all, as vectors are searched.
        """
        read = self._read(question, options)
        vectors = self._encode_questions([read], options) if near else {}
        with self._reader.view() as view:
            allowed = self.allowed(view, read.filters)
            passing = self._passing(view, allowed)
            count = self._near_enough(view, vectors[read.text], allowed) if read.text in vectors else None
        self.keep_new()
        return Understanding(question, read.text, read.changes, passing, count)

    def _near_enough(self, view: View, vector: Vectors, allowed: Selection | None) -> int | None:
        floor = self._floor(view)
        if floor is None or floor.static:
            return None
        ((_, cosines),) = view.nearest(vector[None], _COUNTED, allowed=allowed)
        return int(np.count_nonzero(cosines >= floor.near))

    def _passing(self, view: View, allowed: Selection | None) -> int:
        return view.store.counts()["articles"] if allowed is None else view.count(allowed)

    def similar(
        self,
        pmids: Sequence[int],
        limit: int,
        *,
        unlike: Sequence[int] = (),
        texts: Vectors | None = None,
        filters: Filters | None = None,
    ) -> list[Hit]:
        """Return the articles most like some articles and texts together; see `search.retrieval.similar`."""
        with self._reader.view() as view:
            allowed = self.allowed(view, filters or Filters())
            depth = check_limit(limit) + len({*pmids, *unlike})
            ranker = Ranker(view, depth, allowed=allowed, feedback=False, on_demand=self.on_demand)
            look_up = partial(self.vectors, view)
            hits = hits_of(view, [similar(ranker, pmids, limit, unlike=unlike, texts=texts, vectors_of=look_up)])[0]
        self.keep_new()
        return hits

    def vectors(self, view: View, pmids: Sequence[int]) -> dict[int, Vectors]:
        """Return the vectors of articles; the missing ones are encoded now, up to the limit, or estimated."""
        stage = FirstStage(view, self.on_demand, 0, None)
        vectors = stage.vectors(pmids)
        missing = [pmid for pmid in dict.fromkeys(pmids) if pmid not in vectors]
        there = view.store.existing(missing) if missing else set()
        encodable = [pmid for pmid in missing if pmid in there][: self.on_demand.budget]
        vectors.update(self.on_demand.encode(view, encodable) if encodable else {})
        return {**stage.estimated(there - vectors.keys()), **vectors}

    def is_encoded(self) -> bool:
        """Whether every article has a vector, so that no search has to encode any."""
        with self._reader.view() as view:
            return not view.store.has_stale()

    def keep_new(self) -> None:
        """Store the vectors that were made at questions, and a new floor; to be called when no view is held."""
        hashes, vectors = self.on_demand.take_new()
        if hashes and self._keep is not None:
            self._keep(hashes, vectors)
        with self._lock:
            floor, self._new_floor = self._new_floor, None
        if floor is not None and self._note is not None:
            self._note(*as_setting(floor))

    def questions_to_encode(self, questions: Sequence[str], options: SearchOptions) -> list[str]:
        """Return the texts that `search` encodes as questions. Raises QueryError if tags do not parse."""
        return self._texts([self._read(question, options) for question in questions], options)

    def allowed(self, view: View, filters: Filters, since: int | None = None) -> Selection | None:
        """Return the articles that pass the filters and, with `since`, were first added after that change number.

        None if all do.
        """
        if filters.is_empty and since is None:
            return None
        key = (filters, since, view.change)
        with self._lock:
            selection = self._selections.get(key)
        if selection is None:
            # Not under the lock: a strategy may take a while.
            selection = self._select(view, filters, since)
            with self._lock:
                self._selections[key] = selection
        return selection

    def check_values(self, filters: Filters) -> None:
        """Raise QueryError if no article has a value of the filters, with the nearest: for an empty answer."""
        with self._reader.view() as view:
            if unknown := unknown_values(filters, view.tokens):
                raise QueryError("; ".join(unknown))

    def suggest(self, field: str, prefix: str, limit: int = 10) -> list[Suggestion]:
        """Return the values of a field that begin with a text; see `search.retrieval.suggestions`."""
        with self._reader.view() as view:
            return suggestions(view, field, prefix, check_limit(limit), self._mesh_tree)

    def identified(self, text: str) -> list[int] | None:
        """Return the PMIDs of the articles that an identifier names, none if it is unknown; None for any other text."""
        query = identifier_query(text)
        if query is None:
            return None
        with self._reader.view() as view:
            pmids: list[int] = view.tokens.pmids(query).tolist()
            return pmids

    def _read(self, question: str, options: SearchOptions) -> Question:
        filters = options.filters
        pmids = self.identified(question)
        if pmids is None:
            read = read_question(question, filters)
            return read if self._exact(options) or not read.text else self._expanded(read)
        if not pmids:
            raise NotFoundError(f"{question.strip()} is not in {self._reader.name}: it holds no such article")
        given = frozenset(pmids) if filters.pmids is None else filters.pmids.intersection(pmids)
        return Question("", msgspec.structs.replace(filters, pmids=given))

    def _expanded(self, question: Question) -> Question:
        """Return a question with its misspelled words, acronyms and everyday names understood."""
        with self._reader.view() as view:
            key = question.text, view.change
            with self._lock:
                expansion = self._expansions.get(key)
            if expansion is None:
                expansion = expand(view, question.text, self._mesh_tree)
                with self._lock:
                    self._expansions[key] = expansion
        return Question(expansion.text, question.filters, expansion.terms, expansion.changes)

    def strategy(self, text: str) -> StrategyResult:
        """Return what a strategy selects, line by line. Raises QueryError with the place of what cannot be read."""
        with self._reader.view() as view:
            return self._evaluation(view, text).result()

    def _evaluation(self, view: View, text: str) -> StrategyEvaluation:
        strategy = mapped(parse_strategy(text), self._mesh_tree, view.tokens)
        acting = self._mesh_tree.acting if self._mesh_tree is not None else None
        return StrategyEvaluation(strategy, view.tokens, view.store, self._below, acting)

    def _below(self, heading: str) -> list[str]:
        return self._mesh_tree.below(heading) if self._mesh_tree is not None else []

    def _select(self, view: View, filters: Filters, since: int | None) -> Selection:
        selected = None
        if filters.strategy is not None or filters.authors:
            selected = self._by_tokens(view, filters)
            filters = msgspec.structs.replace(filters, strategy=None, authors=())
            if filters.is_empty and since is None:
                return view.listed(selected)
        if self._mesh_tree is not None:
            filters = explode(filters, self._mesh_tree.below)
        return view.select(partial(_condition, filters, since, None if selected is None else selected.tolist()))

    def _by_tokens(self, view: View, filters: Filters) -> Pmids:
        """Return the articles that a strategy selects and of which one of some authors is an author, ascending."""
        if filters.strategy is None:
            return view.tokens.pmids(authors_query(filters.authors))
        selected = self._evaluation(view, filters.strategy).pmids()
        if filters.authors:
            return np.intersect1d(selected, view.tokens.pmids(authors_query(filters.authors)), assume_unique=True)
        return selected

    def _texts(self, questions: Sequence[Question], options: SearchOptions) -> list[str]:
        if self._mode(options) == "lexical" and not options.evidence:
            return []
        return list(dict.fromkeys(question.text for question in questions if question.text))

    def _encode_questions(self, questions: Sequence[Question], options: SearchOptions) -> dict[str, Vectors]:
        texts = self._texts(questions, options)
        return dict(zip(texts, self._encode(texts, "query"), strict=True)) if texts else {}

    def _first_stage(
        self,
        view: View,
        questions: Sequence[Question],
        vectors: Mapping[str, Vectors],
        options: SearchOptions,
        since: int | None = None,
    ) -> list[list[Hit]]:
        """Return, for each question, as many hits as the second stage needs; `since` as in `allowed`."""
        depth = self._last(options)
        if self.config.rerank or self.config.citation_share:
            depth = max(depth, RERANKED)
        if options.sort != "relevance":
            depth = max(depth, SORTED)
        limit = depth + _DUPLICATES_EXPECTED if options.fold else depth
        rankings: list[Ranking] = []
        for filters, group in groupby(questions, key=lambda question: question.filters):
            check_time()
            allowed = self.allowed(view, filters, since)
            ranker = Ranker(
                view,
                limit,
                mode=self._mode(options),
                allowed=allowed,
                feedback=self._feedback(options),
                on_demand=self.on_demand.limited(options.encode_on_demand),
            )
            for terms, alike in groupby(group, key=lambda question: question.terms):
                rankings += ranker.rank([question.text for question in alike], vectors, terms)
        answers = hits_of(view, rankings)
        if self.config.citation_share:
            answers = [cited_forward(hits, self.config.citation_share) for hits in answers]
        if options.fold:
            answers = [folded(hits)[:depth] for hits in answers]
        if options.min_score is not None:
            return answers
        return [
            self._with_nearness(view, question, vectors, hits)
            for question, hits in zip(questions, answers, strict=True)
        ]

    def _with_nearness(
        self, view: View, question: Question, vectors: Mapping[str, Vectors], hits: list[Hit]
    ) -> list[Hit]:
        """Mark the hits that are probably not about the question; what a strategy selects is left as it is."""
        if question.text not in vectors or not hits or hits[0].cosine is None or question.filters.strategy:
            return hits
        floor = self._floor(view)
        return with_nearness(view, floor, vectors[question.text], hits) if floor is not None else hits

    def _floor(self, view: View) -> Floor | None:
        generation = view.manifest.generation
        with self._lock:
            if generation in self._floors:
                return self._floors[generation]
        floor = kept(view)
        new = measured(view) if floor is None else None
        with self._lock:
            self._floors[generation] = floor or new
            self._new_floor = new or self._new_floor
        return floor or new

    def _second_stage(
        self,
        questions: Sequence[Question],
        vectors: Mapping[str, Vectors],
        answers: list[list[Hit]],
        options: SearchOptions,
    ) -> list[list[Hit]]:
        """Return the hits that are shown: reranked, cut to offset and limit, with evidence.

        A question of tags alone has no words that a text could be near to: it is neither reranked nor has evidence.
        """
        shown: list[list[Hit]] = []
        for question, hits in zip(questions, answers, strict=True):
            check_time()
            if self.config.rerank and question.text:
                hits = reranked(hits, question.text, self._score)
            if options.min_score is not None:
                hits = [hit for hit in hits if hit.score >= options.min_score]
            hits = sorted_by(options.sort, hits)[options.offset : self._last(options)]
            if options.evidence and question.text:
                hits = self._with_evidence(hits, question.text, vectors[question.text], options.evidence)
            if question.changes:
                hits = [msgspec.structs.replace(hit, changes=question.changes) for hit in hits]
            shown.append(hits)
        return shown

    def _with_evidence(self, hits: list[Hit], question: str, vector: Vectors, count: int) -> list[Hit]:
        """Return the hits with the `count` sentences of each abstract that best say what was found."""
        with self._reader.view() as view:
            static = view.store.static()
        if static is not None and not static.fitted:
            static = None
        articles = [hit.article for hit in hits]
        evidence = evidence_for_all(articles, question, vector, self.sentence_vectors, count, static)
        return [
            msgspec.structs.replace(hit, evidence=tuple(sentences))
            for hit, sentences in zip(hits, evidence, strict=True)
        ]

    def _mode(self, options: SearchOptions) -> Mode:
        return options.mode or self.config.mode

    def _exact(self, options: SearchOptions) -> bool:
        return self.config.exact if options.exact is None else options.exact

    def _feedback(self, options: SearchOptions) -> bool:
        return self.config.feedback if options.feedback is None else options.feedback

    def _last(self, options: SearchOptions) -> int:
        """Return the rank of the last hit that is shown."""
        limit = self.config.results if options.limit is None else options.limit
        return check_limit(limit) + options.offset

    @cached_property
    def _score(self) -> Score:
        from search.models import load_reranker

        return load_reranker(self.config.rerank or "").score


def _condition(filters: Filters, since: int | None, pmids: list[int] | None, sql: Conditions) -> Condition:
    conditions = [condition_of(filters, sql)]
    if since is not None:
        conditions.append(sql.added_after(since))
    if pmids is not None:
        conditions.append(sql.pmids(pmids))
    return all_of(conditions)


# Hits ----------------------------------------------------------------------------------------------------------------


def hits_of(view: View, rankings: Sequence[Ranking]) -> list[list[Hit]]:
    """Read the articles of rankings, all at once; damaged ones are left out.

    Raises IndexCorruptError if one is not there.
    """
    pmids = {pmid for ranking in rankings for pmid in ranking.pmids}
    articles = view.store.get_many(pmids)
    if strange := pmids - articles.keys() - view.store.damaged:
        raise IndexCorruptError(
            f"the search indexes hold PMID {min(strange)}, which is not in the index; `search repair` rebuilds them"
        )
    articles = with_notices(view.store, articles)
    counts = cited_counts(view.store, list(articles.values())) or {}
    return [
        [
            Hit(
                rank=rank,
                score=score,
                article=articles[pmid],
                cosine=ranking.cosines.get(pmid),
                bm25=ranking.bm25.get(pmid),
                semantic_rank=ranking.semantic_ranks.get(pmid),
                lexical_rank=ranking.lexical_ranks.get(pmid),
                asked_cosine=ranking.asked_cosines.get(pmid),
                added_words=ranking.added_words,
                estimated=pmid in ranking.estimated,
                cited_by=counts.get(pmid),
            )
            for rank, (pmid, score) in enumerate(
                ((pmid, score) for pmid, score in zip(ranking.pmids, ranking.scores, strict=True) if pmid in articles),
                start=1,
            )
        ]
        for ranking in rankings
    ]


def folded(hits: list[Hit]) -> list[Hit]:
    """Return the hits with duplicates folded into the best-ranked of them, and ranks without gaps."""
    by_pmid = {hit.pmid: hit for hit in hits}
    return [
        msgspec.structs.replace(
            by_pmid[group.shown.pmid],
            rank=rank,
            duplicates=tuple(Duplicate(article.pmid, reason) for article, reason in group.folded),
        )
        for rank, group in enumerate(fold_articles(hit.article for hit in hits), start=1)
    ]


#: The rank that halves what a list counts, where ranks by relevance and by citations are joined.
_RANK_SCALE = 60


def cited_forward(hits: list[Hit], share: float) -> list[Hit]:
    """Return the hits in an order that counts how often they are cited for `share`, and their relevance for the rest.

    Each counts by its rank (reciprocal rank fusion); hits that are cited as often have the same. Scores stay.
    """
    counts = sorted({hit.cited_by or 0 for hit in hits}, reverse=True)
    places = {count: place for place, count in enumerate(counts, start=1)}

    def worth(hit: Hit) -> float:
        return (1 - share) / (_RANK_SCALE + hit.rank) + share / (_RANK_SCALE + places[hit.cited_by or 0])

    ordered = sorted(hits, key=lambda hit: (-worth(hit), hit.rank))
    return [msgspec.structs.replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=1)]


def sorted_by(sort: Sort, hits: list[Hit]) -> list[Hit]:
    """Return hits by date, the newest first, by first authors or by how often they are cited, the most cited first.

    Equal ones keep their order. Ranks stay.
    """
    if sort == "date":
        return sorted(hits, key=lambda hit: -date_spans(hit.article)[0][0])
    if sort == "first-author":
        return sorted(hits, key=lambda hit: _first_author(hit.article))
    if sort == "cited":
        return sorted(hits, key=lambda hit: -(hit.cited_by or 0))
    return hits


def _first_author(article: Article) -> tuple[bool, str]:
    """Return what an article is sorted by: its first author's name; those without an author come last."""
    name = folded_key(str(article.authors[0])) if article.authors else ""
    return not name, name


def reranked(hits: list[Hit], question: str, score: Score) -> list[Hit]:
    """Return the hits in the order of a cross-encoder, with its scores; equal scores keep their order."""
    if not hits:
        return hits
    scores = score(question, [embedding_text(hit.article) for hit in hits])
    order = np.argsort(-scores, kind="stable").tolist()
    return [
        msgspec.structs.replace(hits[row], rank=rank, score=float(scores[row])) for rank, row in enumerate(order, 1)
    ]
