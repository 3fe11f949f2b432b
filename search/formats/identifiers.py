"""Identifiers as records give them and as people type them, brought to one form: PMID, PMCID, DOI, ORCID."""

from __future__ import annotations

import re
from urllib.parse import unquote

from search.article import MAX_PMID, Article
from search.errors import InvalidRecordError
from search.normalize import clean, normalise_doi

__all__ = ["check_readable", "normalise_orcid", "normalise_pmcid", "parse_pmid", "tidy_doi", "typed_identifier"]

_ORCID = re.compile(r"(?<!\d)(\d{4})[-\s]?(\d{4})[-\s]?(\d{4})[-\s]?(\d{3}[\dXx])(?!\d)", re.ASCII)
_PMCID = re.compile(r"PMC(\d+)|^\s*(\d+)\s*$", re.ASCII | re.IGNORECASE)

_NCBI = r"(?:www\.)?ncbi\.nlm\.nih\.gov"
_END = r"/?(?:[?#].*)?"
#: How a PMID, a PMCID and a DOI are typed or pasted, alone. Tables make a PMID a number with a fraction.
_TYPED_PMID = re.compile(
    rf"(?:pmid:?\s*)?(\d{{1,10}})(?:\.0+)?|(?:https?://)?(?:pubmed\.ncbi\.nlm\.nih\.gov|{_NCBI}/pubmed)/(\d{{1,10}}){_END}",
    re.ASCII | re.IGNORECASE,
)
_TYPED_PMCID = re.compile(
    rf"(?:(?:https?://)?(?:pmc\.ncbi\.nlm\.nih\.gov|{_NCBI}/pmc)/articles/)?(?:pmcid:?\s*)?(PMC\d{{1,10}}){_END}",
    re.ASCII | re.IGNORECASE,
)
_TYPED_DOI = re.compile(r"(?:doi:?\s*|(?:https?://)?(?:dx\.)?doi\.org/)?10\.\d{4,9}/\S+", re.ASCII | re.IGNORECASE)
#: No identifier and no address of one is longer.
_LONGEST = 500


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


def tidy_doi(text: str | None) -> str:
    """Return a DOI in small letters without address, percent codes and closing punctuation; empty if it is none."""
    doi = (normalise_doi(clean(text)) or "").lower()
    found = re.search(r"10\.\d{4,9}/\S+", unquote(doi) if "%" in doi else doi)
    return found[0].rstrip(".,;)]}>\"'") if found else ""


def typed_identifier(text: str) -> int | str | None:
    """Return the PMID, the PMCID (`PMC123`) or the DOI (in small letters) that a text is; None for any other text.

    The text may be the address of the article too.

    >>> typed_identifier("PMID: 17170002"), typed_identifier("https://doi.org/10.1000/ABC"), typed_identifier("pmc7")
    (17170002, '10.1000/abc', 'PMC7')
    >>> typed_identifier("10 patients")
    """
    typed = text.strip()
    if len(typed) > _LONGEST:
        return None
    if match := _TYPED_PMID.fullmatch(typed):
        try:
            return parse_pmid(match[1] or match[2])
        except InvalidRecordError:
            return None
    if match := _TYPED_PMCID.fullmatch(typed):
        return match[1].upper()
    return tidy_doi(typed) or None if _TYPED_DOI.fullmatch(typed) else None


def check_readable(article: Article) -> Article:
    """Return the article; raise InvalidRecordError if it has no title and no abstract, and so nothing to find it by."""
    if not article.title and not article.abstract:
        raise InvalidRecordError("no title and no abstract")
    return article
