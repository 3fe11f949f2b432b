"""A hit as plain data, the same in JSON, CSV, REST and txtai."""

from __future__ import annotations

from typing import Any

from search.article import Article
from search.query.search import Hit

__all__ = ["article_record", "hit_record"]


def article_record(article: Article) -> dict[str, Any]:
    """Return what a person reads of an article as a flat dict of plain values; keys are always the same."""
    return {
        "pmid": article.pmid,
        "title": article.title,
        "abstract": article.labelled_abstract,
        "year": article.year,
        "date": str(article.publication_date) or None,
        "journal": article.journal.title or article.journal.iso_abbreviation or (article.book and article.book.title),
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
    """Return a hit as a flat dict: its rank, its score to six decimals, and the article's record."""
    return {"rank": hit.rank, "score": round(hit.score, 6), **article_record(hit.article)}
