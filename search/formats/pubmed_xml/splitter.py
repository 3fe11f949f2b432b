"""A stream of NLM XML cut into its records, without reading what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from search.errors import SourceError

__all__ = ["RECORDS", "SETS", "RawRecord", "split_records", "until_problem"]

_Item = TypeVar("_Item")

#: The elements that hold records, and the elements that are records; all may stand alone.
SETS = frozenset({b"PubmedArticleSet", b"MedlineCitationSet", b"PubmedBookArticleSet", b"BookDocumentSet"})
RECORDS = frozenset(
    {
        b"PubmedArticle",
        b"MedlineCitation",
        b"PubmedBookArticle",
        b"BookDocument",
        b"DeleteCitation",
        b"DeleteDocument",
    }
)

#: Batches are cut from so many bytes: array operations have a price of their own, and more bytes share it.
_BATCH = 1 << 21

#: No record comes near this; more without an end is not a record but an attack or a mistake.
_MAX_RECORD = 1 << 25

#: What begins next; the byte after it shows that its name is whole.
_TOKEN = re.compile(rb"\s*<([!?/]?)(?:([A-Za-z_][\w:.-]*)(?=[^\w:.-])|(?=[^A-Za-z_!?/]))")
_MARKUP = re.compile(rb"<!--.*?-->|<\?.*?\?>|<!DOCTYPE(?:[^\[>\"']|\"[^\"]*\"|'[^']*')*(?:>|\[(.*?)\]\s*>)", re.DOTALL)
_OPAQUE = rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|(?P<open><!--|<!\[CDATA\[|<\?)"
_RECORD_ENDS = {name: re.compile(_OPAQUE + rb"|(?P<end></%b\s*>)" % name, re.DOTALL) for name in RECORDS}
_PMID = re.compile(rb"<PMID[^>]*>\s*(\d{1,20})\s*<")


class _Buffer(NamedTuple):
    """A part of the stream, and the line on which it begins."""

    data: bytes
    line: int


class RawRecord(NamedTuple):
    """One record as it stands in the XML; not `plain` if there are comments, CDATA or instructions in it."""

    kind: bytes
    data: bytes
    plain: bool
    buffer: _Buffer
    start: int

    @property
    def line(self) -> int:
        """The line on which the record begins, counted from 1; for messages."""
        return self.buffer.line + self.buffer.data.count(b"\n", 0, self.start)

    @property
    def pmid(self) -> int | None:
        """The PMID, for messages, or None."""
        match = _PMID.search(self.data)
        return int(match[1]) if match else None

    def describe(self) -> str:
        """Return how a message calls the record: its line, and its PMID if it has one."""
        return f"line {self.line:,}" + (f" (PMID {self.pmid})" if self.pmid else "")


def split_records(pieces: Iterable[bytes], name: str) -> Iterator[list[RawRecord]]:
    """Yield the records of a stream of NLM XML in batches.

    Raises SourceError where the stream is not NLM XML, cannot be read or ends too soon; all records before have been
    yielded.
    """
    splitter = _Splitter(name)
    for waiting in _buffers(pieces, splitter):
        records, problem = until_problem(splitter.records(waiting))
        if records:
            yield records
        if problem:
            raise problem
    splitter.finish()


def _buffers(pieces: Iterable[bytes], splitter: _Splitter) -> Iterator[list[bytes]]:
    """Yield as many pieces together as the splitter wants; the last may be fewer.

    Where the pieces end with a problem, what came before is yielded before it is raised.
    """
    waiting: list[bytes] = []
    try:
        for piece in pieces:
            waiting.append(piece)
            if sum(map(len, waiting)) >= splitter.wanted:
                yield waiting
                waiting = []
    except SourceError:
        if waiting:
            yield waiting
        raise
    yield waiting


def until_problem(items: Iterable[_Item]) -> tuple[list[_Item], SourceError | None]:
    """Return the items up to the end or to a SourceError, and that error."""
    before: list[_Item] = []
    try:
        for item in items:
            before.append(item)
    except SourceError as error:
        return before, error
    return before, None


class _Splitter:
    """The position in the stream: the line, the open set, and the rest of the last buffer."""

    def __init__(self, name: str) -> None:
        self.rest = b""
        self._name = name
        self._buffer = _Buffer(b"", 1)
        self._place = 0
        self._set: bytes | None = None
        self._begun = False

    @property
    def wanted(self) -> int:
        """How many more bytes are worth looking at: at least as many again as have not made a record yet."""
        return max(_BATCH, len(self.rest))

    def records(self, pieces: Iterable[bytes]) -> Iterator[RawRecord]:
        """Yield the records that are whole in what was left and the pieces that follow; keep the rest."""
        done = np.frombuffer(self._buffer.data, np.uint8, count=self._place)
        line = self._buffer.line + int(np.count_nonzero(done == _NEWLINE))
        data = b"".join((self.rest, *pieces))
        self._buffer = buffer = _Buffer(data, line)
        self._place = 0
        opaque = None
        while token := _TOKEN.match(data, self._place):
            mark, name = token.groups()
            self._place = start = token.start(1) - 1
            if name in RECORDS and not mark:
                # Comments and the like are rare: mostly one look at the whole buffer is enough.
                opaque = _has_opaque(data, start, len(data)) if opaque is None else opaque
                end, plain = _record_end(data, start, name, opaque)
                if end > 0:
                    yield RawRecord(name, data[start:end], plain, buffer, start)
            else:
                end = self._pass_over(data, start, mark, name)
            if end < 0:
                break
            self._begun = self._begun or mark not in (b"!", b"?")
            self._place = end
        self.rest = data[self._place :]
        if len(self.rest) > _MAX_RECORD:
            raise self._problem(f"more than {_MAX_RECORD >> 20} MB without an end; no PubMed record is so large")
        if not token and self.rest.strip() and not _TAG_BEGUN.match(self.rest):
            raise self._unexpected(self.rest)

    def finish(self) -> None:
        """Raise SourceError if the stream has ended too soon, or if there was nothing in it."""
        if self.rest.strip() and not self.rest.lstrip().startswith(b"</"):
            record = RawRecord(b"", self.rest, False, self._buffer, self._place)
            raise SourceError(f"{self._name}: cut off in the record that begins on {record.describe()}")
        if self._set:
            raise self._problem(f"cut off before the end of the {self._set.decode()}")
        if not self._begun:
            raise SourceError(f"{self._name}: is empty")

    def _pass_over(self, buffer: bytes, start: int, mark: bytes, name: bytes | None) -> int:
        """Return the end of markup or of a set's tag between records; -1 if it is not there yet."""
        if mark in (b"!", b"?"):
            markup = _MARKUP.match(buffer, start)
            if markup and markup[1] and b"<!ENTITY" in markup[1]:
                raise self._problem("defines entities of its own, which are not read; NLM's files define none")
            return markup.end() if markup else -1
        if name not in SETS or (mark and name != self._set) or (not mark and self._set):
            raise self._unexpected(buffer[start:])
        end = buffer.find(b">", start) + 1
        if end:
            self._set = None if mark or buffer[end - 2 : end] == b"/>" else name
        return end or -1

    def _problem(self, what: str) -> SourceError:
        line = self._buffer.line + self._buffer.data.count(b"\n", 0, self._place)
        return SourceError(f"{self._name}: line {line:,}: {what}")

    def _unexpected(self, data: bytes) -> SourceError:
        shown = " ".join(data[:200].decode("utf-8", "replace").split())[:80]
        if self._begun and self._set:
            return self._problem(f"expected a record, found {shown!r}")
        return self._problem(f"expected NLM XML (a {_ACCEPTED}), found {shown!r}")


