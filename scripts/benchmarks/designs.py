"""Study designs: the rules on NLM's own records without their types and headings, against those types."""

from __future__ import annotations

import msgspec

from scripts.benchmarks.timing import data_folder, report
from search.article import Article
from search.formats.open import open_source
from search.study import design_of

#: NLM's types that name a design, the firmest first: a record counts for the first that it has.
TYPES = {
    "Practice Guideline": "guideline",
    "Guideline": "guideline",
    "Meta-Analysis": "meta-analysis",
    "Systematic Review": "systematic review",
    "Randomized Controlled Trial": "randomized trial",
    "Case Reports": "case report",
    "Clinical Trial": "clinical trial",
    "Observational Study": "observational",
    "Review": "review",
}
#: NLM's types say less than the rules: a trial may be called randomized, an observational study by its kind, a review
#: systematic.
ALSO = {
    "clinical trial": {"randomized trial"},
    "observational": {"cohort", "case-control", "cross-sectional"},
    "review": {"systematic review", "meta-analysis", "guideline"},
}


def main() -> None:
    """Print for each design how many records NLM calls so, and how many the rules find and call so."""
    articles: dict[int, Article] = {}
    folder = data_folder()
    for path in sorted([*(folder / "pubmed_xml").rglob("*.*"), *(folder / "pubmed_nbib").iterdir()]):
        for record in open_source(path):
            article = getattr(record, "article", record)
            if isinstance(article, Article) and article.abstract and article.mesh_headings:
                articles[article.pmid] = article
    figures: dict[str, dict[str, int]] = {
        design: {"NLM": 0, "found": 0, "called": 0, "right": 0} for design in TYPES.values()
    }
    for article in articles.values():
        types = [kind.name for kind in article.publication_types]
        truth = next((design for name, design in TYPES.items() if name in types), None)
        called = design_of(msgspec.structs.replace(article, publication_types=(), mesh_headings=()))
        if truth is not None:
            figures[truth]["NLM"] += 1
            figures[truth]["found"] += called == truth or called in ALSO.get(truth, ())
        if called in figures:
            figures[called]["called"] += 1
            figures[called]["right"] += truth == called or called in ALSO.get(truth or "", ())
    report("designs", {"records": len(articles), **{name: row for name, row in figures.items() if any(row.values())}})


if __name__ == "__main__":
    main()
