"""A record of MEDLINE text, from the lines of its tags to an Article."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from search.article import (
    AbstractSection,
    AccessionNumber,
    Article,
    ArticleId,
    Author,
    Book,
    Correction,
    GeneralNote,
    Grant,
    HistoryDate,
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
from search.characters import composed
from search.errors import InvalidRecordError
from search.formats.base import Rejection
from search.formats.dates import calendar_date, free_date, month_number, partial_date
from search.formats.identifiers import (
    check_readable,
    normalise_orcid,
    normalise_pmcid,
    parse_pmid,
)
from search.formats.medline.correction_tags import CORRECTION_KINDS
from search.normalize import normalise_doi
from search.presentation.notices import SAMPLE

__all__ = ["INDENT", "MAX_RECORD", "RawRecord", "read_record"]

#: Begins a continuation line.
INDENT = b"      "

#: The longest record that is read; the longest of PubMed's, with thousands of investigators, have some 2 MB.
MAX_RECORD = 1 << 23

_LINK = re.compile(r"(.*?)\s*\bPMID:\s*(\d+)\.?")

_OTHER_ABSTRACT_TYPES = ("AAMC", "AIDS", "KIE", "NASA", "PIP", "Publisher", "plain-language-summary")

# A label stands at the start of the abstract or of a sentence, in capitals, and ends in a colon.
_LABEL = re.compile(r"""(?:\A|(?<=[.?!)\]"'”’%])\ )([A-Z][A-Z ,/&()'-]{2,80}?):\ (?=\S)""", re.VERBOSE)
#: The words that labels are made of, in the singular.
_LABEL_WORDS = frozenset(
    {
        "AIM", "ANALYSES", "ANALYSIS", "ANIMAL", "APPRAISAL", "APPROACH", "ASSESSMENT", "AUTHOR", "AVAILABILITY",
        "BACKGROUND", "CASE", "CLINICAL", "COLLECTION", "COMPARATOR", "COMPARISON", "CONCLUSION", "CONTACT", "CONTEXT",
        "CRITERIA", "DATA", "DESCRIPTION", "DESIGN", "DIAGNOSIS", "DISCLOSURE", "DISCUSSION", "ELIGIBILITY", "ENDPOINT",
        "ETHNOPHARMACOLOGICAL", "EVALUATION", "EVIDENCE", "EXISTING", "EXPERIMENTAL", "EXPOSURE", "EXTRACTION",
        "FINANCIAL", "FINDING", "FUNDING", "GOAL", "HYPOTHESIS", "IMPLEMENTATION", "IMPLICATION", "IMPORTANCE",
        "INCLUSION", "INFORMATION", "INTERPRETATION", "INTERVENTION", "INTRODUCTION", "KEY", "LAY", "LEVEL",
        "LIMITATION", "LOCATION", "MAIN", "MATERIAL", "MEASURE", "MEASURED", "MEASUREMENT", "MESSAGE", "METHOD",
        "METHODOLOGY", "MOTIVATION", "NEW", "NUMBER", "OBJECTIVE", "OBSERVATION", "OTHER", "OUTCOME", "PARTICIPANT",
        "PATIENT", "PERSPECTIVE", "POINT", "POPULATION", "PRACTICAL", "PRACTICE", "PRESENTATION", "PRIMARY",
        "PRINCIPAL", "PROCEDURE", "PURPOSE", "QUESTION", "RATIONALE", "RECENT", "RECOMMENDATION", "REGISTRATION",
        "RELEVANCE", "REPORT", "RESEARCH", "RESULT", "REVIEW", "REVIEWER", "SAMPLE", "SCIENTIFIC", "SCOPE", "SEARCH",
        "SECONDARY", "SELECTION", "SETTING", "SIGNIFICANCE", "SOURCE", "STATEMENT", "STATISTICAL", "STRATEGY",
        "STRENGTH", "STUDY", "SUBJECT", "SUMMARY", "SUPPLEMENTARY", "SYNTHESIS", "TREATMENT", "TRIAL", "UNASSIGNED",
        "UNLABELLED",
    }
)  # fmt: skip
# `S` stands alone in `RESULT(S)` and `REVIEWER'S CONCLUSIONS`.
_JOINING_WORDS = frozenset(("A", "AND", "FOR", "IN", "OF", "ON", "OR", "S", "THE", "TO", "WITH"))

