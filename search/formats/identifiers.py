"""Identifiers as records give them, brought to one form: PMID, PMCID, ORCID (DOI: `search.normalize`)."""

from __future__ import annotations

import re

from search.article import MAX_PMID, Article
from search.errors import InvalidRecordError

__all__ = ["check_readable", "normalise_orcid", "normalise_pmcid", "parse_pmid"]

_ORCID = re.compile(r"(?<!\d)(\d{4})[-\s]?(\d{4})[-\s]?(\d{4})[-\s]?(\d{3}[\dXx])(?!\d)", re.ASCII)
_PMCID = re.compile(r"PMC(\d+)|^\s*(\d+)\s*$", re.ASCII | re.IGNORECASE)


def parse_pmid(text: str | None) -> int:
    """Return the PMID that a text holds.

    Raises InvalidRecordError if it is missing or not a whole number from 1 to MAX_PMID.
    """
    digits = (text or "").strip()
    if not digits:
        raise InvalidRecordError("no PMID")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidRecordError(f"the PMID {digits[:40]!r} is not a positive whole number")
    if len(digits) > 20 or not 1 <= int(digits) <= MAX_PMID:
        raise InvalidRecordError(f"the PMID {digits[:40]} is not between 1 and {MAX_PMID}")
    return int(digits)


def normalise_orcid(text: str) -> str | None:
    """Return the ORCID in a text as `0000-0000-0000-000X`, or None."""
    match = _ORCID.search(text)
    return f"{match[1]}-{match[2]}-{match[3]}-{match[4].upper()}" if match else None


def normalise_pmcid(text: str) -> str | None:
    """Return the PMCID in `PMC123`, `123` or `PMC123 [Available on 01/01/17]` as `PMC123`, or None."""
    match = _PMCID.search(text)
    return f"PMC{match[1] or match[2]}" if match else None


def check_readable(article: Article) -> Article:
    """Return the article; raise InvalidRecordError if it has no title and no abstract, and so nothing to find it by."""
    if not article.title and not article.abstract:
        raise InvalidRecordError("no title and no abstract")
    return article
