"""What every source gives: one ordered stream of articles, deletions and rejections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from search.article import Article, Deletion
from search.formats.byte_stream import ByteStream

__all__ = ["FileSource", "LeftOut", "Record", "Rejection", "Source", "file_sequence"]


class Rejection(msgspec.Struct, frozen=True):
    """A record that cannot be used: where it stands (`file.jsonl line 12`), why, and its PMID where that is known."""

    where: str
    reason: str
    pmid: int | None = None


class LeftOut(msgspec.Struct, frozen=True):
    """A field of the next record that cannot be used: where it stands, what it is, and the PMID of the record."""

    where: str
    reason: str
    pmid: int


Record = Article | Deletion | Rejection | LeftOut


class Source(Protocol):
    """A stream of records in the order in which they are to be applied.

    Iterating reads lazily in bounded memory. A record that cannot be used comes as a Rejection, and the stream
    continues; where the input cannot be read any further (a cut-off gzip, broken XML), everything before the break has
    been yielded when SourceError is raised, naming the source and the place.
    """

    #: What messages call it: the path as it was given, `-` for standard input.
    name: str
    #: The place in NLM's order of files (`file_sequence`); None for anything else.
    sequence: int | None

    @property
    def fraction(self) -> float:
        """How much of the source has been read, from 0 to 1; 0 where that cannot be known."""
        ...

    def __iter__(self) -> Iterator[Record]:
        """Yield the records, from the start."""
        ...


class FileSource:
    """A source that is a file or standard input: the base of the formats' sources, which yield its records."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.sequence: int | None = None

    @property
    def fraction(self) -> float:
        """How much of the file has been read, from 0 to 1; 0 for standard input."""
        return self._stream.fraction


_NLM_FILE = re.compile(r"pubmed(\d\d)n(\d{4,5})\b", re.IGNORECASE)


def file_sequence(name: str) -> int | None:
    """Return the place of an NLM baseline or update file in NLM's order: `pubmed26n1334.xml.gz` -> 2601334."""
    match = _NLM_FILE.search(name)
    return int(match[1]) * 100_000 + int(match[2]) if match else None
