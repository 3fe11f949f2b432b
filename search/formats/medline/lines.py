"""MEDLINE text (.nbib, .txt), as PubMed and reference managers write it: a tag in four columns, then its value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from search.errors import SourceError
from search.formats.base import Record
from search.formats.byte_stream import ByteStream
from search.formats.medline.read import MAX_RECORD, RawRecord, read_record

__all__ = ["NbibSource"]

_TAG = re.compile(rb"(?=.{4}-(?: |$))([A-Z][A-Z0-9]{1,3}) *-")
_INDENT = b"      "


class NbibSource:
    """The records of a file in MEDLINE text format, in the order of the file.

    Iterating holds one record at a time. Blank lines part records, and so does a second PMID; text outside of records
    and tags that an Article has no field for are passed over.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.sequence: int | None = None

    @property
    def fraction(self) -> float:
        """How much of the file has been read, from 0 to 1; 0 for standard input."""
        return self._stream.fraction

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        for lines in _split(_lines(self._stream.pieces())):
            yield read_record(lines, f"{self.name} line {lines.start}")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines without their ends, whichever those are; of a line beyond the limit only so much as shows it."""
    parts: list[bytes] = []
    size = 0
    for piece in _with_plain_ends(pieces):
        first, *others = piece.split(b"\n")
        if size <= MAX_RECORD:
            parts.append(first)
            size += len(first)
        if others:
            # The parts are let go before the line is handed out, so that a long one is held once only.
            line, parts, size = b"".join(parts), [others[-1]], len(others[-1])
            yield line
            yield from others[:-1]
    if size:
        yield b"".join(parts)


def _with_plain_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces with every CRLF and CR made LF; a CR that ends a piece goes to the next, where its LF may be."""
    held = b""
    for piece in pieces:
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        if b"\r" in piece:
            piece = piece[: len(piece) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield piece


def _split(lines: Iterable[bytes]) -> Iterator[RawRecord]:
    """Yield the records; one that the input breaks off in is not complete and left out."""
    record: RawRecord | None = None
    try:
        for number, line in enumerate(lines, 1):
            match = _TAG.match(line)
            text = line[match.end() :].strip() if match else line.strip()
            tag = match[1].decode() if match else ""
            if record and _is_next(record, line, tag, text):
                yield record
                record = None
            if tag:
                record = record or RawRecord(number)
                record.add(tag, text)
            elif record and text:
                record.extend(text)
            elif record:
                record.ended = record.ended or not line.startswith(_INDENT)
    except SourceError:
        if record and record.ended:
            yield record
        raise
    if record:
        yield record


def _is_next(record: RawRecord, line: bytes, tag: str, text: bytes) -> bool:
    """Whether a line belongs no more to the record; an indented one does, as a blank line may stand in an abstract."""
    if record.ended:
        return bool(tag or (text and not line.startswith(_INDENT)))
    return tag == "PMID" and record.has_pmid()