_ISSN = re.compile(r"(\S+)(?: \((\w+)\))?")
_SEASON = re.compile(r"(?:winter|spring|summer|fall|autumn)", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})(?: ([A-Za-z]+)(?: (\d{1,2}))?)?", re.ASCII)
_DIGITS_DATE = re.compile(r"(\d{4})(?:[/-]?(\d\d)(?:[/-]?(\d\d))?)?(?!\d)", re.ASCII)
_HISTORY_DATE = re.compile(r"(\d{4}/\d\d?/\d\d?)(?: (\d\d:\d\d))? \[([\w.-]+)\]", re.ASCII)
_IDENTIFIER = re.compile(r"(.*\S)\s*\[([\w-]+)\]")
_SUBSTANCE = re.compile(r"((?:EC )?\S+) \((.+)\)")
_SUFFIX = re.compile(r"[JS]r\.?|\d(?:st|nd|rd|th)", re.IGNORECASE)
_ACRONYM = re.compile(r"[A-Z0-9]{2}|[A-Z0-9]{2,6}_")

#: Countries of funders, used to read a grant that lacks some of its four parts.
_COUNTRIES = frozenset(
    {
        "Australia", "Austria", "Belgium", "Canada", "China", "Denmark", "Finland", "France", "Germany", "India",
        "International", "Ireland", "Israel", "Italy", "Japan", "Luxembourg", "Netherlands", "New Zealand", "Norway",
        "Portugal", "Spain", "Sweden", "Switzerland", "United Kingdom", "United States",
    }
)  # fmt: skip


@dataclass
class RawRecord:
    """The lines of a record by their tags, and whether a blank line has ended it."""

    start: int
    fields: list[tuple[str, list[bytes]]] = field(default_factory=list)
    size: int = 0
    ended: bool = False

    def add(self, tag: str, text: bytes) -> None:
        """Begin a field."""
        self.fields.append((tag, []))
        self._append(text)

    def extend(self, line: bytes, text: bytes) -> None:
        """Add a continuation line; one without text ends the record unless it is indented."""
        if text:
            self._append(text)
        else:
            self.ended = self.ended or not line.startswith(INDENT)

    def _append(self, text: bytes) -> None:
        self.ended = False
        self.size += len(text)
        if self.size <= MAX_RECORD:
            self.fields[-1][1].append(text)
        elif self.fields[-1][0] != "PMID":
            self.drop_text()

    def drop_text(self) -> None:
        """Mark the record as too long; of a record that will be rejected only its PMID is still of use."""
        self.size = max(self.size, MAX_RECORD + 1)
        self.fields = [entry for entry in self.fields if entry[0] == "PMID"] or [("", [])]

    def has_pmid(self) -> bool:
        """Whether one of the fields is a PMID."""
        return any(tag == "PMID" for tag, _ in self.fields)


