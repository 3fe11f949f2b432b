"""NLM's files of MeSH: descriptors and supplementary concepts, in XML and in ASCII, and the tree alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from search.errors import QueryError
from search.formats.byte_stream import ByteStream, lines

__all__ = ["MeshRecord", "read_mesh"]


#: Bytes of a line of ASCII; a longer one is none of NLM's.
_LONGEST = 1 << 20


class MeshRecord(msgspec.Struct, frozen=True, array_like=True):
    """A descriptor or a supplementary concept: its name, UI, places in the tree, other names, pharmacological actions.

    Only descriptors have places in the tree; actions are names of descriptors.
    """

    name: str
    ui: str = ""
    numbers: tuple[str, ...] = ()
    entry_terms: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    supplementary: bool = False

    @property
    def is_publication_type(self) -> bool:
        """Whether it says what an article is, and not what it is about: all its places are in branch V."""
        return bool(self.numbers) and all(number.startswith("V") for number in self.numbers)


def read_mesh(path: Path) -> Iterator[MeshRecord]:
    """Yield the records of a file of NLM's, gzipped or not: desc, supp (XML), d, c (ASCII) or mtrees with the year.

    Raises SourceError if the file cannot be read to its end, QueryError if it is damaged or has no record of these.
    """
    count = 0
    try:
        for count, record in enumerate(_records(ByteStream(path)), start=1):  # noqa: B007 - used after the loop
            yield record
    except SyntaxError as error:
        raise QueryError(f"{path} is damaged: {error}") from error
    if not count:
        raise QueryError(
            f"{path} is not MeSH: give NLM's descYYYY.xml, suppYYYY.xml, dYYYY.bin, cYYYY.bin or mtreesYYYY.bin"
        )


def _records(stream: ByteStream) -> Iterator[MeshRecord]:
    start = stream.head().lstrip(b" \r\n")
    if start.startswith(b"<"):
        return _xml(stream.pieces())
    texts = (line.decode("utf-8", "replace") for _, line in lines(stream.pieces(), _LONGEST) if line is not None)
    return _ascii(texts) if start.startswith(b"*NEWRECORD") else _mtrees(texts)


def _mtrees(lines: Iterable[str]) -> Iterator[MeshRecord]:
    """Read `Body Regions;A01`."""
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        name, _, number = line.rpartition(";")
        if name and _is_number(number.strip()):
            numbers[name.strip()].append(number.strip())
    yield from (MeshRecord(name, numbers=tuple(some)) for name, some in numbers.items())


def _is_number(text: str) -> bool:
    first, *rest = text.split(".")
    return len(first) == 3 and first[0].isupper() and first[1:].isdigit() and all(part.isdigit() for part in rest)


def _ascii(lines: Iterable[str]) -> Iterator[MeshRecord]:
    """Read records of `MH = name` (or `NM`), `UI = D000001`, `MN = A01.111`, `ENTRY = term|T047|...`, `PA = name`."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.strip() == "*NEWRECORD":
            yield from _ascii_record(fields)
            fields.clear()
        else:
            key, equals, value = line.partition(" = ")
            if equals:
                fields[key.strip()].append(value.strip())
    yield from _ascii_record(fields)


def _ascii_record(fields: dict[str, list[str]]) -> Iterator[MeshRecord]:
    name = next(iter([*fields.get("MH", ()), *fields.get("NM", ())]), "")
    if not name:
        return
    terms = [value.partition("|")[0] for key in ("ENTRY", "PRINT ENTRY", "SY", "N1") for value in fields.get(key, ())]
    yield MeshRecord(
        name,
        "".join(fields.get("UI", ())[:1]),
        tuple(fields.get("MN", ())),
        _other_names(name, terms),
        tuple(dict.fromkeys(fields.get("PA", ()))),
        supplementary="MH" not in fields,
    )


def _other_names(name: str, terms: Iterable[str | None]) -> tuple[str, ...]:
    tidied = (" ".join((term or "").split()) for term in terms)
    return tuple(term for term in dict.fromkeys(tidied) if term and term != name)


_KINDS = {"DescriptorRecord": "Descriptor", "SupplementalRecord": "SupplementalRecord"}


def _xml(pieces: Iterable[bytes]) -> Iterator[MeshRecord]:
    """Read the records of NLM's XML, one at a time."""
    from lxml import etree

    parser = etree.XMLPullParser(tag=tuple(_KINDS), resolve_entities=False, no_network=True, load_dtd=False)
    for piece in pieces:
        parser.feed(piece)
        yield from _xml_records(parser)
    parser.close()
    yield from _xml_records(parser)


def _xml_records(parser: Any) -> Iterator[MeshRecord]:
    """Yield the records that are complete, and forget them."""
    for _, record in parser.read_events():
        kind = _KINDS[record.tag]
        name = (record.findtext(f"{kind}Name/String") or "").strip()
        if name:
            terms = (term.text for term in record.iterfind("ConceptList/Concept/TermList/Term/String"))
            actions = record.iterfind(
                "PharmacologicalActionList/PharmacologicalAction/DescriptorReferredTo/DescriptorName/String"
            )
            yield MeshRecord(
                name,
                (record.findtext(f"{kind}UI") or "").strip(),
                tuple(number.text or "" for number in record.iterfind("TreeNumberList/TreeNumber")),
                _other_names(name, terms),
                _other_names("", (action.text for action in actions)),
                supplementary=kind == "SupplementalRecord",
            )
        record.clear()
        while record.getprevious() is not None:
            del record.getparent()[0]
