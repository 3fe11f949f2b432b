"""References held against the index: retracted, corrected, duplicated, or not what PubMed has by that identifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from search.article import CITES_RETRACTED, Article
from search.errors import SourceError
from search.formats.base import Rejection
from search.formats.byte_stream import ByteStream
from search.formats.reference_lists import Reference, of_article, read_references
from search.presentation.notices import Notice, notices_of
from search.review.alike import authors_fit, is_same, title_likeness
from search.review.dedupe import dedupe

__all__ = ["FAILING", "Checked", "Finding", "Lookup", "Problem", "Report", "check_file"]

#: What may be found of a reference, the gravest first.
Problem = Literal[
    "retracted",
    "concern",
    "mismatch",
    "duplicate",
    "unreadable",
    "cites retracted work",
    "corrected",
    "not in the index",
]

#: What makes a check fail; `not in the index` does too where that is asked for.
FAILING: frozenset[Problem] = frozenset({"retracted", "concern", "mismatch", "duplicate", "unreadable"})

#: Titles that are less like are of two works; where only the title was looked for, it must be as like as `_FOUND`.
_LIKE, _FOUND = 0.7, 0.93

_PROBLEMS: dict[str, Problem] = {
    "RetractionIn": "retracted",
    "RetractedandRepublishedIn": "retracted",
    "PartialRetractionIn": "retracted",
    "ExpressionOfConcernIn": "concern",
    "CorrectedandRepublishedIn": "corrected",
    "ErratumIn": "corrected",
    CITES_RETRACTED: "cites retracted work",
}


class Finding(msgspec.Struct, frozen=True):
    """Something about a reference that its author must know."""

    problem: Problem
    told: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A reference, the article of the index that it is (None if it has none), and what was found."""

    where: str
    reference: str
    pmid: int | None
    findings: list[Finding]

    @property
    def gravity(self) -> int:
        """The place of its gravest problem among all there may be; the last for a reference that has none."""
        problems = [get_args(Problem).index(finding.problem) for finding in self.findings]
        return min(problems, default=len(get_args(Problem)))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the references of a file, in its order, and how often each problem."""

    file: str
    references: int
    counts: dict[str, int]
    checked: list[Checked]

    def failed(self, *, strict: bool = False) -> bool:
        """Whether there is a problem that should stop a publication; `strict`: or an unknown reference."""
        failing = {*FAILING, "not in the index"} if strict else FAILING
        return any(self.counts.get(problem) for problem in failing)


class Lookup(msgspec.Struct, frozen=True):
    """How the index is asked: PMIDs by an identifier, articles by PMID, PMIDs by a title, and what is retracted."""

    identified: Callable[[str], list[int] | None]
    articles: Callable[[Iterable[int]], dict[int, Article]]
    by_title: Callable[[str], list[int]]
    retracted: Callable[[Iterable[int | str]], set[int | str]]


def check_file(source: str | Path | ByteStream, lookup: Lookup) -> Report:
    """Check the references of a file or a stream. Raises SourceError if it cannot be read, or holds none."""
    stream = ByteStream.of(source)
    entries = list(read_references(stream))
    references = [entry for entry in entries if isinstance(entry, Reference)]
    if not references and not entries:
        raise SourceError(f"{stream.name}: holds no references")
    duplicates = {entry.where: entry for entry in dedupe(references)[1]}
    articles = lookup.articles({reference.pmid for reference in references if reference.pmid})
    checked = []
    first: dict[int, str] = {}
    for entry in entries:
        if isinstance(entry, Rejection):
            finding = Finding("unreadable", entry.reason)
            checked.append(Checked(where=entry.where, reference="", pmid=entry.pmid, findings=[finding]))
            continue
        pmid, findings = _check(entry, articles, lookup)
        if double := duplicates.get(entry.where):
            findings.append(Finding("duplicate", f"is the same as {double.kept} ({double.reason})"))
        elif pmid in first and not any(finding.problem == "mismatch" for finding in findings):
            # One by its PMID and one by its DOI: only the index knows that they are the same.
            findings.append(Finding("duplicate", f"is the same as {first[pmid]} (both are PMID {pmid})"))
        if pmid is not None:
            first.setdefault(pmid, entry.where)
        findings.sort(key=lambda finding: get_args(Problem).index(finding.problem))
        checked.append(Checked(where=entry.where, reference=str(entry), pmid=pmid, findings=findings))
    counts = {
        problem: sum(any(finding.problem == problem for finding in entry.findings) for entry in checked)
        for problem in get_args(Problem)
    }
    return Report(
        file=stream.name,
        references=len(checked),
        counts={problem: count for problem, count in counts.items() if count},
        checked=checked,
    )


def _check(reference: Reference, articles: dict[int, Article], lookup: Lookup) -> tuple[int | None, list[Finding]]:
    """Return the PMID of a reference in the index, and what is to be said of it."""
    article = articles.get(reference.pmid) if reference.pmid else None
    findings: list[Finding] = []
    named = _named(reference, lookup)
    if article is not None and named is not None and named.pmid != article.pmid:
        what = f"its PMID is that of {_short(article)!r} and its DOI or PMCID that of PMID {named.pmid}"
        findings.append(Finding("mismatch", what))
    article = article or named or _by_title(reference, lookup)
    if article is None:
        known = [work for work in (reference.pmid, reference.doi) if work]
        if lookup.retracted(known):
            return reference.pmid, [Finding("retracted", "by Retraction Watch's list")]
        return None, [Finding("not in the index", "nothing is known of it here")]
    findings += [Finding("mismatch", told) for told in _differences(reference, article)]
    findings += _notices(article)
    return article.pmid, findings


def _named(reference: Reference, lookup: Lookup) -> Article | None:
    """Return the article that the DOI or the PMCID of a reference names."""
    for identifier in (reference.doi, reference.pmcid):
        pmids = lookup.identified(identifier) if identifier else None
        if pmids and len(pmids) == 1:
            return lookup.articles(pmids).get(pmids[0])
    return None


def _by_title(reference: Reference, lookup: Lookup) -> Article | None:
    """Return the article that a reference without a known identifier is by its title, year and first author."""
    if reference.pmid or len(reference.title.split()) < 4:
        return None
    for article in lookup.articles(lookup.by_title(reference.title)).values():
        found = of_article(article)
        if title_likeness(reference.title, article.title) >= _FOUND and is_same(
            msgspec.structs.replace(reference, doi=""), msgspec.structs.replace(found, pmid=None, doi="")
        ):
            return article
    return None


def _differences(reference: Reference, article: Article) -> list[str]:
    """Return what a reference says otherwise than PubMed: title, year, first author."""
    found = of_article(article)
    differences = []
    if reference.title and article.title and title_likeness(reference.title, article.title) < _LIKE:
        original = article.vernacular_title
        if not original or title_likeness(reference.title, original) < _LIKE:
            differences.append(f"PMID {article.pmid} is {_short(article)!r}")
    years = {year for year in (article.year, article.publication_date.year) if year}
    if article.electronic_date is not None and article.electronic_date.year:
        years.add(article.electronic_date.year)
    if reference.year and years and not min(years) - 1 <= reference.year <= max(years) + 1:
        differences.append(f"its year is {reference.year} and PubMed's {'/'.join(map(str, sorted(years)))}")
    if authors_fit(reference, found) is False and not _is_any_author(reference, article):
        differences.append(f"its first author is {reference.family_name} and PubMed's {found.family_name}")
    return differences


def _is_any_author(reference: Reference, article: Article) -> bool:
    """Whether a group signs with people, so that lists begin with either."""
    groups = [author for author in article.authors if author.collective_name]
    return bool(groups) and any(
        authors_fit(reference, Reference(where="", authors=(str(author),))) for author in article.authors
    )


def _notices(article: Article) -> list[Finding]:
    findings: dict[Problem, list[str]] = {}
    kinds = {correction.kind for correction in article.notices}
    if article.is_retracted and not kinds & {"RetractionIn"}:
        findings["retracted"] = ["marked by PubMed as a retracted publication"]
    shown: Sequence[Notice] = notices_of(article)
    for correction in article.notices:
        problem = _PROBLEMS.get(correction.kind)
        if problem is not None:
            told = next((notice.source for notice in shown if notice.citation and notice.pmid == correction.pmid), "")
            findings.setdefault(problem, []).append(told or correction.kind)
    return [Finding(problem, "; ".join(dict.fromkeys(told))) for problem, told in findings.items()]


def _short(article: Article) -> str:
    title = article.title if len(article.title) <= 80 else f"{article.title[:77]}..."
    return f"{title} ({article.year or 'no year'})"
