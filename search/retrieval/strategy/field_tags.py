"""The field tags of PubMed's query language: their names, and what of a record answers each.

A field is answered by words (`zones` of the text, with positions) or by exact values (`keys`); both are written by
`search.storage.article_tokens`. Names and rules follow PubMed's help, section "Search field tags".
"""

from __future__ import annotations

import difflib
from typing import Literal

import msgspec

__all__ = ["FIELDS", "FILTER_WORDS", "Field", "Kind", "field_of", "nearest_tags"]

#: How the text before a tag is understood.
Kind = Literal["words", "person", "heading", "subheading", "value", "action", "date", "pmid", "filter"]


class Field(msgspec.Struct, frozen=True):
    """A search field: its short tag, the name that search details show, and what answers it.

    `zones` are the parts of the text whose words are looked at, `keys` the prefixes of the exact values. `names` are
    other ways to write the tag. `vocabulary` tells that its values may hold a lower-case `and` (`wounds and injuries`).
    """

    tag: str
    name: str
    kind: Kind
    zones: str = ""
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    vocabulary: bool = False

    @property
    def takes_distance(self) -> bool:
        """Whether PubMed searches by proximity in it."""
        return self.tag in ("ti", "tiab", "ab", "ad")

    @property
    def takes_noexp(self) -> bool:
        """Whether its values include narrower ones, unless the tag ends in `:noexp`."""
        return self.tag in ("mh", "majr", "sh", "pt", "pa")


_TIAB = "tbk"
_TW = _TIAB + "mc"

_WORDS = [
    Field("ti", "Title", "words", "t", names=("title words",)),
    Field("ab", "Abstract", "words", "b"),
    Field("tiab", "Title/Abstract", "words", _TIAB),
    Field("tw", "Text Word", "words", _TW, names=("text words", "word", "text")),
    Field("all", "All Fields", "words", _TW + "agvon", names=("all field",)),
    Field("ot", "Other Term", "words", "k", names=("other terms", "keyword", "keywords", "author keywords")),
    Field("tt", "Transliterated Title", "words", "v"),
    Field("ad", "Affiliation", "words", "a", vocabulary=True),
    Field("cn", "Author - Corporate", "words", "c", names=("corporate author",), vocabulary=True),
    Field("gr", "Grants and Funding", "words", "g", names=("grant number", "grants", "grant"), vocabulary=True),
    Field("cois", "Conflict of Interest Statements", "words", "o", names=("conflict of interest statement",)),
    Field("pubn", "Publisher", "words", "p", vocabulary=True),
    Field("book", "Book", "words", "q", vocabulary=True),
]
_PEOPLE = [
    Field("au", "Author", "person", keys=("au", "fau"), names=("author name", "authors")),
    Field("1au", "Author - First", "person", keys=("1au",), names=("first author", "first author name")),
    Field("lastau", "Author - Last", "person", keys=("lastau",), names=("last author", "last author name")),
    Field("fau", "Full Author Name", "person", keys=("fau",), names=("author - full", "full author")),
    Field("ir", "Investigator", "person", keys=("ir", "fir"), names=("collaborator",)),
    Field("fir", "Full Investigator Name", "person", keys=("fir",), names=("full investigator", "investigator - full")),
    Field("ed", "Editor", "person", keys=("ed",)),
    Field("ps", "Subject - Personal Name", "person", keys=("ps",), names=("personal name as subject",)),
]
_SUBJECTS = [
    Field(
        "mh",
        "MeSH Terms",
        "heading",
        keys=("mh",),
        names=("mesh", "mesh term", "mesh heading", "mesh headings", "subheading combination"),
        vocabulary=True,
    ),
    Field("majr", "MeSH Major Topic", "heading", keys=("majr",), names=("mesh major topics", "mj"), vocabulary=True),
    Field(
        "sh",
        "MeSH Subheading",
        "subheading",
        keys=("sh",),
        names=("subheading", "subheadings", "mesh subheadings"),
        vocabulary=True,
    ),
    Field(
        "nm",
        "Supplementary Concept",
        "value",
        keys=("nm",),
        names=("substance name", "substance", "supplementary concepts"),
        vocabulary=True,
    ),
    Field("rn", "EC/RN Number", "value", keys=("rn",), names=("rn number", "registry number")),
    Field(
        "pa",
        "Pharmacological Action",
        "action",
        names=("pharmacologic action", "pharmacological actions"),
        vocabulary=True,
    ),
    Field("pt", "Publication Type", "value", keys=("pt",), names=("ptyp", "publication types"), vocabulary=True),
]
_PUBLICATION = [
    Field("la", "Language", "value", keys=("la",), names=("lang",)),
    Field(
        "ta",
        "Journal",
        "value",
        keys=("ta",),
        names=("jour", "journal title", "journal name", "so", "title abbreviation"),
        vocabulary=True,
    ),
    Field("is", "ISSN", "value", keys=("ta",), names=("issn",)),
    Field("jid", "NLM Unique ID", "value", keys=("jid",)),
    Field("vi", "Volume", "value", keys=("vi",), names=("vol",)),
    Field("ip", "Issue", "value", keys=("ip",)),
    Field("pg", "Pagination", "value", keys=("pg",), names=("page", "pages")),
    Field("pl", "Place of Publication", "value", keys=("pl",), names=("country",)),
    Field("isbn", "ISBN", "value", keys=("isbn",)),
]
_DATES = [
    Field(
        "dp",
        "Date - Publication",
        "date",
        keys=("dp", "dpx"),
        names=("pdat", "publication date", "date of publication"),
    ),
    Field("epdat", "Electronic Date of Publication", "date", keys=("epdat",), names=("electronic publication date",)),
    Field("ppdat", "Print Date of Publication", "date", keys=("ppdat",), names=("print publication date",)),
    Field("crdt", "Date - Create", "date", keys=("crdt",), names=("create date",)),
    Field("dcom", "Date - Completion", "date", keys=("dcom",), names=("completion date",)),
    Field("lr", "Date - Modification", "date", keys=("lr",), names=("mdat", "modification date", "date - revised")),
    Field("edat", "Date - Entry", "date", keys=("edat",), names=("entry date", "date - entrez", "entrez date")),
    Field("mhda", "Date - MeSH", "date", keys=("mhda",), names=("mesh date",)),
]
_IDENTIFIERS = [
    Field("pmid", "UID", "pmid", names=("uid", "pubmed id")),
    Field("pmc", "PMCID", "value", keys=("pmc",), names=("pmcid",)),
    Field("aid", "Article Identifier", "value", keys=("aid",)),
    Field("lid", "Location ID", "value", keys=("aid",)),
    Field("doi", "DOI", "value", keys=("aid",)),
    Field("auid", "Author - Identifier", "value", keys=("auid",), names=("author identifier", "orcid")),
    Field("si", "Secondary Source ID", "value", keys=("si",), names=("secondary source",)),
    Field("sb", "Filter", "filter", keys=("sb",), names=("subset", "subsets", "filters")),
]
#: Every field, by its short tag.
FIELDS: dict[str, Field] = {
    field.tag: field for group in (_WORDS, _PEOPLE, _SUBJECTS, _PUBLICATION, _DATES, _IDENTIFIERS) for field in group
}

