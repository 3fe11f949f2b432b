"""Judge retrieval on a collection: semantic, lexical and hybrid rankings and their measures, question by question."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.article import Article
from search.errors import EvaluationError
from search.evaluation.approximate import IndexRecall, index_recall
from search.evaluation.collection import Collection
from search.evaluation.metrics import (
    Interval,
    bootstrap_interval,
    ndcg_at_k,
    paired_randomisation_test,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
)
from search.evaluation.pairs import Encode
from search.retrieval.fusion import DEFAULT_WEIGHT, fuse
from search.storage.folder.tantivy_index import LexicalIndex, LexicalWriter

__all__ = [
    "MEASURES",
    "MODES",
    "Comparison",
    "RetrievalResult",
    "Run",
    "compare",
    "evaluate_retrieval",
    "judge",
    "rank_hybrid",
    "rank_lexical",
    "rank_semantic",
]

MODES = ("semantic", "lexical", "hybrid")

#: Every measure by the name that tables show. A ranking is judged by its first 100 documents or more.
MEASURES: dict[str, Callable[[Sequence[str], dict[str, int]], float]] = {
    "nDCG@10": lambda ranking, judgements: ndcg_at_k(ranking, judgements, 10),
    "recall@100": lambda ranking, judgements: recall_at_k(ranking, judgements, 100),
    "MRR": reciprocal_rank,
    "P@10": lambda ranking, judgements: precision_at_k(ranking, judgements, 10),
}

#: A ranking: question id -> (document id, score), the best first.
Run = dict[str, list[tuple[str, float]]]


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
    run: Run = field(repr=False, default_factory=dict)
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
    weight: float = DEFAULT_WEIGHT,
    depth: int = 100,
) -> list[RetrievalResult]:
    """Judge one model on one collection in every mode asked for, by exact search.

    The semantic result also tells how much of the exact ranking an index folder would find.
    `encode` is needed for all modes but `lexical`. Hybrid scores every document with `cosine + weight *
    bm25 / max bm25`. Raises EvaluationError for a mode that is not known or has no encoder.
    """
    for mode in modes:
        if mode not in MODES:
            raise EvaluationError(f"'{mode}' is no way to search; choose {', '.join(MODES)}")
        if mode != "lexical" and encode is None:
            raise EvaluationError(f"{mode} search needs a model; name one, or judge lexical search only")
    vectors = _vectors(collection, encode) if encode is not None and set(modes) != {"lexical"} else None
    # The fusion adds BM25 to the cosine of any document, so a hybrid run needs every document that has a BM25 score.
    lexical = (
        _bm25(collection, len(collection.document_ids) if "hybrid" in modes else depth) if _needs_bm25(modes) else {}
    )
    results = []
    for mode in modes:
        if mode == "lexical":
            run = {query: hits[:depth] for query, hits in lexical.items()}
            results.append(judge(collection, run, model="BM25", mode=mode))
        elif vectors is not None:
            cosines = vectors[0] @ vectors[1].T
            semantic = mode == "semantic"
            run = _top(collection, cosines, depth) if semantic else _hybrid(collection, cosines, lexical, weight, depth)
            result = judge(collection, run, model=model, mode=mode)
            results.append(replace(result, index=index_recall(*vectors)) if semantic else result)
    return results


def _needs_bm25(modes: Sequence[str]) -> bool:
    return "lexical" in modes or "hybrid" in modes


def rank_semantic(collection: Collection, encode: Encode, depth: int = 100) -> Run:
    """Rank by cosine, exactly; equal cosines in the order of the corpus."""
    return _top(collection, _cosines(collection, encode), depth)


def rank_lexical(collection: Collection, depth: int = 100) -> Run:
    """Rank by BM25 over title and text (tantivy, k1 1.2, b 0.75), with the words that an index folder has."""
    return _bm25(collection, depth)


def rank_hybrid(collection: Collection, encode: Encode, *, weight: float = DEFAULT_WEIGHT, depth: int = 100) -> Run:
    """Rank by `cosine + weight * bm25 / max bm25` (`search.retrieval.fusion`)."""
    lexical = _bm25(collection, len(collection.document_ids))
    return _hybrid(collection, _cosines(collection, encode), lexical, weight, depth)


def judge(collection: Collection, run: Run, *, model: str = "", mode: str = "") -> RetrievalResult:
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
        raise EvaluationError(f"'{measure}' is no measure; choose {', '.join(MEASURES)}")
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


def _vectors(collection: Collection, encode: Encode) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of the questions and of the documents."""
    documents = encode(collection.documents, "document")
    return encode(collection.queries, "query"), documents


def _cosines(collection: Collection, encode: Encode) -> NDArray[np.float32]:
    """Return the cosine of every question (rows) with every document (columns)."""
    queries, documents = _vectors(collection, encode)
    cosines: NDArray[np.float32] = queries @ documents.T
    return cosines


def _top(collection: Collection, cosines: NDArray[np.float32], depth: int) -> Run:
    run: Run = {}
    for query, row in zip(collection.query_ids, cosines, strict=True):
        order = np.argsort(-row, kind="stable")[:depth]
        run[query] = [(collection.document_ids[column], float(row[column])) for column in order]
    return run


def _hybrid(collection: Collection, cosines: NDArray[np.float32], lexical: Run, weight: float, depth: int) -> Run:
    run: Run = {}
    for query, row in zip(collection.query_ids, cosines, strict=True):
        scores = dict(zip(collection.document_ids, row.tolist(), strict=True))
        run[query] = fuse(scores, dict(lexical.get(query, [])), weight=weight)[:depth]
    return run


def _bm25(collection: Collection, depth: int) -> Run:
    """Rank with the lexical index of an index folder, in which document `n` is an article of that PMID."""
    with tempfile.TemporaryDirectory(prefix="search-evaluate-", ignore_cleanup_errors=True) as place:
        folder = Path(place) / "words"
        writer = LexicalWriter(folder, None)
        writer.add(Article(pmid=row, title=text) for row, text in enumerate(collection.documents, start=1))
        writer.finish()
        index = LexicalIndex(folder)
        run: Run = {}
        for query, text in zip(collection.query_ids, collection.queries, strict=True):
            rows, scores = index.search(text, depth)
            found = zip(rows.tolist(), scores.tolist(), strict=True)
            run[query] = [(collection.document_ids[row - 1], score) for row, score in found]
        return run
