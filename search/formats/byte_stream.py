"""The bytes of a file, a pipe, standard input or an upload: unpacked, in UTF-8, in pieces of bounded size."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from search.errors import SourceError
from search.files import digest

__all__ = ["STANDARD_INPUT", "ByteStream", "file_digest", "lines"]

#: The name that stands for standard input.
STANDARD_INPUT = "-"

_READ = 1 << 16
_STEP = 1 << 13
_PIECE = 1 << 20
_HEAD = 1 << 16

#: NLM's files unpack to some 10 times their size; gzip cannot do more than 1,032.
_MAX_RATIO = 200
_RATIO_FROM = 1 << 28

_GZIP = b"\x1f\x8b"
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


def file_digest(name: str) -> str:
    """Return the SHA-256 of a file as it is, by which it is known again. Raises SourceError if it cannot be read."""
    try:
        return digest(Path(name), "sha256")
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from error


class ByteStream:
    """The bytes under a path, of standard input (`-`), or `data` under a name, such as an upload.

    A regular file and data can be read any number of times; standard input and pipes once.
    Raises SourceError if there is no such file or it cannot be opened.
    """

    def __init__(self, path: str | Path, data: bytes | None = None) -> None:
        self.name = str(path)
        self._data = data
        self._is_file = data is not None or (self.name != STANDARD_INPUT and Path(path).is_file())
        self._pieces: list[bytes] = []
        self._rest: Iterator[bytes] | None = None
        self._problem: SourceError | None = None
        self._spent = False
        self._read = 0
        if not self._is_file and self.name != STANDARD_INPUT and not Path(path).exists():
            raise SourceError(f"{self.name}: there is no such file or folder")
        if data is None and Path(path).is_dir():
            raise SourceError(f"{self.name}: is a folder, not a file")

    @classmethod
    def of(cls, source: str | Path | ByteStream) -> ByteStream:
        """Return the stream of a path, or a stream as it is."""
        return source if isinstance(source, ByteStream) else cls(source)

    @property
    def fraction(self) -> float:
        """How much of a regular file has been read, from 0 to 1; 0 for anything else."""
        if not self._is_file:
            return 0.0
        return self._read / max(Path(self.name).stat().st_size if self._data is None else len(self._data), 1)

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

    def _open(self) -> Iterator[bytes]:
        return _in_utf8(_unpacked(self._raw_pieces(), self.name), self.name)

    def _raw_pieces(self) -> Iterator[bytes]:
        try:
            if self._data is None and self.name == STANDARD_INPUT:
                yield from _read(sys.stdin.buffer)
            else:
                with Path(self.name).open("rb") if self._data is None else io.BytesIO(self._data) as file:
                    self._read = 0
                    for piece in _read(file):
                        self._read += len(piece)
                        yield piece
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be read: {error.strerror or error}") from error


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_READ):
        yield piece


def lines(pieces: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines with their numbers from 1, without their ends; None for one of over `longest` bytes.

    A line ends in LF, CRLF or CR. Where the pieces end with an error, a line that is cut off by it is not yielded.
    """
    number = 1
    parts: list[bytes] = []
    length = 0
    for piece in _with_plain_ends(pieces):
        first, *others = piece.split(b"\n")
        length += len(first)
        # Of a line that has become too long nothing more is kept but its length.
        parts = [*parts, first] if length <= longest else []
        if not others:
            continue
        # The parts are let go before the line is handed out, so that a long one is held once only.
        line, parts, last = b"".join(parts), [others[-1]], len(others[-1])
        yield number, None if length > longest else line
        for line in others[:-1]:
            number += 1
            yield number, None if len(line) > longest else line
        number, length = number + 1, last
    if length:
        yield number, None if length > longest else b"".join(parts)


def _with_plain_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces with every CRLF and CR made LF; a CR that ends a piece goes to the next, where its LF may be."""
    held = b""
    for piece in pieces:
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        if b"\r" in piece:
            piece = piece[: len(piece) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
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
    """Yield the bytes of gzip data, all members one after the other."""
    packed = _Packed(first, pieces)
    unpacked = 0
    with gzip.GzipFile(fileobj=packed, mode="rb") as file:  # type: ignore[call-overload]
        while True:
            try:
                piece = file.read1(_PIECE)
            except EOFError:
                raise SourceError(f"{name}: the gzip data are cut off after {unpacked:,} unpacked bytes") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise SourceError(f"{name}: damaged gzip data after {unpacked:,} unpacked bytes: {error}") from error
            if not piece:
                return
            unpacked += len(piece)
            if unpacked > max(_RATIO_FROM, packed.count * _MAX_RATIO):
                raise SourceError(f"{name}: unpacks to over {_MAX_RATIO} times its size, which no file of records does")
            yield piece


class _Packed:
    """Pieces of bytes as the file that `gzip` reads; `count` is how many bytes were read."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._block = first
        self._rest = rest
        self.count = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        self._block = self._block or next(self._rest, b"")
        # `gzip` copies what it has read and not unpacked yet at each new member.
        size = min(size, _STEP)
        data, self._block = self._block[:size], self._block[size:]
        self.count += len(data)
        return data


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
