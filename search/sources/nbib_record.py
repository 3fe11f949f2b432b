"""One record of MEDLINE text, its tags read into an Article."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from search.article import (
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Book,
    Correction,
    Grant,
    Journal,
    Keyword,
    MeshHeading,
    MeshQualifier,
    OtherAbstract,
    PartialDate,
    PublicationType,
    Substance,
    SupplementaryConcept,
)
from search.sources.dates import calendar_date, free_date, partial_date
from search.sources.identifiers import check_readable, normalise_doi, normalise_orcid, normalise_pmcid, parse_pmid

__all__ = ["Tags", "article_of"]

#: The tags of a record in their order, with their values.
Tags = Sequence[tuple[str, str]]

#: PubMed's tags for links to other records, and the RefType that NLM XML has for each.
CORRECTION_TAGS = {
    "CIN": "CommentIn",
    "CON": "CommentOn",
    "EIN": "ErratumIn",
    "EFR": "ErratumFor",
    "CRI": "CorrectedandRepublishedIn",
    "CRF": "CorrectedandRepublishedFrom",
    "RRI": "RetractedandRepublishedIn",
    "RRF": "RetractedandRepublishedFrom",
    "RIN": "RetractionIn",
    "ROF": "RetractionOf",
    "PRIN": "PartialRetractionIn",
    "PROF": "PartialRetractionOf",
    "RPI": "RepublishedIn",
    "RPF": "RepublishedFrom",
    "ECI": "ExpressionOfConcernIn",
    "ECF": "ExpressionOfConcernFor",
    "UIN": "UpdateIn",
    "UOF": "UpdateOf",
    "SPIN": "SummaryForPatientsIn",
    "ORI": "OriginalReportIn",
    "DDIN": "AssociatedDataset",
    "DRIN": "AssociatedPublication",
}

_OTHER_ABSTRACT_TYPE = re.compile(r"(Publisher|AIDS|AAMC|KIE|PIP|NASA|plain-language-summary): *")
_VALUE_AND_KIND = re.compile(r"(.*\S)\s*\[(\w+)\]$")
_DATE = re.compile(r"(\d{4})(?: ([A-Z][a-z]{2})(?: (\d{1,2}))?)?$")
_SEASON = re.compile(r"(\d{4}) (Spring|Summer|Fall|Autumn|Winter)$")
_DAY = re.compile(r"(\d{4})/?(\d{2})/?(\d{2})\b")
_SUFFIX = re.compile(r"^(Jr|Sr|\d(?:st|nd|rd|th)|I{2,3}|IV|V)$")
_LINKED_PMID = re.compile(r"\s*PMID: (\d+)\s*$")

#: A label as PubMed prints it before a section. An abstract is taken apart at labels only if it begins with one, and a
#: word of three letters after a sentence is no label, but an abbreviation.
_LABEL = r"[A-Z][A-Z0-9]*(?:[ ,/&()'’;+-]+[A-Z0-9]+)*\)?"
_FIRST_LABEL = re.compile(rf"(?=[^:]{{3,80}}: )({_LABEL}): ")
_NEXT_LABEL = re.compile(rf"(?<=[.?!)\]\"'”’]) (?=AIM: |[^:]{{4,80}}: )({_LABEL}): ")


def article_of(tags: Tags) -> Article:
    """Return the Article that a record's tags make.

    Raises InvalidRecordError if it has no PMID that can be used, or neither a title nor an abstract.
    """
    record = _Record(tags)
    pmid = parse_pmid(record.first("PMID"))
    is_book = bool(record.first("BTI"))
    doi, other_ids = _ids(record)
    pmcid = next(filter(None, map(normalise_pmcid, record.all("PMC"))), None)
    electronic = _day(record.first("DEP")) or _day(record.first("CTDT"))
    article = Article(
        pmid=pmid,
        title=record.first("TI") or record.first("TT") or record.first("BTI") or "",
        vernacular_title=record.first("TT"),
        abstract=_sections(record.first("AB")),
        copyright=record.first("CI"),
        other_abstracts=_other_abstracts(tags),
        journal=Journal() if is_book else _journal(record),
        book=_book(record) if is_book else None,
        volume=record.first("VI"),
        issue=record.first("IP"),
        pages=record.first("PG"),
        publication_date=_publication_date(record.first("DP")),
        electronic_date=PartialDate(electronic.year, electronic.month, electronic.day) if electronic else None,
        languages=tuple(record.all("LA")),
        authors=_people(tags, "FAU", "AU", "AD", "AUID", "CN"),
        investigators=_people(tags, "FIR", "IR", "IRAD", None, None),
        mesh_headings=tuple(map(_mesh_heading, record.all("MH"))),
        supplementary_concepts=tuple(map(SupplementaryConcept, record.all("NM"))),
        keywords=_keywords(tags),
        publication_types=tuple(map(PublicationType, record.all("PT"))),
        substances=tuple(map(_substance, record.all("RN"))),
        doi=doi,
        pmcid=pmcid,
        other_ids=other_ids,
        accession_numbers=tuple(map(_accession_number, record.all("SI"))),
        grants=tuple(map(_grant, record.all("GR"))),
        corrections=tuple(_correction(CORRECTION_TAGS[tag], value) for tag, value in tags if tag in CORRECTION_TAGS),
        coi_statement=record.first("COIS") or record.first("COI"),
        created=_day(record.first("DA")) or _day(record.first("CRDT")),
        completed=_day(record.first("DCOM")),
        revised=_day(record.first("LR")) or _day(record.first("DRDT")),
        status=record.first("STAT"),
        publication_status=record.first("PST"),
    )
    return check_readable(article)


class _Record:
    """A record's values by tag."""

    def __init__(self, tags: Tags) -> None:
        self._values: dict[str, list[str]] = {}
        for tag, value in tags:
            if value:
                self._values.setdefault(tag, []).append(value)

    def all(self, tag: str) -> list[str]:
        """Return the values of a tag that are not empty."""
        return self._values.get(tag, [])

    def first(self, tag: str) -> str | None:
        """Return the first value of a tag; None if there is none."""
        return next(iter(self.all(tag)), None)


