"""JSON lines: Articles as `to_json` writes them, or records in a looser form; one a line, or in one array."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from search.article import Article
from search.errors import InvalidRecordError, SourceError
from search.sources.base import Record, Rejection, file_sequence
from search.sources.byte_stream import ByteStream
from search.sources.identifiers import check_readable, normalise_doi, normalise_pmcid, parse_pmid

__all__ = ["JsonSource"]

#: No record comes near so many bytes.
_MAX_RECORD = 1 << 25

#: A string, or a brace outside of strings; a lone `"` begins a string whose end is not there yet.
_PART = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}]', re.DOTALL)


class JsonSource:
    """The records of a file of JSON, in the order of the file.

    A record is an object with at least `pmid` and `title` or `abstract`. Its other keys are the fields of Article;
    keys that are none of these are passed over. The looser form may also have: `pmid` as a string; `abstract` as a
    string or a list of strings; `year`; `journal` as a string; `mesh`, `keywords`, `publication_types` and `languages`
    as lists of strings; `authors` as a list of names.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.sequence = file_sequence(stream.name)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        head = self._stream.head().lstrip()
        # An array, or an object that is spread over several lines.
        is_spread = head.startswith(b"[") or head.partition(b"\n")[0].strip() == b"{"
        values = self._values() if is_spread else self._lines()
        for where, data in values:
            yield Rejection(where, "longer than any record") if data is None else _read(data, where)

    def _lines(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield each line that is not empty, and where it stands."""
        for number, line in self._stream.lines():
            if line is None or line.strip():
                yield f"{self.name} line {number}", line

    def _values(self) -> Iterator[tuple[str, bytes]]:
        """Yield the objects of an array, or objects that follow one another, and the line each begins on."""
        buffer = b""
        line = 1
        for piece in self._stream.pieces():
            buffer += piece
            done = 0
            for start, end in _objects(buffer):
                here = line + buffer.count(b"\n", 0, start)
                yield f"{self.name} line {here}", buffer[start:end]
                done = end
            line += buffer.count(b"\n", 0, done)
            buffer = buffer[done:]
            if len(buffer) > _MAX_RECORD:
                raise SourceError(
                    f"{self.name}: line {line:,}: a value of more than {_MAX_RECORD >> 20} MB without an end"
                )
        if buffer.strip(b" \t\r\n,[]"):
            raise SourceError(f"{self.name}: line {line:,}: cut off in a record, or no JSON")


def _objects(buffer: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the outermost objects that are whole begin and end."""
    depth = start = 0
    for part in _PART.finditer(buffer):
        if part[0] == b"{":
            start = start if depth else part.start()
            depth += 1
        elif part[0] == b"}":
            depth -= 1
            if depth == 0:
                yield start, part.end()
        elif part[0] == b'"':
            return


def _read(data: bytes, where: str) -> Record:
    """Return what an object says."""
    pmid = None
    try:
        raw = msgspec.json.decode(data)
        if not isinstance(raw, dict):
            raise InvalidRecordError("no JSON object")
        fields = {name: value for name, value in raw.items() if value is not None}
        pmid = fields["pmid"] = _pmid(fields.get("pmid"))
        _make_strict(fields)
        return check_readable(msgspec.convert(fields, Article))
    except msgspec.MsgspecError as error:
        return Rejection(where, f"not a record: {error}", pmid)
    except RecursionError:
        return Rejection(where, "nested too deeply", pmid)
    except InvalidRecordError as error:
        return Rejection(where, str(error), pmid)


def _pmid(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        # What a data frame makes of whole numbers in a column with gaps.
        value = int(value)
    return parse_pmid(None if value is None or value is False else str(value))


# The looser form


#: Keys whose values may be lists of strings, and the field of the part that each string is.
_PARTS = {"mesh_headings": "descriptor", "keywords": "text", "publication_types": "name"}


def _make_strict(fields: dict[str, Any]) -> None:
    """Turn what the looser form has into what Article has; everything else stays as it is."""
    for (
        loose,
        strict,
    ) in (("mesh", "mesh_headings"), ("language", "languages")):
        if loose in fields:
            fields.setdefault(strict, fields[loose])
    year = fields.get("year")
    if year is not None:
        fields.setdefault("publication_date", {"year": int(year) if str(year).isdecimal() else year})
    abstract = [fields["abstract"]] if isinstance(fields.get("abstract"), str) else fields.get("abstract")
    if isinstance(abstract, list) and all(isinstance(text, str) for text in abstract):
        fields["abstract"] = [{"text": text} for text in map(_even, abstract) if text]
        fields["title"] = _even(fields["title"]) if isinstance(fields.get("title"), str) else ""
    for name, value in fields.items():
        if name in _STRINGS and isinstance(value, str):
            fields[name] = _STRINGS[name](value)
        elif isinstance(value, list) and name == "authors":
            fields[name] = [_author(author) if isinstance(author, str) else author for author in value]
        elif isinstance(value, list) and name in _PARTS:
            fields[name] = [{_PARTS[name]: _even(part)} if isinstance(part, str) else part for part in value]


def _even(text: str) -> str:
    return " ".join(text.split())


def _author(name: str) -> dict[str, str]:
    """Return the parts of `Smith, John`, `Smith JA` or `John Smith`; of a single word, the last name."""
    name = _even(name)
    last, comma, fore = (part.strip() for part in name.partition(","))
    if comma:
        return {"last_name": last, "fore_name": fore}
    words = name.split()
    if len(words) == 1:
        return {"last_name": name}
    if words[-1].isupper() and len(words[-1]) <= 4:
        return {"last_name": " ".join(words[:-1]), "initials": words[-1]}
    return {"last_name": words[-1], "fore_name": " ".join(words[:-1])}


#: What a string becomes under keys whose values may be strings though the field is another or has one form.
_STRINGS: dict[str, Callable[[str], Any]] = {
    "journal": lambda title: {"title": _even(title)},
    "languages": lambda language: [language],
    "doi": normalise_doi,
    "pmcid": normalise_pmcid,
}
