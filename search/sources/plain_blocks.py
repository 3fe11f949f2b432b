"""The blocks that make up most of a record, read without the XML parser where they are in NLM's plainest form.

Authors, MeSH headings, history and references are two thirds of a record's elements, and a parser takes its time by
the element. So they are lifted out of the record's bytes before it is parsed. Authors and headings are lifted only if
all of the block matches a pattern of well-formed XML in the form that NLM's programs write; anything else stays in the
record for the parser and for the readers of `xml_parts` and `xml_article`, which give the same.
"""

from __future__ import annotations

import re

from search.article import Author, MeshHeading, MeshQualifier
from search.sources.dates import calendar_date
from search.sources.identifiers import normalise_orcid
from search.sources.xml_parts import Fields
from search.sources.xml_text import tidy

__all__ = ["PlainBlocks"]

#: How many headings are remembered; NLM uses some 30,000 descriptors, most of them seldom.
_REMEMBERED = 50_000

_TEXT = r"[^<]*"
_IDENTIFIERS = rf'(?:<Identifier Source="\w+">{_TEXT}</Identifier>\s*)*'
_AFFILIATIONS = rf"(?:<AffiliationInfo>\s*<Affiliation>{_TEXT}</Affiliation>\s*{_IDENTIFIERS}</AffiliationInfo>\s*)*"
_AUTHOR = re.compile(
    r'<Author ValidYN="([YN])"(?: EqualContrib="[YN]")?>\s*'
    rf"(?:<LastName>({_TEXT})</LastName>\s*"
    rf"(?:<ForeName>({_TEXT})</ForeName>\s*)?"
    rf"(?:<Initials>({_TEXT})</Initials>\s*)?"
    rf"(?:<Suffix>({_TEXT})</Suffix>\s*)?"
    rf"|<CollectiveName>({_TEXT})</CollectiveName>\s*)"
    rf"({_IDENTIFIERS})({_AFFILIATIONS})</Author>\s*"
)
_ORCID = re.compile(r'<Identifier Source="ORCID">([^<]*)')
_AFFILIATION = re.compile(r"<Affiliation>([^<]*)")
_AUTHOR_LIST = re.compile(r'<AuthorList(?: CompleteYN="([YN])")?>\s*')

_ATTRIBUTES = r'(?:\s+\w+="[^"<&]*")*'
_HEADING = re.compile(
    rf"\s*<MeshHeading>\s*<DescriptorName({_ATTRIBUTES})>({_TEXT})</DescriptorName>\s*"
    rf"((?:<QualifierName{_ATTRIBUTES}>{_TEXT}</QualifierName>\s*)*)"
)
_QUALIFIER = re.compile(r"<QualifierName([^>]*)>([^<]*)")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')

_ENTREZ = re.compile(
    rb'<PubMedPubDate PubStatus="entrez">\s*<Year>(\d{4})</Year>\s*<Month>(\d\d?)</Month>\s*<Day>(\d\d?)</Day>'
)

#: A predefined entity, or a character by its number; what XML allows no other program but a parser should judge.
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{2,6})|#x([0-9A-Fa-f]{2,5}));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class _NotPlain(Exception):
    """A block is not in the plain form and is left to the XML parser."""


class PlainBlocks:
    """Lifts plain blocks out of records; remembers the MeSH headings it has read."""

    def __init__(self) -> None:
        self._headings: dict[bytes, MeshHeading] = {}

    def lift(self, record: bytes) -> tuple[bytes, Fields]:
        """Return the record without the blocks that were lifted, and the fields read from these."""
        fields: Fields = {}
        record = _without_references(record)
        record = _lift(record, b"<AuthorList", b"</AuthorList>", _read_authors, fields)
        record = _lift(record, b"<MeshHeadingList>", b"</MeshHeadingList>", self._read_headings, fields)
        return _lift(record, b"<History>", b"</History>", _read_history, fields), fields

    def _read_headings(self, block: bytes, fields: Fields) -> None:
        *headings, rest = block[len(b"<MeshHeadingList>") : -len(b"</MeshHeadingList>")].split(b"</MeshHeading>")
        if rest and not rest.isspace():
            raise _NotPlain
        remembered = self._headings
        found = []
        for raw in headings:
            heading = remembered.get(raw)
            if heading is None:
                heading = _heading(raw)
                if len(remembered) >= _REMEMBERED:
                    remembered.clear()
                remembered[raw] = heading
            found.append(heading)
        fields["mesh_headings"] = tuple(found)