# Dates


def _publication_date(text: str | None) -> PartialDate:
    """Return the date in the form `2023 May 17`, `2004 Summer` or any other that a MedlineDate has."""
    if not text:
        return PartialDate()
    if found := _DATE.match(text):
        date_found = partial_date(*found.groups())
        if date_found.season is None:
            return date_found
    if found := _SEASON.match(text):
        return PartialDate(year=int(found[1]), season=found[2])
    return free_date(text)


def _day(text: str | None) -> date | None:
    """Return the day in `20230517` or `2023/05/17 13:10`."""
    found = _DAY.match(text or "")
    return calendar_date(*found.groups()) if found else None


# Text


def _sections(text: str | None) -> tuple[AbstractSection, ...]:
    """Return an abstract in the sections that its labels show, as `BACKGROUND: ... METHODS: ...`."""
    if not text:
        return ()
    first = _FIRST_LABEL.match(text)
    if not first:
        return (AbstractSection(text),)
    places = [(first.start(), first), *((found.start(), found) for found in _NEXT_LABEL.finditer(text, first.end()))]
    ends = [place for place, _ in places[1:]] + [len(text)]
    sections = [
        AbstractSection(text[found.end() : end].strip(), found[1]) for (_, found), end in zip(places, ends, strict=True)
    ]
    # A label that nothing follows is not one.
    return tuple(sections) if all(section.text for section in sections) else (AbstractSection(text),)


def _other_abstracts(tags: Tags) -> tuple[OtherAbstract, ...]:
    """Return the abstracts of OAB tags, each with the language (OABL) and copyright (OCI) that follow it."""
    found: list[dict[str, Any]] = []
    for tag, value in tags:
        if tag == "OAB" and value:
            kind = _OTHER_ABSTRACT_TYPE.match(value)
            text = value[kind.end() :] if kind else value
            found.append({"sections": (AbstractSection(text),), "type": kind[1] if kind else None, "language": "eng"})
        elif tag == "OABL" and found:
            found[-1]["language"] = value or "eng"
        elif tag == "OCI" and found:
            found[-1]["copyright"] = value or None
    return tuple(OtherAbstract(**fields) for fields in found if fields["sections"][0].text)


# The journal or book


def _journal(record: _Record) -> Journal:
    numbers = [(value.partition(" ")[0], value) for value in record.all("IS")]
    linking = next((number for number, value in numbers if "(Linking)" in value), None)
    issn = next((number for number, value in numbers if "(Linking)" not in value), None)
    return Journal(
        title=record.first("JT"),
        medline_abbreviation=record.first("TA"),
        issn=issn,
        issn_linking=linking,
        nlm_id=record.first("JID"),
        country=record.first("PL"),
    )


def _book(record: _Record) -> Book:
    return Book(
        title=record.first("BTI") or "",
        publisher=record.first("PB"),
        place=record.first("PL"),
        edition=record.first("EN"),
        isbns=tuple(value.partition(" ")[0] for value in record.all("ISBN")),
        editors=tuple(_person(name, None) for name in record.all("FED")),
        collection=record.first("CTI"),
    )


# People