class _Fields:
    """The values of a record in their order, and by their tags."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = [(tag, value) for tag, value in pairs if value]
        self._values: dict[str, list[str]] = defaultdict(list)
        for tag, value in self.pairs:
            self._values[tag].append(value)

    def first(self, tag: str) -> str | None:
        return next(iter(self._values.get(tag, ())), None)

    def all(self, tag: str) -> list[str]:
        return self._values.get(tag, [])


def read_record(record: RawRecord, where: str) -> Article | Rejection:
    """Return the article of a record, or why there is none."""
    pmid = None
    try:
        pmid = parse_pmid(_text(*next((entry for entry in record.fields if entry[0] == "PMID"), ("PMID", []))))
        if record.size > MAX_RECORD:
            raise InvalidRecordError(f"the record is longer than {MAX_RECORD >> 20} MB")
        fields = _Fields([(tag, _text(tag, parts)) for tag, parts in record.fields])
        return check_readable(_article(pmid, fields))
    except InvalidRecordError as error:
        return Rejection(where, str(error), pmid)


def _text(tag: str, parts: list[bytes]) -> str:
    """Return a value as one line, every run of whitespace as one space."""
    try:
        return " ".join(composed(b" ".join(parts).decode()).split())
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"the field {tag} is not valid UTF-8; save the file in UTF-8") from error


def _article(pmid: int, fields: _Fields) -> Article:
    doi, pmcid, other_ids = _identifiers(fields)
    book = _book(fields)
    return Article(
        pmid=pmid,
        # A whole book has no title but the book's.
        title=fields.first("TI") or (book.title if book else ""),
        vernacular_title=fields.first("TT"),
        abstract=_sections(" ".join(fields.all("AB"))),
        copyright=fields.first("CI"),
        other_abstracts=tuple(_other_abstracts(fields)),
        journal=_journal(fields, book),
        book=book,
        volume=fields.first("VI"),
        issue=fields.first("IP"),
        pages=fields.first("PG"),
        article_number=_article_number(fields),
        publication_date=_publication_date(fields.first("DP") or ""),
        electronic_date=_digits_date(fields.first("DEP") or fields.first("CTDT")),
        publication_model=fields.first("PUBM"),
        languages=tuple(fields.all("LA")),
        authors=_people(fields, "FAU", "AU", "AD", "CN"),
        authors_complete=not any(_is_et_al(name) for name in fields.all("AU")),
        investigators=_people(fields, "FIR", "IR", "IRAD"),
        mesh_headings=tuple(map(_mesh_heading, fields.all("MH"))),
        supplementary_concepts=tuple(map(SupplementaryConcept, fields.all("NM"))),
        keywords=tuple(_keywords(fields)),
        publication_types=tuple(map(PublicationType, fields.all("PT"))),
        substances=tuple(map(_substance, fields.all("RN"))),
        gene_symbols=tuple(fields.all("GS")),
        personal_name_subjects=_people(fields, "FPS", "PS"),
        space_flight_missions=tuple(fields.all("SFM")),
        citation_subsets=tuple(fields.all("SB")),
        general_notes=tuple(GeneralNote(text) for text in fields.all("GN") if text != str(SAMPLE)),
        number_of_references=_number(fields.first("RF")),
        doi=doi,
        pmcid=pmcid,
        other_ids=other_ids,
        accession_numbers=tuple(_accession_numbers(fields)),
        grants=tuple(map(_grant, fields.all("GR"))),
        corrections=tuple(_correction(tag, value) for tag, value in fields.pairs if tag in CORRECTION_KINDS),
        coi_statement=fields.first("COIS"),
        # NLM's own files, too, give the day of entry as that of creation since DateCreated is gone.
        created=_day(fields.first("DA") or fields.first("CRDT") or fields.first("CDAT")),
        completed=_day(fields.first("DCOM")),
        revised=_day(fields.first("LR") or fields.first("DRDT")),
        status=fields.first("STAT"),
        publication_status=fields.first("PST"),
        history=tuple(_history(fields)),
    )


def _journal(fields: _Fields, book: Book | None) -> Journal:
    issn = issn_type = issn_linking = None
    for value in fields.all("IS"):
        match = _ISSN.fullmatch(value)
        if match and match[2] == "Linking":
            issn_linking = issn_linking or match[1]
        elif issn is None:
            issn, issn_type = (match[1], match[2]) if match else (value, None)
            issn_type = None if issn_type == "Undetermined" else issn_type
    return Journal(
        title=fields.first("JT"),
        medline_abbreviation=fields.first("TA"),
        issn=issn,
        issn_linking=issn_linking,
        nlm_id=fields.first("JID"),
        country=None if book else fields.first("PL"),
        issn_type=issn_type,
    )


def _book(fields: _Fields) -> Book | None:
    title = fields.first("BTI")
    if not title:
        return None
    return Book(
        title=title,
        publisher=fields.first("PB"),
        place=fields.first("PL"),
        edition=fields.first("EN"),
        isbns=tuple(fields.all("ISBN")),
        editors=_people(fields, "FED", "ED"),
        collection=fields.first("CTI"),
    )


# Abstracts


def _sections(text: str) -> tuple[AbstractSection, ...]:
    """Return the sections of an abstract that unmistakable labels lead; all of the text is in one of them."""
    sections = []
    label, start = None, 0
    for match in _LABEL.finditer(text):
        words = set(re.findall("[A-Z]+", match[1])) - _JOINING_WORDS
        if words and all(word in _LABEL_WORDS or word.removesuffix("S") in _LABEL_WORDS for word in words):
            if match.start():
                sections.append(AbstractSection(text[start : match.start()], label))
            label, start = match[1], match.end()
    if text:
        sections.append(AbstractSection(text[start:], label))
    return tuple(sections)


def _other_abstracts(fields: _Fields) -> Iterator[OtherAbstract]:
    """Yield the other abstracts, to each of which belong the language and copyright that follow it."""
    abstracts: list[dict[str, str]] = []
    for tag, value in fields.pairs:
        if tag == "OAB":
            abstracts.append({tag: value})
        elif tag in ("OABL", "OCI") and abstracts:
            abstracts[-1].setdefault(tag, value)
    for values in abstracts:
        text = values["OAB"]
        kind = next((kind for kind in _OTHER_ABSTRACT_TYPES if text.startswith(f"{kind}: ")), None)
        sections = _sections(text.removeprefix(f"{kind}: "))
        yield OtherAbstract(sections, kind, values.get("OABL"), values.get("OCI"))


# People


@dataclass
class _Person:
    """The values of one author, editor or investigator as they stand."""

    full: str = ""
    short: str = ""
    group: str = ""
    orcid: str | None = None
    affiliations: list[str] = field(default_factory=list)


def _people(fields: _Fields, full: str, short: str, address: str = "", group: str = "") -> tuple[Author, ...]:
    """Return the people whose names stand under the tags `full` and `short`, and the groups, in their order.

    An address belongs to the person before it. Until 2014 one stood before all: the first author's.
    """
    people: list[_Person] = []
    early: list[str] = []
    for tag, value in fields.pairs:
        if tag == full:
            people.append(_Person(full=value))
        elif tag == group:
            people.append(_Person(group=value))
        elif tag == short and not _is_et_al(value):
            if not people or people[-1].short or not people[-1].full:
                people.append(_Person())
            people[-1].short = value
        elif tag == address:
            (people[-1].affiliations if people else early).append(value)
        elif tag == "AUID" and full == "FAU" and people:
            people[-1].orcid = people[-1].orcid or normalise_orcid(value)
    if people and not people[0].affiliations:
        people[0].affiliations = early
    return tuple(map(_author, people))


def _author(person: _Person) -> Author:
    affiliations = tuple(person.affiliations)
    if person.group or not (person.short or "," in person.full):
        return Author(collective_name=person.group or person.full, orcid=person.orcid, affiliations=affiliations)
    last, _, given = (part.strip() for part in person.full.partition(","))
    if not person.full:
        last = _last_name(person.short)
    words = person.short.removeprefix(last).split() if person.short.startswith(last) else person.short.split()[-1:]
    initials, suffix = " ".join(words), ""
    if _end_in_suffix(words):
        initials, suffix = " ".join(words[:-1]), words[-1]
    elif len(words) > 1 and given.endswith(" " + " ".join(words[1:])):
        initials, suffix = words[0], " ".join(words[1:])
    given = given.removesuffix(suffix).strip()
    return Author(
        last_name=last or None,
        fore_name=given or None,
        initials=initials or None,
        suffix=suffix or None,
        orcid=person.orcid,
        affiliations=affiliations,
    )


def _end_in_suffix(words: list[str]) -> bool:
    """Return whether the last word is a suffix; `JR` and `SR` are a suffix after initials, and else initials."""
    if not words or not _SUFFIX.fullmatch(words[-1]):
        return False
    return not words[-1].isupper() or (len(words) > 1 and words[-2].isupper())


def _last_name(short: str) -> str:
    """Return `van der Berg` of `van der Berg JP Jr`."""
    words = short.split()
    if _end_in_suffix(words[1:]):
        words.pop()
    if len(words) > 1 and words[-1].upper() == words[-1]:
        words.pop()
    return " ".join(words)


def _is_et_al(name: str) -> bool:
    return name.lower().rstrip(".") == "et al"


# Subjects


def _mesh_heading(text: str) -> MeshHeading:
    (descriptor, major), *qualifiers = map(_starred, text.split("/"))
    parts = tuple(MeshQualifier(name, major=is_major) for name, is_major in qualifiers if name)
    return MeshHeading(descriptor, major=major, qualifiers=parts)


def _keywords(fields: _Fields) -> Iterator[Keyword]:
    owner = None
    for tag, value in fields.pairs:
        if tag == "OTO":
            owner = value
        elif tag == "OT":
            text, major = _starred(value)
            if text:
                yield Keyword(text, major, owner)


def _starred(text: str) -> tuple[str, bool]:
    """Return a term without the star that marks it as a main point, and whether it has one."""
    return text.removeprefix("*").strip(), text.startswith("*")


def _substance(text: str) -> Substance:
    match = _SUBSTANCE.fullmatch(text)
    return Substance(match[2], registry_number=match[1]) if match else Substance(text)


# Identifiers, grants and links


def _identifiers(fields: _Fields) -> tuple[str | None, str | None, tuple[ArticleId, ...]]:
    """Return the first DOI, the PMCID, and the other identifiers once each."""
    doi = None
    pmcid = normalise_pmcid(fields.first("PMC") or "")
    others = dict.fromkeys(ArticleId("mid", value) for value in fields.all("MID"))
    for text in (*fields.all("LID"), *fields.all("AID")):
        match = _IDENTIFIER.fullmatch(text)
        kind, value = (match[2], match[1]) if match else ("doi" if text.startswith("10.") else "", text)
        if kind == "doi":
            normalised = normalise_doi(value) or ""
            doi = doi or normalised or None
            if normalised.lower() != (doi or "").lower():
                others[ArticleId(kind, normalised)] = None
        elif kind in ("pmc", "pmcid") or value.startswith("PMC"):
            pmcid = pmcid or normalise_pmcid(value)
        elif kind not in ("", "pubmed", "medline"):
            others[ArticleId(kind, value)] = None
    return doi, pmcid, tuple(others)


def _article_number(fields: _Fields) -> str | None:
    """Return the LID that is the place of an article: marked as `pii`, or, as PubMed writes it now, not at all."""
    for text in fields.all("LID"):
        match = _IDENTIFIER.fullmatch(text)
        if match and match[2] == "pii":
            return match[1]
        if match is None and not text.startswith("10."):
            return text
    return None


def _accession_numbers(fields: _Fields) -> Iterator[AccessionNumber]:
    for text in fields.all("SI"):
        databank, _, number = (part.strip() for part in text.partition("/"))
        yield AccessionNumber(databank, number)


def _grant(text: str) -> Grant:
    """Return a grant of `number/acronym/agency/country`, any of which may be left out, and numbers may hold slashes."""
    parts = [part.strip() for part in text.split("/")]
    country = parts.pop() if len(parts) > 3 or parts[-1] in _COUNTRIES or not parts[-1] else ""
    agency = parts.pop() if parts and (len(parts) > 1 or country or not re.search(r"\d", parts[-1])) else ""
    acronym = parts.pop() if parts and _ACRONYM.fullmatch(parts[-1]) else ""
    return Grant("/".join(parts) or None, acronym or None, agency or None, country or None)


def _correction(tag: str, text: str) -> Correction:
    match = _LINK.fullmatch(text)
    if not match:
        return Correction(CORRECTION_KINDS[tag], text)
    try:
        return Correction(CORRECTION_KINDS[tag], match[1] or None, parse_pmid(match[2]))
    except InvalidRecordError:
        # A link without a PMID is still worth its citation.
        return Correction(CORRECTION_KINDS[tag], text)


# Dates


def _publication_date(text: str) -> PartialDate:
    match = _DATE.fullmatch(text)
    if match and (not match[2] or month_number(match[2])):
        parsed = partial_date(*match.groups())
    elif match and _SEASON.fullmatch(match[2]) and not match[3]:
        parsed = partial_date(match[1], season=match[2])
    else:
        return free_date(text)
    return parsed if parsed.year else free_date(text)


def _digits_date(text: str | None) -> PartialDate | None:
    match = _DIGITS_DATE.match(text or "")
    return partial_date(*match.groups()) if match else None


def _history(fields: _Fields) -> Iterator[HistoryDate]:
    for text in fields.all("PHST"):
        match = _HISTORY_DATE.fullmatch(text)
        day = calendar_date(*match[1].split("/")) if match else None
        if match and day is not None:
            yield HistoryDate(match[3], day, None if match[2] == "00:00" else match[2])


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None


def _day(text: str | None) -> date | None:
    match = _DIGITS_DATE.match(text or "")
    return calendar_date(*match.groups()) if match else None
