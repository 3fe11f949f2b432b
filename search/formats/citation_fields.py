"""What the formats write alike: clean text, names, pages, subject headings, and the marks a reader must not miss."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from search.article import (
    Article,
    Author,
    Correction,
    Journal,
    Keyword,
    MeshHeading,
    PartialDate,
)

__all__ = [
    "MONTHS",
    "UNSAFE",
    "Mark",
    "abstract_line",
    "clean",
    "escaped",
    "expand_pages",
    "given_name",
    "journal_name",
    "keyword_term",
    "marks",
    "mesh_term",
    "page_range",
    "season_or_months",
]

#: English month abbreviations as MEDLINE writes them.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Controls (C0, DEL, C1), Unicode's line and paragraph separators, what turns the direction of text around, the byte
# order mark, annotations and tags, which nobody sees, and halves of surrogate pairs, which no UTF-8 file can hold.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNTIDY = re.compile(f"{UNSAFE.pattern}|  ")
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029 ]+")

_RANGE = re.compile(r"([A-Za-z]*)(\d+)\s*[-\u2010-\u2013]\s*([A-Za-z]*)(\d+)")
_RANGE_IN_LIST = re.compile(rf"(?<![\w.-]){_RANGE.pattern}(?![\w-])")

#: How a reader is told of each of `search.article.NOTICE_KINDS`.
NOTICE_NAMES = {
    "RetractionIn": "Retraction notice",
    "RetractedandRepublishedIn": "Retracted and republished",
    "ExpressionOfConcernIn": "Expression of concern",
    "CorrectedandRepublishedIn": "Corrected and republished",
    "ErratumIn": "Correction",
    "UpdateIn": "Updated",
}


class Mark(NamedTuple):
    """Something a reader must know before using an article, with the PMID of the notice that says so."""

    text: str
    pmid: int | None = None

    def __str__(self) -> str:
        """`Retraction notice: Lancet. 2010;375:445. PMID 20137807`."""
        return self.text if self.pmid is None else f"{self.text} PMID {self.pmid}"


def clean(text: str | None) -> str:
    """Return the text on one line: breaks and runs of spaces become one space, control characters go."""
    if not text:
        return ""
    if not _UNTIDY.search(text):
        return text.strip()
    return _BREAKS.sub(" ", UNSAFE.sub("", _BREAKS.sub(" ", text))).strip()


def escaped(text: str) -> str:
    r"""Return JSON with what is unsafe in its strings as `\u` escapes, which say the same; its line ends stay."""
    return UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)


def given_name(author: Author) -> str:
    """Return the given names of a person; initials are set apart (`JA` -> `J A`) where they are all that is known."""
    if author.fore_name:
        return clean(author.fore_name)
    initials = clean(author.initials)
    return " ".join(initials) if re.fullmatch(r"[A-Z]{2,4}", initials) else initials


def journal_name(journal: Journal) -> str:
    """Return the fullest name of a journal that is known."""
    return clean(journal.title or journal.iso_abbreviation or journal.medline_abbreviation)


def abstract_line(article: Article) -> str:
    """Return the abstract on one line, each section led by its label: `METHODS: We ... RESULTS: ...`."""
    return clean(article.labelled_abstract)


def mesh_term(heading: MeshHeading) -> str:
    """Return a heading as MEDLINE writes it, `*` before what is a main point: `Asthma/*drug therapy`."""
    names = [(heading.descriptor, heading.major), *((part.name, part.major) for part in heading.qualifiers)]
    return "/".join(("*" if major else "") + clean(name) for name, major in names)


def keyword_term(keyword: Keyword) -> str:
    """Return a keyword, `*` before it if it is a main point."""
    return ("*" if keyword.major else "") + clean(keyword.text)


def expand_pages(pages: str | None) -> str:
    """Return pages with the digits that MEDLINE leaves out put back: `123-9` -> `123-129`, `S12-5` -> `S12-S15`."""
    return _RANGE_IN_LIST.sub(_expand, clean(pages))


def _expand(match: re.Match[str]) -> str:
    prefix, first, last_prefix, last = match.groups()
    if last_prefix not in ("", prefix):
        return match[0]
    full = first[: -len(last)] + last if len(last) < len(first) else last
    # Pages that run backwards are no range of pages: 19-2 may be chapter and page.
    return f"{prefix}{first}-{prefix}{full}" if int(full) >= int(first) else match[0]


def page_range(pages: str | None) -> tuple[str, str]:
    """Return first and last page, the last in full; what is not one plain range comes whole as the first page."""
    expanded = expand_pages(pages)
    match = re.fullmatch(r"([^\s,;:-]+)-([^\s,;:-]+)", expanded)
    return (match[1], match[2]) if match else (expanded, "")


def season_or_months(date: PartialDate) -> str:
    """Return what a date says beside year, month and day: `Summer`, or `Oct-Dec` of the MedlineDate `2015 Oct-Dec`."""
    if date.medline_date:
        return clean(re.sub(rf"^{date.year or ''}\s+", "", date.medline_date))
    return clean(date.season)


def marks(article: Article) -> list[Mark]:
    """Return what must be said with an article: that it is no real study, retracted, corrected or in doubt."""
    found = []
    if article.is_sample:
        found.append(Mark("NOT A REAL STUDY. This record was written to show how the software works."))
    if article.is_retracted:
        found.append(Mark("RETRACTED ARTICLE."))
    found.extend(_notice(correction) for correction in article.notices)
    return found


def _notice(correction: Correction) -> Mark:
    citation = clean(correction.citation)
    name = NOTICE_NAMES[correction.kind]
    return Mark(f"{name}: {citation}" if citation else f"{name}.", correction.pmid)
