"""Judge retrieval on a collection: what the search engine ranks in each mode, with measures of every question."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from search.article import TEXT_RULE, AbstractSection, Article
from search.errors import EvaluationError
from search.evaluation.approximate import IndexRecall, index_recall
from search.evaluation.collection import Collection
from search.evaluation.measures import (
    Interval,
    bootstrap_interval,
    ndcg_at_k,
    paired_randomisation_test,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
)
from search.evaluation.pair_correlation import Encode
from search.models.tokens import Text
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters
from search.retrieval.request import MODES, Mode, Question, SearchOptions
from search.storage import backend
from search.storage.backend import Reader
from search.storage.manifest import Manifest
from search.storage.rows import ArticleRow, Vectors, prepare

__all__ = [
    "MEASURES",
    "MODES",
    "Comparison",
    "RetrievalResult",
    "Rankings",
    "compare",
    "evaluate_retrieval",
    "judge",
    "rank_documents",
]

#: Documents that are put into the index in one transaction.
_BATCH = 10_000

#: Every measure by the name that tables show. A ranking is judged by its first 100 documents or more.
MEASURES: dict[str, Callable[[Sequence[str], dict[str, int]], float]] = {
    "nDCG@10": lambda ranking, judgements: ndcg_at_k(ranking, judgements, 10),
    "recall@100": lambda ranking, judgements: recall_at_k(ranking, judgements, 100),
    "MRR": reciprocal_rank,
    "P@10": lambda ranking, judgements: precision_at_k(ranking, judgements, 10),
}

#: A ranking: question id -> (document id, score), the best first.
Rankings = dict[str, list[tuple[str, float]]]

#: A mode of search and a depth to a ranking of each question.
_Search: TypeAlias = Callable[[str, int], Rankings]
_VectorPair: TypeAlias = tuple[Vectors, Vectors]


@dataclass(frozen=True)
class RetrievalResult:
    """What one model reached on one collection in one mode.

    `per_query` holds every measure of every question; `intervals` the means with their 95 % bootstrap intervals.
    `index`, of a semantic result, is what an index folder's Faiss index finds of the exact ranking.
    """

    model: str
    collection: str
    split: str
    mode: str
    queries: int
    documents: int
    intervals: dict[str, Interval]
    per_query: dict[str, dict[str, float]] = field(repr=False)
    run: Rankings = field(repr=False, default_factory=dict)
    index: IndexRecall | None = None

    def mean(self, measure: str) -> float:
        """Return the mean of one measure over the questions."""
        return self.intervals[measure].mean


@dataclass(frozen=True)
class Comparison:
    """Two results on the same questions; `difference` is the first's mean less the second's."""

    first: str
    second: str
    measure: str
    difference: float
    p_value: float
    wins: int
    losses: int
    ties: int


def evaluate_retrieval(
    collection: Collection,
    encode: Encode | None = None,
    *,
    model: str = "",
    modes: Sequence[str] = MODES,
    depth: int = 100,
    feedback: bool = True,
) -> list[RetrievalResult]:
    """Judge one model on one collection in each mode, with the first `depth` results of a search.

    The documents are put into an index folder and the questions are searched in it as `Index.search` does, with the
    same candidates, fusion and, unless `feedback` is off, feedback; vectors are kept in full precision, and no tags are
    read in questions. The semantic result also tells how much of the exact ranking the index finds. `encode` is needed
    for all modes but `lexical`. Raises EvaluationError if a mode is not known or has no encoder.
    """
    for mode in modes:
        if mode not in MODES:
            raise EvaluationError(f"'{mode}' is not a mode of search; choose {', '.join(MODES)}")
        if mode != "lexical" and encode is None:
            raise EvaluationError(f"{mode} search needs a model; name one, or judge lexical search only")
    results = []
    with _searcher(collection, encode if set(modes) != {"lexical"} else None, feedback) as (search, vectors):
        for mode in modes:
            name = "BM25" if mode == "lexical" else model
            result = judge(collection, search(mode, depth), model=name, mode=mode)
            if mode == "semantic" and vectors is not None:
                result = replace(result, index=index_recall(*vectors))
            results.append(result)
    return results


def rank_documents(
    collection: Collection, mode: str, encode: Encode | None = None, depth: int = 100, *, feedback: bool = True
) -> Rankings:
    """Return the first `depth` documents of each question as a search in one mode ranks them."""
    with _searcher(collection, encode, feedback) as (search, _):
        return search(mode, depth)


def judge(collection: Collection, run: Rankings, *, model: str = "", mode: str = "") -> RetrievalResult:
    """Judge any ranking of the collection's questions; a question that the run does not answer counts 0."""
    per_query: dict[str, dict[str, float]] = {}
    for query in collection.query_ids:
        ranking = [document for document, _ in run.get(query, [])]
        grades = collection.judgements[query]
        per_query[query] = {name: measure(ranking, grades) for name, measure in MEASURES.items()}
    return RetrievalResult(
        model=model,
        collection=collection.name,
        split=collection.split,
        mode=mode,
        queries=len(collection.query_ids),
        documents=len(collection.document_ids),
        intervals={name: bootstrap_interval([row[name] for row in per_query.values()]) for name in MEASURES},
        per_query=per_query,
        run=run,
    )