_BY_NAME = {name: field for field in FIELDS.values() for name in (field.tag, field.name.lower(), *field.names)}

#: Words that are filters by themselves, as in PubMed: `hasabstract`, `hasretractionin`.
FILTER_WORDS = frozenset(
    {
        "hasabstract", "hasstructuredabstract", "haskeyword", "hascois", "hasdatabanklist", "hasnihmsid",
        "hascommentin", "hascommenton", "hascorrectedrepublishedin", "hascorrectedrepublishedfrom",
        "hasassociatedpublication", "hasassociateddataset", "haserratumin", "haserratumfor",
        "hasexpressionofconcernin", "hasexpressionofconcernfor", "hasoriginalreportin", "hasrepublishedin",
        "hasrepublishedfrom", "hasretractedandrepublishedin", "hasretractedandrepublishedfrom", "hasretractionin",
        "hasretractionof", "hassummaryforpatientsin", "hasupdatein", "hasupdateof", "pubstatusaheadofprint",
        "pmcbook",
    }
)  # fmt: skip


def field_of(name: str) -> Field | None:
    """Return the field of a short or long tag, in either case, or None.

    >>> field_of("Title/Abstract").tag
    'tiab'
    """
    return _BY_NAME.get(" ".join(name.lower().split()))


def nearest_tags(name: str) -> str:
    """Return the known tags nearest to one that is not known, for a message."""
    near = difflib.get_close_matches(" ".join(name.lower().split()), _BY_NAME, n=3, cutoff=0.5)
    tags = dict.fromkeys(_BY_NAME[found].tag for found in near)
    return ", ".join(f"[{tag}] ({FIELDS[tag].name})" for tag in tags or ("tiab", "mh", "au"))