def _lift(record, start, end, read, fields):
    first = record.find(start)
    if first < 0:
        return record
    last = record.find(end, first)
    if last < 0 or record.find(start, last) >= 0:
        return record
    last += len(end)
    try:
        read(record[first:last], fields)
    except (_NotPlain, UnicodeDecodeError):
        return record
    return record[:first] + record[last:]


def _without_references(record: bytes) -> bytes:
    first = record.find(b"<ReferenceList")
    if first < 0:
        return record
    return record[:first] + record[record.rindex(b"</ReferenceList>") + 16 :]


def _read_authors(block: bytes, fields: Fields) -> None:
    text = block[: -len(b"</AuthorList>")].decode()
    opening = _AUTHOR_LIST.match(text)
    if not opening:
        raise _NotPlain
    authors = []
    place = opening.end()
    while place < len(text):
        match = _AUTHOR.match(text, place)
        if not match:
            raise _NotPlain
        place = match.end()
        if match[1] == "Y":
            authors.append(_author(match))
    fields["authors"] = tuple(authors)
    if opening[1] == "N":
        fields["authors_complete"] = False


def _author(match: re.Match[str]) -> Author:
    _, last_name, fore_name, initials, suffix, collective_name, identifiers, affiliations = match.groups()
    orcids = _ORCID.findall(identifiers) if identifiers else ()
    return Author(
        _plain(last_name),
        _plain(fore_name),
        _plain(initials),
        _plain(suffix),
        _plain(collective_name),
        normalise_orcid(_text(orcids[-1])) if orcids else None,
        tuple(filter(None, map(_text, _AFFILIATION.findall(affiliations)))) if affiliations else (),
    )


def _plain(text: str | None) -> str | None:
    return (_text(text) or None) if text else None


def _text(raw: str) -> str:
    """Return the text that the raw XML stands for."""
    if "&" in raw:
        if len(_REFERENCE.findall(raw)) != raw.count("&"):
            raise _NotPlain
        raw = _REFERENCE.sub(_character, raw)
    return tidy(raw)


def _character(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name:
        return _ENTITIES[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    if number < 0x20 or 0xD800 <= number <= 0xDFFF or number in (0xFFFE, 0xFFFF) or number > 0x10FFFF:
        raise _NotPlain
    return chr(number)


def _heading(raw: bytes) -> MeshHeading:
    match = _HEADING.fullmatch(raw.decode())
    if not match:
        raise _NotPlain
    attributes, name, qualifiers = match.groups()
    descriptor = dict(_ATTRIBUTE.findall(attributes))
    return MeshHeading(
        _text(name),
        descriptor.get("UI"),
        descriptor.get("MajorTopicYN") == "Y",
        tuple(_qualifier(*parts) for parts in _QUALIFIER.findall(qualifiers)) if qualifiers else (),
    )


def _qualifier(attributes: str, name: str) -> MeshQualifier:
    qualifier = dict(_ATTRIBUTE.findall(attributes))
    return MeshQualifier(_text(name), qualifier.get("UI"), qualifier.get("MajorTopicYN") == "Y")


def _read_history(block: bytes, fields: Fields) -> None:
    match = _ENTREZ.search(block)
    if not match:
        raise _NotPlain
    year, month, day = match.groups()
    fields["created"] = calendar_date(year.decode(), month.decode(), day.decode())