_ACCEPTED = "PubmedArticleSet, MedlineCitationSet, PubmedBookArticleSet, or a single record of these"
_TAG_BEGUN = re.compile(rb"\s*<[!?/]?[\w:.-]*$")


def _record_end(buffer: bytes, start: int, name: bytes, opaque: bool) -> tuple[int, bool]:
    """Return where the record that begins at `start` ends (-1 if that is not in the buffer), and whether it is plain.

    `opaque` says whether there are comments, CDATA or instructions somewhere in the buffer.
    """
    tag_end = buffer.find(b">", start)
    if tag_end >= 0 and buffer[tag_end - 1 : tag_end] == b"/":
        return tag_end + 1, True
    closing = b"</%b>" % name
    end = buffer.find(closing, start)
    if end >= 0 and not (opaque and _has_opaque(buffer, start, end)):
        return end + len(closing), True
    if end < 0 and buffer.find(closing[:-1], start) < 0:
        return -1, False
    # A comment or CDATA may hold what looks like the end; the end tag may hold a space.
    for found in _RECORD_ENDS[name].finditer(buffer, start):
        if found["open"]:
            break
        if found["end"]:
            return found.end(), False
    return -1, False


def _has_opaque(buffer: bytes, start: int, end: int) -> bool:
    """Return whether there is a comment, CDATA or an instruction: whether `<` stands before `!` or `?`."""
    for mark in (b"!", b"?"):
        position = buffer.find(mark, start, end)
        while position >= 0:
            if buffer[position - 1] == _LESS_THAN:
                return True
            position = buffer.find(mark, position + 1, end)
    return False


_LESS_THAN, _NEWLINE = b"<\n"
