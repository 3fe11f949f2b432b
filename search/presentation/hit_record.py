"""A hit as plain data: the one record that the command line, REST, MCP, txtai and CSV show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from search.article import CITES_RETRACTED, RETRACTED_SINCE, Article, Correction, embedding_text
from search.presentation.notices import is_about, notice_date, notice_labels
from search.retrieval.citing import Citations, Snowball
from search.retrieval.hit import Duplicate, Hit
from search.retrieval.section_labels import Role
from search.storage.bm25 import matched_words
from search.study import design_of, registry_numbers, sample_size

__all__ = [
    "Answer",
    "CitationsRecord",
    "Explanation",
    "HitRecord",
    "SnowballRecord",
    "article_record",
    "as_json",
    "citations_record",
    "explanation",
    "hit_record",
    "hit_records",
    "search_records",
    "snowball_record",
    "study_type",
    "text_record",
]


class Evidence(msgspec.Struct, frozen=True):
    """A sentence that says what was found; offsets count in the abstract's sections joined by spaces."""

    text: str
    start: int
    end: int
    score: float
    role: Role


class Notice(msgspec.Struct, frozen=True):
    """A retraction, a correction or another notice: about the article, or (`about` is `another`) the article itself.

    `pmid` and `citation` are those of the notice, or of the article that the notice is about; `date` is the notice's,
    as exact as it is known, and `note` what Retraction Watch says of the reasons.
    """

    kind: str
    pmid: int | None
    citation: str | None
    about: Literal["this", "another"] = "this"
    date: str | None = None
    note: str | None = None


class Explanation(msgspec.Struct, frozen=True):
    """Why a hit has its rank: cosine, BM25, its rank in each list, and the words it shares with the question.

    After feedback `cosine` is with the question as its first answers have moved it, `asked_cosine` with the question as
    it was asked, and `added_words` are what the answers added to its words.
    """

    cosine: float | None
    bm25: float | None
    semantic_rank: int | None
    lexical_rank: int | None
    matched_words: list[str]
    fused: float | None
    asked_cosine: float | None
    added_words: list[str]
    estimated: bool


class HitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An article as it is shown; `rank` (from 1) and `score` (to six decimals) are there if a search found it.

    `estimated` is there, and true, if the article is not encoded yet, so that its score is an estimate; `near_enough`,
    and false, if it is probably not about the question. `also_searched` is what the search looked for instead of words
    that were typed, or beside them.
    """

    rank: int | UnsetType = UNSET
    score: float | UnsetType = UNSET
    estimated: bool | UnsetType = UNSET
    pmid: int
    title: str
    abstract: str
    year: int | None
    date: str | None
    journal: str | None
    authors: list[str]
    publication_types: list[str]
    mesh: list[str]
    languages: list[str]
    design: str | None
    sample_size: int | None
    registry_numbers: list[str]
    doi: str | None
    pmcid: str | None
    url: str
    retracted: bool
    notices: list[Notice]
    sample: bool
    cited_by: int | UnsetType = UNSET
    links: int | UnsetType = UNSET
    evidence: list[Evidence] | UnsetType = UNSET
    duplicates: list[Duplicate] | UnsetType = UNSET
    also_searched: list[str] | UnsetType = UNSET
    near_enough: bool | UnsetType = UNSET
    explain: Explanation | UnsetType = UNSET


class Answer(msgspec.Struct, frozen=True):
    """One of several questions and its hits."""

    question: str | None
    hits: list[HitRecord]


class CitationsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The works that cite an article, or that it cites: how many there are, and are in the index, and which."""

    pmid: int
    count: int
    in_index: int
    articles: list[HitRecord]
    others: list[int | str]


class Linked(msgspec.Struct, frozen=True):
    """A work that is not in the index, by PMID or DOI, and how many of a set it cites or is cited by."""

    work: int | str
    links: int


class SnowballRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where citations lead to from a set of articles: how many works, those of the index, and others."""

    rounds: int
    found: int
    articles: list[HitRecord]
    others: list[Linked]


#: The types that a reader weighs an article by, the most telling first.
_TELLING_TYPES = (
    "Meta-Analysis",
    "Systematic Review",
    "Practice Guideline",
    "Guideline",
    "Randomized Controlled Trial",
    "Controlled Clinical Trial",
    "Clinical Trial",
    "Observational Study",
    "Review",
    "Case Reports",
    "Editorial",
    "Letter",
)


def study_type(article: Article) -> str | None:
    """Return the most telling publication type of an article; None if it has only general ones."""
    names = {kind.name for kind in article.publication_types}
    return next((name for name in _TELLING_TYPES if name in names), None)


def article_record(article: Article) -> HitRecord:
    """Return the record of an article by itself, without rank and score."""
    return HitRecord(
        pmid=article.pmid,
        title=article.title,
        abstract=article.labelled_abstract,
        year=article.year,
        date=str(article.publication_date) or None,
        journal=article.journal_name or None,
        authors=[str(author) for author in article.authors],
        publication_types=[kind.name for kind in article.publication_types],
        mesh=[heading.descriptor for heading in article.mesh_headings],
        languages=list(article.languages),
        design=design_of(article),
        sample_size=sample_size(article),
        registry_numbers=list(registry_numbers(article)),
        doi=article.doi,
        pmcid=article.pmcid,
        url=article.url,
        retracted=article.is_retracted,
        notices=[_notice(notice) for notice in article.notices],
        sample=article.is_sample,
    )


def _notice(correction: Correction) -> Notice:
    about: Literal["this", "another"] = "another" if is_about(correction.kind) else "this"
    date = None if correction.kind in (CITES_RETRACTED, RETRACTED_SINCE) else notice_date(correction)
    return Notice(correction.kind, correction.pmid, correction.citation, about, date, correction.note)


def hit_record(hit: Hit, explain: str | None = None) -> HitRecord:
    """Return the record of a hit; `explain` is the question whose words explain it."""
    evidence = [Evidence(part.text, part.start, part.end, round(part.score, 6), part.role) for part in hit.evidence]
    return msgspec.structs.replace(
        article_record(hit.article),
        rank=hit.rank,
        score=round(hit.score, 6),
        estimated=hit.estimated or UNSET,
        evidence=evidence or UNSET,
        duplicates=list(hit.duplicates) or UNSET,
        cited_by=UNSET if hit.cited_by is None else hit.cited_by,
        links=UNSET if hit.links is None else hit.links,
        near_enough=UNSET if hit.near_enough else False,
        also_searched=[str(change) for change in hit.changes] or UNSET,
        explain=UNSET if explain is None else explanation(explain, hit),
    )


def hit_records(question: str | None, hits: Sequence[Hit], *, explain: bool = False) -> list[HitRecord]:
    """Return the records of the hits of a question; `explain` needs a question."""
    return [hit_record(hit, question if explain else None) for hit in hits]


def text_record(hit: Hit, explain: str | None = None) -> dict[str, Any]:
    """Return the record of a hit with the keys that frameworks for language models read: `id`, `text`, `score`.

    `id` is the PMID; `text` is title and abstract, after the notices in brackets, since a model reads nothing else.
    """
    labels = "".join(f"[{label.upper()}] " for label in notice_labels(hit.article))
    record: dict[str, Any] = msgspec.to_builtins(hit_record(hit, explain))
    return {"id": hit.pmid, "text": labels + embedding_text(hit.article), **record}


def search_records(
    questions: Sequence[str | None], answers: Sequence[Sequence[Hit]], *, explain: bool = False
) -> list[Answer]:
    """Return the hits of several questions, each with its question."""
    return [
        Answer(question, hit_records(question, hits, explain=explain))
        for question, hits in zip(questions, answers, strict=True)
    ]


def citations_record(found: Citations) -> CitationsRecord:
    """Return the works that cite an article, or that it cites, as they are shown."""
    return CitationsRecord(
        pmid=found.pmid,
        count=found.count,
        in_index=found.in_index,
        articles=[article_record(article) for article in found.articles],
        others=found.others,
    )


def snowball_record(found: Snowball) -> SnowballRecord:
    """Return where citations lead to, as it is shown."""
    others = [Linked(work, links) for work, links in found.others.items()]
    return SnowballRecord(rounds=found.rounds, found=found.found, articles=hit_records(None, found.hits), others=others)


def as_json(value: Any, indent: int = 2) -> bytes:
    """Return a value as JSON that ends with a line break, indented or (0) on one line."""
    data = msgspec.json.encode(value, enc_hook=os.fspath)
    return (msgspec.json.format(data, indent=indent) if indent else data) + b"\n"


def explanation(question: str, hit: Hit) -> Explanation:
    """Return why a hit has its rank; numbers are rounded to six decimals."""
    return Explanation(
        cosine=_rounded(hit.cosine),
        bm25=_rounded(hit.bm25),
        semantic_rank=hit.semantic_rank,
        lexical_rank=hit.lexical_rank,
        matched_words=matched_words(question, hit.article),
        fused=_rounded(hit.score) if hit.cosine is not None and hit.bm25 is not None else None,
        asked_cosine=_rounded(hit.asked_cosine),
        added_words=list(hit.added_words),
        estimated=hit.estimated,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
