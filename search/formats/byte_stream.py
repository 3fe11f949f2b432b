"""The bytes of a file, a pipe or standard input: unpacked, in UTF-8, in pieces of bounded size."""

from __future__ import annotations

import codecs
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from search.errors import SourceError

__all__ = ["STANDARD_INPUT", "ByteStream"]

#: The name that stands for standard input.
STANDARD_INPUT = "-"

_READ = 1 << 18
_PIECE = 1 << 20
_HEAD = 1 << 16

#: No record comes near this.
_MAX_LINE = 1 << 25

#: NLM's files unpack to some 10 times their size; gzip cannot do more than 1,032.
_MAX_RATIO = 200
_RATIO_FROM = 1 << 28

_GZIP = b"\x1f\x8b"
_FIRST_STEP = 1 << 10
_NOT_ZERO = re.compile(rb"[^\0]")
_OTHER_PACKINGS = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ\x00": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF": "a PDF",
}
_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
)
_XML_ENCODING = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")


class ByteStream:
    """The bytes under a path, or of standard input (`-`).

    A regular file can be read any number of times; standard input and pipes once.
    Raises SourceError if there is no such file or it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self._is_file = self.name != STANDARD_INPUT and Path(path).is_file()
        self._pieces: list[bytes] = []
        self._rest: Iterator[bytes] | None = None
        self._problem: SourceError | None = None
        self._spent = False
        self._read = 0
        if self.name != STANDARD_INPUT and not Path(path).exists():
            raise SourceError(f"{self.name}: there is no such file or folder")
        if Path(path).is_dir():
            raise SourceError(f"{self.name}: is a folder, not a file")

    @property
    def fraction(self) -> float:
        """How much of a regular file has been read, from 0 to 1; 0 for anything else."""
        return self._read / max(Path(self.name).stat().st_size, 1) if self._is_file else 0.0

    def head(self) -> bytes:
        """Return the first bytes, some 64 kB where there are so many, without taking them from what `pieces` gives."""
        if self._is_file:
            return self._take_head(self._open())
        if self._rest is None:
            self._rest = self._open()
        if not self._pieces:
            self._take_head(self._rest)
        return b"".join(self._pieces)

    def _take_head(self, pieces: Iterator[bytes]) -> bytes:
        """Read until there is enough to see what the bytes are; a problem is for `pieces` to raise, after these."""
        taken: list[bytes] = []
        try:
            while sum(map(len, taken)) < _HEAD:
                taken.append(next(pieces))
        except StopIteration:
            pass
        except SourceError as error:
            if not taken:
                raise
            self._problem = error
        if not self._is_file:
            self._pieces = taken
        return b"".join(taken)

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes, unpacked and in UTF-8, in pieces of at most a few MB.

        Raises SourceError where they cannot be read any further; everything before has been yielded.
        """
        if self._is_file:
            yield from self._open()
            return
        if self._spent:
            raise SourceError(f"{self.name}: a pipe or standard input can be read only once")
        self._spent = True
        yield from self._pieces
        if self._problem:
            raise self._problem
        yield from self._rest if self._rest is not None else self._open()

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield the lines with their numbers from 1, without their ends; None for a line longer than any record.

        Raises SourceError as `pieces` does; a last line that is cut off by it is not yielded.
        """
        number = 1
        start: list[bytes] = []
        length = 0
        for piece in self.pieces():
            *whole, rest = piece.split(b"\n")
            for line in whole:
                if start:
                    line = b"".join((*start, line))
                    start = []
                yield number, None if length + len(line) > _MAX_LINE else line.rstrip(b"\r")
                length = 0
                number += 1
            # Of a line that has become too long nothing more is kept but its length.
            length += len(rest)
            start = [*start, rest] if length <= _MAX_LINE else []
        if length:
            yield number, None if length > _MAX_LINE else b"".join(start).rstrip(b"\r")

    def _open(self) -> Iterator[bytes]:
        return _in_utf8(_unpacked(self._raw_pieces(), self.name), self.name)

    def _raw_pieces(self) -> Iterator[bytes]:
        try:
            if self.name == STANDARD_INPUT:
                yield from _read(sys.stdin.buffer)
            else:
                with Path(self.name).open("rb") as file:
                    self._read = 0
                    for piece in _read(file):
                        self._read += len(piece)
                        yield piece
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be read: {error.strerror or error}") from error


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_READ):
        yield piece


def _unpacked(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the bytes, unpacked if they are gzip."""
    first = next(pieces, b"")
    while len(first) < 6 and (more := next(pieces, b"")):
        first += more
    if first.startswith(_GZIP):
        yield from _gunzipped(first, pieces, name)
        return
    for magic, what in _OTHER_PACKINGS.items():
        if first.startswith(magic):
            raise SourceError(f"{name}: is {what}; unpack it, or pack it with gzip")
    if first:
        yield first
    yield from pieces


