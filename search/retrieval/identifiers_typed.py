"""A PMID, DOI, PMCID or the address of an article, typed alone: it names an article and is not a question."""

from __future__ import annotations

import re

from search.normalize import folded_words, normalise_doi
from search.storage.token_query import AnyOf, PmidSet, TokenQuery

__all__ = ["identifier_query"]

_PMID = re.compile(r"(?:pmid:?\s*)(\d{1,10})|(\d{5,10})", re.IGNORECASE)
_PUBMED = re.compile(
    r"(?:https?://)?(?:pubmed\.ncbi\.nlm\.nih\.gov|(?:www\.)?ncbi\.nlm\.nih\.gov/pubmed)/(\d{1,10})/?(?:[?#].*)?", re.I
)
_PMC = re.compile(
    r"(?:(?:https?://)?(?:pmc\.ncbi\.nlm\.nih\.gov|(?:www\.)?ncbi\.nlm\.nih\.gov/pmc)/articles/)?(?:pmcid:?\s*)?"
    r"(PMC\d{1,10})/?(?:[?#].*)?",
    re.IGNORECASE,
)
_DOI = re.compile(r"10\.\d{4,9}/\S+")


def identifier_query(text: str) -> TokenQuery | None:
    """Return the query for the article that a text names; None if the text is not an identifier alone.

    A bare number needs five digits to be a PMID.

    >>> identifier_query("PMID: 17170002")
    PmidSet(pmids=(17170002,))
    >>> identifier_query("10 patients")
    """
    typed = text.strip()
    if len(typed) > 500:
        return None
    match = _PMID.fullmatch(typed) or _PUBMED.fullmatch(typed)
    if match:
        return PmidSet((int(next(filter(None, match.groups()))),))
    match = _PMC.fullmatch(typed)
    if match:
        return AnyOf((f"pmc:{match[1].lower()}",), exact=True)
    doi = normalise_doi(typed) or ""
    if _DOI.fullmatch(doi):
        return AnyOf((f"aid:{'_'.join(folded_words(doi))}",), exact=True)
    return None
