"""JSON lines: records as `search.article.to_json` writes them, or loosely as others keep them (`search.formats.loose`).

JSON arrays, objects printed over several lines, and objects around a list of records are read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from search.article import Article, Author, from_json, to_json
from search.characters import composed
from search.errors import ExportError, InvalidRecordError, SourceError
from search.formats.base import FileSource, Record, Rejection
from search.formats.byte_stream import lines
from search.formats.identifiers import check_readable, parse_pmid
from search.formats.loose import read_loose
from search.normalize import escaped
from search.presentation.notices import notices_of

__all__ = ["JsonLinesSource", "render"]

#: No record of PubMed comes near this; a longer line is another kind of file, and would fill the memory.
_MOST_BYTES = 32 * 1024 * 1024

_FIELDS = frozenset(Article.__struct_fields__)
_AUTHOR_FIELDS = frozenset(Author.__struct_fields__)

#: A JSON array is read whole.
_MOST_ARRAY_BYTES = 1024 * 1024 * 1024


class JsonLinesSource(FileSource):
    """The records of a file with a JSON object a line, in the order of the file."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        if not self._is_lines():
            for number, value in enumerate(self._values(), start=1):
                yield from _of_value(value, None, f"{self.name} record {number}")
            return
        for number, line in lines(self._stream.pieces(), _MOST_BYTES):
            where = f"{self.name} line {number}"
            if line is None:
                yield Rejection(where, f"the line is longer than {_MOST_BYTES // 1024**2} MB, which no record is")
            elif line.strip():
                yield from _records(line, where)

    def _is_lines(self) -> bool:
        """Whether there is an object a line, and not an array, or an object over several lines or around others."""
        head = self._stream.head().lstrip()
        first, rest = head.partition(b"\n")[::2]
        if head[:1] == b"[":
            return False
        try:
            value = msgspec.json.decode(_NOT_JSON.sub(b"null", first))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            # A line that is not JSON is one bad line, if what follows begins an object again.
            return not _OPENS.fullmatch(first) or rest.lstrip()[:1] == b"{"
        return not isinstance(value, dict) or _has_pmid(value) or not any(map(_holds_records, value.values()))

    def _values(self) -> Iterator[Any]:
        """Yield the records of a file that is one JSON value, or several one after the other."""
        parts, size = [], 0
        for piece in self._stream.pieces():
            parts.append(piece)
            size += len(piece)
            if size > _MOST_ARRAY_BYTES:
                raise SourceError(f"{self.name}: JSON of over 1 GB; write it as JSON lines, an object a line")
        decoder = json.JSONDecoder()
        position = 0
        try:
            text = b"".join(parts).decode().strip()
            while position < len(text):
                value, position = decoder.raw_decode(text, position)
                position += len(text) - position - len(text[position:].lstrip(" \t\r\n,"))
                yield from _within(value)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.name}: not JSON, or cut off: {error}") from error


#: The first line of an object that continues on the next.
_OPENS = re.compile(rb"\{\s*(?:\"[^\"]*\"\s*:\s*(?:[\[{]\s*|.*,\s*)?)?")


def render(article: Article) -> str:
    r"""Return the article as one line of JSON, control characters as `\u` escapes.

    An article that needs a mark (retracted, corrected, no real study) has one more key, `marks`, which readers of
    articles pass over. Raises ExportError where a text holds half a surrogate pair, which JSON in UTF-8 cannot say.
    """
    try:
        line = to_json(article).decode()
    except UnicodeEncodeError as error:
        raise ExportError(f"PMID {article.pmid} cannot be written as JSON: {error}") from error
    notices = [str(notice) for notice in notices_of(article)]
    if notices:
        line = line[:-1] + ',"marks":' + msgspec.json.encode(notices).decode() + "}"
    return escaped(line) + "\n"


def _records(line: bytes, where: str) -> list[Record]:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        # pandas and Python write NaN, which JSON does not have.
        plain = _NOT_JSON.sub(b"null", line)
        if plain != line:
            return _records(plain, where)
        return [Rejection(where, f"not JSON: {error}")]
    return _of_value(data, line, where)


_NOT_JSON = re.compile(rb"(?<=[:,\[\s])(?:NaN|-?Infinity)(?=\s*[,}\]])")


def _of_value(data: Any, line: bytes | None, where: str) -> list[Record]:
    """Return the record in a value: our own form, which comes back unchanged, or else the loose one."""
    if not isinstance(data, dict):
        return [Rejection(where, "not a record: a JSON object with `pmid` and `title` or `abstract` is expected")]
    # An export repeats retractions and the like in `marks`, for whoever reads it.
    if data.keys() - {"marks"} <= _FIELDS and type(data.get("pmid")) is int and _known_names(data):
        is_plain = line is not None and line.isascii() and b"\\u" not in line
        try:
            article = from_json(line if line is not None and is_plain else msgspec.json.encode(_composed(data)))
            parse_pmid(str(article.pmid))
            return [check_readable(article)]
        except InvalidRecordError:
            pass
    return read_loose(data, where)


def _known_names(data: dict[str, Any]) -> bool:
    """Whether each author is an object of ours that has a name."""
    authors = data.get("authors", ())
    return isinstance(authors, list | tuple) and all(
        isinstance(author, dict) and author.keys() <= _AUTHOR_FIELDS and any(map(str.strip, _texts_of(author)))
        for author in authors
    )


def _texts_of(author: dict[str, Any]) -> list[str]:
    return [text for text in author.values() if isinstance(text, str)]


def _composed(value: Any) -> Any:
    """Return a value with its texts in composed form."""
    if isinstance(value, str):
        return composed(value)
    if isinstance(value, dict):
        return {key: _composed(entry) for key, entry in value.items()}
    return [_composed(entry) for entry in value] if isinstance(value, list) else value


def _within(value: Any) -> Iterator[Any]:
    """Yield the records that a value is or holds: a list of them, or an object around them, as services answer."""
    if isinstance(value, list):
        for entry in value:
            yield from _within(entry) if isinstance(entry, list) else (entry,)
    elif isinstance(value, dict) and not _has_pmid(value):
        inner = [entry for entry in value.values() if _holds_records(entry)]
        for entry in inner:
            entries = list(entry.values()) if isinstance(entry, dict) else entry
            yield from (record for record in entries if isinstance(record, dict) and _has_pmid(record))
        if not inner:
            yield value
    elif not isinstance(value, dict) or _has_pmid(value):
        yield value


def _has_pmid(value: dict[str, Any]) -> bool:
    return any(str(key).lower() in ("pmid", "pubmed_id", "uid", "externalids") for key in value)


def _holds_records(value: Any) -> bool:
    entries = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return any(isinstance(entry, dict) and _has_pmid(entry) for entry in entries)
