"""MEDLINE text (`.nbib`, `.txt`): what PubMed's "Save as PubMed format" and efetch's `rettype=medline` give."""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.errors import InvalidRecordError, SourceError
from search.sources.base import Record, Rejection, file_sequence
from search.sources.byte_stream import ByteStream
from search.sources.identifiers import parse_pmid
from search.sources.nbib_record import article_of

__all__ = ["TAG", "NbibSource"]

#: What a line begins with that begins a field: a tag, blanks up to the fifth place, and a dash there.
TAG = re.compile(r"((?:[A-Z][A-Z0-9]{3}|[A-Z][A-Z0-9]{2} |[A-Z][A-Z0-9]  )-)(?: +|$)", re.MULTILINE)

#: No record comes near so many bytes.
_MAX_RECORD = 1 << 25


class NbibSource:
    """The records of a file of MEDLINE text, in the order of the file."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.sequence = file_sequence(stream.name)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        for first_line, lines in self._records():
            yield _read(lines, f"{self.name} line {first_line}")

    def _records(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the lines of each record, and the number of the first.

        A record ends at an empty line, or where the next PMID stands.
        """
        lines: list[bytes] = []
        first = size = 0
        for number, line in self._stream.lines():
            size += len(line or b"")
            if line is None or size > _MAX_RECORD:
                raise SourceError(f"{self.name}: line {number:,}: a record of more than {_MAX_RECORD >> 20} MB")
            ends = not line.strip() or (line.startswith(b"PMID") and any(kept.startswith(b"PMID") for kept in lines))
            if ends and lines:
                yield first, lines
                lines, size = [], len(line)
            if line.strip():
                first = first if lines else number
                lines.append(line)
        if lines:
            yield first, lines


def _read(lines: list[bytes], where: str) -> Record:
    """Return what a record's lines say."""
    try:
        tags = _tags([line.decode() for line in lines])
    except UnicodeDecodeError as error:
        return Rejection(
            where, f"not valid UTF-8: {error.object[error.start : error.end]!r}; convert the file to UTF-8"
        )
    pmid = None
    try:
        pmid = parse_pmid(next((value for tag, value in tags if tag == "PMID"), None))
        return article_of(tags)
    except InvalidRecordError as error:
        return Rejection(where, str(error), pmid)


def _tags(lines: list[str]) -> list[tuple[str, str]]:
    """Return tags and values; a line without a tag goes on with the value before it."""
    fields: list[tuple[str, list[str]]] = []
    for line in lines:
        tag = TAG.match(line)
        if tag:
            fields.append((tag[1].rstrip("- "), [line[tag.end() :]]))
        elif fields:
            fields[-1][1].append(line)
        else:
            fields.append(("", [line]))
    return [(tag, " ".join(" ".join(parts).split())) for tag, parts in fields]