def compare(first: RetrievalResult, second: RetrievalResult, measure: str = "nDCG@10") -> Comparison:
    """Test whether two results on the same questions differ (paired randomisation, two-sided).

    Raises EvaluationError if the measure is not known or the questions are not the same.
    """
    if measure not in MEASURES:
        raise EvaluationError(f"'{measure}' is not a measure; choose {', '.join(MEASURES)}")
    if first.per_query.keys() != second.per_query.keys():
        raise EvaluationError(f"{first.model} and {second.model} were not judged on the same questions")
    one = [first.per_query[query][measure] for query in first.per_query]
    two = [second.per_query[query][measure] for query in first.per_query]
    differences = [left - right for left, right in zip(one, two, strict=True)]
    return Comparison(
        first=f"{first.model} {first.mode}".strip(),
        second=f"{second.model} {second.mode}".strip(),
        measure=measure,
        difference=float(np.mean(differences)),
        p_value=paired_randomisation_test(one, two),
        wins=sum(value > 0 for value in differences),
        losses=sum(value < 0 for value in differences),
        ties=sum(value == 0 for value in differences),
    )


@contextmanager
def _searcher(
    collection: Collection, encode: Encode | None, feedback: bool
) -> Iterator[tuple[_Search, _VectorPair | None]]:
    """Give a function that searches an index folder of the documents, and the vectors of questions and documents."""
    vectors = None
    if encode is not None:
        documents = encode(collection.documents, "document")
        vectors = encode(collection.queries, "query"), documents
    with tempfile.TemporaryDirectory(prefix="search-evaluate-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "index"
        _build(folder, collection, None if vectors is None else vectors[1])
        with closing(backend.open_reader(folder)) as reader:
            questions = None if vectors is None else vectors[0]
            yield _search_function(collection, reader, questions, feedback), vectors


def _build(folder: Path, collection: Collection, vectors: Vectors | None) -> None:
    """Make an index folder; the first document has the highest PMID, so that it is the first among equal scores."""
    dimension = 1 if vectors is None else vectors.shape[1]
    manifest = Manifest(
        model="evaluated", fingerprint="evaluated", dimension=dimension, text_rule=TEXT_RULE, vectors="float32"
    )
    backend.create(folder, manifest)
    with closing(backend.open_writer(folder)) as writer:
        documents = list(zip(collection.titles, collection.documents, strict=True))
        for start in range(0, len(documents), _BATCH):
            batch = documents[start : start + _BATCH]
            pmids = range(len(documents) - start, 0, -1)
            plan = writer.store.plan([_row(pmid, *each) for pmid, each in zip(pmids, batch, strict=False)])
            encoded = None
            if vectors is not None:
                encoded = vectors[[len(documents) - row.pmid for row in plan.to_encode]]
            writer.store.apply(plan, encoded)
        writer.merge()


def _row(pmid: int, title: str, document: str) -> ArticleRow:
    """Return a document as the row of an article."""
    text = document.removeprefix(title).strip()
    return prepare(Article(pmid=pmid, title=title, abstract=(AbstractSection(text),) if text else ()))


def _search_function(collection: Collection, reader: Reader, queries: Vectors | None, feedback: bool) -> _Search:
    row_of = {text: row for row, text in enumerate(collection.queries)}

    def encode(texts: Sequence[Text], _kind: str) -> Vectors:
        if queries is None:
            raise EvaluationError("search by meaning needs a model")
        return queries[[row_of[str(text)] for text in texts]]

    def search(mode: str, depth: int) -> Rankings:
        options = SearchOptions(limit=depth, mode=cast("Mode", mode), fold=False, feedback=feedback)
        # A question without a word has no answer; a search refuses it.
        texts = [text for text in collection.queries if text.strip()]
        answers = dict(zip(texts, engine.answer([Question(text, Filters()) for text in texts], options), strict=True))
        return {
            query: [(collection.document_ids[-hit.pmid], hit.score) for hit in answers.get(text, [])]
            for query, text in zip(collection.query_ids, collection.queries, strict=True)
        }

    engine = Engine(reader, encode)
    return search
