"""MEDLINE text (.nbib, .txt), as PubMed and reference managers write it: a tag in four columns, then its value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from search.errors import SourceError
from search.formats.base import FileSource, Record
from search.formats.byte_stream import lines
from search.formats.medline.read import INDENT, MAX_RECORD, RawRecord, read_record

__all__ = ["NbibSource"]

_TAG = re.compile(rb"(?=.{4}-(?: |$))([A-Z][A-Z0-9]{1,3}) *-")


class NbibSource(FileSource):
    """The records of a file in MEDLINE text format, in the order of the file.

    Iterating holds one record at a time. Blank lines part records, and so does a second PMID; text outside of records
    and tags that an Article has no field for are passed over.
    """

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        for raw in _split(lines(self._stream.pieces(), MAX_RECORD)):
            yield read_record(raw, f"{self.name} line {raw.start}")


def _split(numbered: Iterable[tuple[int, bytes | None]]) -> Iterator[RawRecord]:
    """Yield the records; one that the input breaks off in is not complete and left out."""
    record: RawRecord | None = None
    try:
        for number, line in numbered:
            if line is None:
                if record:
                    record.drop_text()
                continue
            match = _TAG.match(line)
            text = line[match.end() :].strip() if match else line.strip()
            tag = match[1].decode() if match else ""
            if record and _is_next(record, line, tag, text):
                yield record
                record = None
            if tag:
                record = record or RawRecord(number)
                record.add(tag, text)
            elif record:
                record.extend(line, text)
    except SourceError:
        if record and record.ended:
            yield record
        raise
    if record:
        yield record


def _is_next(record: RawRecord, line: bytes, tag: str, text: bytes) -> bool:
    """Whether a line belongs no more to the record; an indented one does, as a blank line may stand in an abstract."""
    if record.ended:
        return bool(tag or (text and not line.startswith(INDENT)))
    return tag == "PMID" and record.has_pmid()