def _gunzipped(first: bytes, pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what gzip data unpack to, all members one after the other."""
    packed = _Packed(first, pieces)
    unpacked = 0
    while packed.more():
        if not packed.at_member():
            raise SourceError(f"{name}: something that is not gzip follows the gzip data; what came before was read")
        member = zlib.decompressobj(wbits=31)
        step = _FIRST_STEP
        while not member.eof:
            data = packed.take(step)
            # Short steps first: what follows a short member is not copied again and again.
            step = min(2 * step, _READ)
            if not data:
                raise SourceError(f"{name}: the gzip data are cut off after {unpacked:,} unpacked bytes")
            while data and not member.eof:
                try:
                    piece = member.decompress(data, _PIECE)
                except zlib.error as error:
                    raise SourceError(
                        f"{name}: damaged gzip data after {unpacked:,} unpacked bytes: {error}"
                    ) from error
                unpacked += len(piece)
                if unpacked > max(_RATIO_FROM, packed.count * _MAX_RATIO):
                    raise SourceError(
                        f"{name}: unpacks to over {_MAX_RATIO} times its size, which no file of records does"
                    )
                if piece:
                    yield piece
                data = member.unconsumed_tail
        packed.put_back(len(member.unused_data))
        packed.pass_zeros()


class _Packed:
    """Packed bytes that are taken as needed; `count` is how many have been read of them."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._block, self._place = first, 0
        self._rest = rest
        self.count = len(first)

    def more(self) -> bool:
        """Whether there are any left; reads on if need be."""
        if self._place == len(self._block):
            self._block, self._place = next(self._rest, b""), 0
            self.count += len(self._block)
        return bool(self._block)

    def at_member(self) -> bool:
        """Whether a member of gzip begins here, as far as can be seen."""
        found = self._block[self._place : self._place + len(_GZIP)]
        return _GZIP.startswith(found)

    def take(self, most: int) -> bytes:
        """Return the next bytes, `most` at the most; none at the end."""
        if not self.more():
            return b""
        taken = self._block[self._place : self._place + most]
        self._place += len(taken)
        return taken

    def put_back(self, number: int) -> None:
        """Go back over bytes that were taken last."""
        self._place -= number

    def pass_zeros(self) -> None:
        """Pass over the zeros that may fill up the last block of a tape or disk."""
        while self.more():
            found = _NOT_ZERO.search(self._block, self._place)
            self._place = found.start() if found else len(self._block)
            if found:
                return


def _in_utf8(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the bytes in UTF-8, without byte order mark, whatever the encoding that mark or XML declaration name."""
    first = next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if first.startswith(mark)), None)
    if encoding is None:
        declared = _XML_ENCODING.match(first)
        encoding = declared[1].decode() if declared else "utf-8"
        if encoding.lower().startswith(("utf-16", "utf-32", "ucs")):
            # The declaration is read as bytes of one character each, so the file is not in what it says.
            encoding = "utf-8"
    try:
        "a".encode(encoding)
    except (LookupError, UnicodeError):
        raise SourceError(f"{name}: its encoding {encoding!r} is not known; convert it to UTF-8") from None
    codec = codecs.lookup(encoding)
    if codec.name in ("utf-8", "ascii"):
        if first:
            yield first
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    for piece in _with_end(first, pieces):
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            raise SourceError(f"{name}: is not valid {encoding} after byte {done:,}: {error}") from error
        done += len(piece)
        if text:
            yield text.encode("utf-8", "surrogatepass")


def _with_end(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from (piece for piece in pieces if piece)
    yield b""