def _people(
    tags: Tags, full: str, short: str, affiliation: str, identifier: str | None, group: str | None
) -> tuple[Author, ...]:
    """Return the people of the tags: each begins with its full name, or its short one where there is no full one."""
    people: list[dict[str, Any]] = []
    first_affiliations: list[str] = []
    for tag, value in tags:
        current = people[-1] if people else None
        if tag == short and current and "full" in current and "short" not in current:
            current["short"] = value
        elif value and tag in (full, short, group):
            people.append({"full" if tag == full else "short" if tag == short else "group": value, "affiliations": []})
        elif value and tag == affiliation:
            # Until 2014 there was one affiliation, the first author's, and it stood before the authors.
            (current["affiliations"] if current else first_affiliations).append(value)
        elif tag == identifier and current:
            current["orcid"] = normalise_orcid(value)
    if people:
        people[0]["affiliations"][:0] = first_affiliations
    return tuple(map(_author, people))


def _author(person: dict[str, Any]) -> Author:
    affiliations = tuple(person["affiliations"])
    if "group" in person:
        return Author(collective_name=person["group"], orcid=person.get("orcid"), affiliations=affiliations)
    name = _person(person.get("full"), person.get("short"))
    return Author(name.last_name, name.fore_name, name.initials, name.suffix, None, person.get("orcid"), affiliations)


def _person(full: str | None, short: str | None) -> Author:
    """Return the name that `Smith, John A Jr` and `Smith JA Jr` give; either may be missing."""
    last, _, fore = (part.strip() for part in (full or "").partition(","))
    words = (short or "").split()
    if not full:
        suffix = words.pop() if len(words) > 2 and _SUFFIX.match(words[-1]) else None
        initials = words.pop() if len(words) > 1 and words[-1].isupper() and len(words[-1]) <= 4 else None
        return Author(" ".join(words) or None, initials=initials, suffix=suffix)
    rest = words[len(last.split()) :]
    suffix = rest.pop() if len(rest) > 1 and _SUFFIX.match(rest[-1]) else None
    initials = " ".join(rest) or None
    if suffix and fore.endswith(f" {suffix}"):
        fore = fore[: -len(suffix)].strip()
    return Author(last or None, fore or None, initials, suffix)


# Subjects


def _mesh_heading(text: str) -> MeshHeading:
    """Return the heading in `Descriptor/qualifier/*qualifier`, `*` being the mark of a main point."""
    descriptor, *qualifiers = text.split("/")
    return MeshHeading(
        descriptor.lstrip("*").strip(),
        major=descriptor.startswith("*"),
        qualifiers=tuple(MeshQualifier(name.lstrip("*").strip(), major=name.startswith("*")) for name in qualifiers),
    )


def _keywords(tags: Tags) -> tuple[Keyword, ...]:
    """Return the keywords of OT tags, with the owner (OTO) that stands before them."""
    owner = None
    found = []
    for tag, value in tags:
        if tag == "OTO":
            owner = value or None
        elif tag == "OT" and value.lstrip("*"):
            found.append(Keyword(value.lstrip("*").strip(), value.startswith("*"), owner))
    return tuple(found)


def _substance(text: str) -> Substance:
    """Return the substance in `0 (Macromolecular Substances)`."""
    number, _, name = text.partition(" (")
    return Substance(name.removesuffix(")"), registry_number=number) if name else Substance(text)


# Identifiers and links


def _ids(record: _Record) -> tuple[str | None, tuple[ArticleId, ...]]:
    """Return the DOI, and the other identifiers once each."""
    doi = None
    others: dict[ArticleId, None] = {}
    for value in (*record.all("LID"), *record.all("AID")):
        found = _VALUE_AND_KIND.match(value)
        text, kind = (found[1], found[2]) if found else (value, "")
        own = normalise_doi(text) if kind == "doi" else None
        if own and (doi is None or doi.lower() == own.lower()):
            doi = doi or own
        else:
            others[ArticleId(kind, own or text)] = None
    for value in record.all("MID"):
        others[ArticleId("mid", value)] = None
    for value in record.all("OID"):
        source, _, text = value.partition(": ")
        others[ArticleId(source if text else "NLM", text or source)] = None
    return doi, tuple(others)


def _accession_number(text: str) -> AccessionNumber:
    """Return the number in `ClinicalTrials.gov/NCT01234567`."""
    databank, _, number = text.partition("/")
    return AccessionNumber(databank.strip(), number.strip())


def _grant(text: str) -> Grant:
    """Return the grant in `R01 CA123456/CA/NCI NIH HHS/United States`; any part but the agency may be missing."""
    if "/" not in text:
        return Grant(agency=text)
    *rest, agency, country = text.split("/")
    acronym = rest.pop() if rest and re.fullmatch(r"[A-Z]{2}|[A-Z]+_|NULL", rest[-1]) else None
    return Grant("/".join(rest) or None, acronym, agency, country)


def _correction(kind: str, text: str) -> Correction:
    """Return the link in `Nature. 2003 Jan 2;421(6918):1. PMID: 12511916`."""
    found = _LINKED_PMID.search(text)
    citation = text[: found.start()] if found else text
    return Correction(kind, citation or None, int(found[1]) if found else None)
