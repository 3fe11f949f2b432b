"""Rules for putting a semantic and a lexical ranking together: nDCG@10 of each on a collection in BEIR's layout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.timing import data_folder, report
from search.evaluation.collection import Collection, load_collection
from search.evaluation.retrieval import Rankings, compare, judge, rank_documents
from search.models import load_encoder
from search.retrieval.fusion import fuse

Scores = dict[str, float]


def linear(weight: float) -> Callable[[Scores, Scores], Scores]:
    """`cosine + weight * bm25 / max bm25`: the rule of hybrid searches."""
    return lambda cosines, bm25: dict(fuse(cosines, bm25, weight=weight))


def between_extremes(weight: float) -> Callable[[Scores, Scores], Scores]:
    """Both scaled to 0..1 by their least and most, added with a weight for BM25."""
    return lambda cosines, bm25: _added(_scaled(cosines), _scaled({key: bm25.get(key, 0.0) for key in cosines}), weight)


def reciprocal_ranks(constant: int, depth: int) -> Callable[[Scores, Scores], Scores]:
    """Reciprocal rank fusion of the first `depth` of both: the sum of 1 / (constant + rank)."""

    def rule(cosines: Scores, bm25: Scores) -> Scores:
        found: Scores = {}
        for scores in (cosines, bm25):
            for rank, key in enumerate(sorted(scores, key=lambda key: -scores[key])[:depth], 1):
                found[key] = found.get(key, 0.0) + 1 / (constant + rank)
        return found

    return rule


RULES: dict[str, Callable[[Scores, Scores], Scores]] = {
    **{f"cosine + {weight} x bm25 / max": linear(weight) for weight in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)},
    **{f"both scaled to 0..1, bm25 x {weight}": between_extremes(weight) for weight in (0.5, 1.0, 2.0)},
    "reciprocal ranks, 60, first 100": reciprocal_ranks(60, 100),
    "reciprocal ranks, 60, first 1,000": reciprocal_ranks(60, 1_000),
    "reciprocal ranks, 10, first 100": reciprocal_ranks(10, 100),
}


def _scaled(scores: Scores) -> Scores:
    least, most = min(scores.values()), max(scores.values())
    return {key: (score - least) / ((most - least) or 1.0) for key, score in scores.items()}


def _added(first: Scores, second: Scores, weight: float) -> Scores:
    return {key: score + weight * second[key] for key, score in first.items()}


def ranked(
    collection: Collection, rule: Callable[[Scores, Scores], Scores], semantic: Rankings, lexical: Rankings
) -> Rankings:
    """Return the first 100 of every question by a rule."""
    run: Rankings = {}
    for query in collection.query_ids:
        scores = rule(dict(semantic[query]), dict(lexical.get(query, [])))
        run[query] = sorted(scores.items(), key=lambda entry: -entry[1])[:100]
    return run


def main() -> None:
    """Judge every rule on the collection that `--collection FOLDER` names, with the model of `--model`."""
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    folder = Path(options["--collection"]) if "--collection" in options else data_folder() / "scifact"
    collection = load_collection(folder)
    everything = len(collection.document_ids)
    encode = load_encoder(options.get("--model", "builtin")).encode
    semantic = rank_documents(collection, "semantic", encode, everything)
    lexical = rank_documents(collection, "lexical", depth=everything)
    runs = {"semantic": semantic, "lexical": lexical}
    runs |= {name: ranked(collection, rule, semantic, lexical) for name, rule in RULES.items()}
    results = {name: judge(collection, run, model=name) for name, run in runs.items()}
    ours = results["cosine + 0.4 x bm25 / max"]
    figures = {
        name: {"nDCG@10": round(result.mean("nDCG@10"), 4), "p against ours": round(compare(result, ours).p_value, 3)}
        for name, result in results.items()
    }
    report("fusion", {"collection": collection.name, "questions": len(collection.query_ids), **figures})


if __name__ == "__main__":
    main()
