"""Fields that several export formats write alike: names, pages, dates, the abstract and subject headings."""

from __future__ import annotations

import re

from search.article import (
    Article,
    Author,
    Keyword,
    MeshHeading,
    PartialDate,
)
from search.normalize import clean

__all__ = [
    "abstract_line",
    "bare_title",
    "expand_pages",
    "given_name",
    "keyword_term",
    "mesh_term",
    "page_range",
    "season_or_months",
]

_OWN_STOP = re.compile(r"(?:\.\.|\b[A-Z]\.[A-Z]\.|\b(?:etc|al|Jr|Sr|Inc|Ltd|Co|vs|no|spp?)\.)$")
_RANGE = re.compile(r"([A-Za-z]*)(\d+)\s*[-\u2010-\u2013]\s*([A-Za-z]*)(\d+)")
_RANGE_IN_LIST = re.compile(rf"(?<![\w.-]){_RANGE.pattern}(?![\w-])")


def given_name(author: Author) -> str:
    """Return the given names of a person; initials are set apart (`JA` -> `J A`) where they are all that is known."""
    if author.fore_name:
        return clean(author.fore_name)
    initials = clean(author.initials)
    return " ".join(initials) if re.fullmatch(r"[A-Z]{2,4}", initials) else initials


def bare_title(title: str | None) -> str:
    """Return a title without the full stop that NLM ends each with; an abbreviation or an ellipsis keeps its own."""
    text = clean(title)
    return text[:-1] if text.endswith(".") and not _OWN_STOP.search(text) else text


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
