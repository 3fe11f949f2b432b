"""A hit as plain data, the same in JSON, CSV, REST and txtai."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from search.article import Article
from search.retrieval.hit import Hit
from search.storage.bm25 import matched_words

__all__ = ["article_record", "as_json", "explanation", "hit_record", "hit_records", "search_records"]


def article_record(article: Article) -> dict[str, Any]:
    """Return what a person reads of an article as a flat dict of plain values; keys are always the same."""
    return {
        "pmid": article.pmid,
        "title": article.title,
        "abstract": article.labelled_abstract,
        "year": article.year,
        "date": str(article.publication_date) or None,
        "journal": article.journal_name or None,
        "authors": [str(author) for author in article.authors],
        "publication_types": [kind.name for kind in article.publication_types],
        "mesh": [heading.descriptor for heading in article.mesh_headings],
        "languages": list(article.languages),
        "doi": article.doi,
        "pmcid": article.pmcid,
        "url": article.url,
        "retracted": article.is_retracted,
        "notices": [
            {"kind": notice.kind, "pmid": notice.pmid, "citation": notice.citation} for notice in article.notices
        ],
        "sample": article.is_sample,
    }


def hit_record(hit: Hit) -> dict[str, Any]:
    """Return a hit as a flat dict: its rank, its score to six decimals, the article's record, evidence, duplicates.

    Offsets of evidence count from the start of the abstract's sections joined by spaces, without their labels.
    """
    record = {"rank": hit.rank, "score": round(hit.score, 6), **article_record(hit.article)}
    if hit.evidence:
        record["evidence"] = [
            {"text": part.text, "start": part.start, "end": part.end, "score": round(part.score, 6)}
            for part in hit.evidence
        ]
    if hit.duplicates:
        record["duplicates"] = [{"pmid": other.pmid, "reason": other.reason} for other in hit.duplicates]
    return record


def hit_records(question: str | None, hits: Sequence[Hit], *, explain: bool = False) -> list[dict[str, Any]]:
    """Return the hits of a question; with `explain`, each says why it is where it is. None has no words to do so by."""
    records = [hit_record(hit) for hit in hits]
    if explain and question is not None:
        records = [{**record, "explain": explanation(question, hit)} for record, hit in zip(records, hits, strict=True)]
    return records


def search_records(
    questions: Sequence[str | None], answers: Sequence[Sequence[Hit]], *, explain: bool = False
) -> list[dict[str, Any]]:
    """Return the hits of several questions, each with its question."""
    return [
        {"question": question, "hits": hit_records(question, hits, explain=explain)}
        for question, hits in zip(questions, answers, strict=True)
    ]


def as_json(value: Any, indent: int = 2) -> bytes:
    """Return a value as JSON with a line break at its end, indented or (0) on one line."""
    data = msgspec.json.encode(value)
    return (msgspec.json.format(data, indent=indent) if indent else data) + b"\n"


def explanation(question: str, hit: Hit) -> dict[str, Any]:
    """Return why a hit is where it is: cosine, BM25, the words it shares with the question, its rank in each list."""
    return {
        "cosine": _rounded(hit.cosine),
        "bm25": _rounded(hit.bm25),
        "semantic_rank": hit.semantic_rank,
        "lexical_rank": hit.lexical_rank,
        "matched_words": matched_words(question, hit.article),
        "fused": _rounded(hit.score) if hit.cosine is not None and hit.bm25 is not None else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
