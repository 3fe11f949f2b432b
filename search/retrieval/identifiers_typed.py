"""A PMID, DOI, PMCID or the address of an article, typed alone: it names an article and is not a question."""

from __future__ import annotations

from search.formats.identifiers import typed_identifier
from search.normalize import folded_words
from search.storage.token_query import AnyOf, PmidSet, TokenQuery

__all__ = ["identifier_query"]

#: A number of fewer digits, alone, is no PMID but a question.
_FEWEST_DIGITS = 5


def identifier_query(text: str) -> TokenQuery | None:
    """Return the query for the article that a text names; None if the text is not an identifier alone.

    A bare number needs five digits to be a PMID.

    >>> identifier_query("PMID: 17170002")
    PmidSet(pmids=(17170002,))
    >>> identifier_query("10 patients")
    """
    identifier = typed_identifier(text)
    if identifier is None or (len(text.strip()) < _FEWEST_DIGITS and isinstance(identifier, int)):
        return None
    if isinstance(identifier, int):
        return PmidSet((identifier,))
    if identifier.startswith("PMC"):
        return AnyOf((f"pmc:{identifier.lower()}",), exact=True)
    return AnyOf((f"aid:{'_'.join(folded_words(identifier))}",), exact=True)
