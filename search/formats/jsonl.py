"""JSON lines: records as `search.article.to_json` writes them, or loosely as others keep them; a JSON array too.

The loose form has the fields of an article in their simplest shape: `pmid` (a number or digits), `title`, `abstract`
(a string or a list of them), `year`, `journal` (a string), `authors`, `mesh`, `keywords`, `publication_types`,
`languages` (lists of strings), `doi`, `pmcid`. Other keys are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from search.article import (
    AbstractSection,
    Article,
    Author,
    Journal,
    Keyword,
    MeshHeading,
    PartialDate,
    PublicationType,
    from_json,
    to_json,
)
from search.errors import ExportError, InvalidRecordError, SourceError
from search.formats.base import Record, Rejection
from search.formats.byte_stream import ByteStream, lines
from search.formats.identifiers import check_readable, normalise_pmcid, parse_pmid
from search.normalize import escaped, normalise_doi
from search.presentation.notices import notices_of

__all__ = ["JsonLinesSource", "render"]

#: No record of PubMed comes near this; a longer line is another kind of file, and would fill the memory.
_MOST_BYTES = 32 * 1024 * 1024

_FIELDS = frozenset(Article.__struct_fields__)

#: A JSON array is read whole.
_MOST_ARRAY_BYTES = 1024 * 1024 * 1024


class JsonLinesSource:
    """The records of a file with a JSON object a line, in the order of the file."""

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
        for number, line in self._lines():
            where = f"{self.name} line {number}"
            if line is None:
                yield Rejection(where, f"the line is longer than {_MOST_BYTES // 1024**2} MB, which no record is")
            elif line.strip():
                yield _record(line, where)

    def _lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield line numbers and lines; None for a line that is too long."""
        is_array = self._stream.head().lstrip()[:1] == b"["
        yield from self._array() if is_array else lines(self._stream.pieces(), _MOST_BYTES)

    def _array(self) -> Iterator[tuple[int, bytes | None]]:
        parts, size = [], 0
        for piece in self._stream.pieces():
            parts.append(piece)
            size += len(piece)
            if size > _MOST_ARRAY_BYTES:
                raise SourceError(f"{self.name}: a JSON array of over 1 GB; write it as JSON lines, an object a line")
        try:
            items = msgspec.json.decode(b"".join(parts), type=list[msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise SourceError(f"{self.name}: not a JSON array of records: {error}") from error
        yield from ((number, bytes(item)) for number, item in enumerate(items, start=1))


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


def _record(line: bytes, where: str) -> Record:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return Rejection(where, f"not JSON: {error}")
    if not isinstance(data, dict):
        return Rejection(where, "not a record: a JSON object with `pmid` and `title` or `abstract` is expected")
    pmid = data.get("pmid")
    try:
        if not isinstance(pmid, str | int) or isinstance(pmid, bool):
            raise InvalidRecordError("no PMID" if pmid is None else f"the PMID {pmid!r} is not a positive whole number")
        number = parse_pmid(str(pmid))
    except InvalidRecordError as error:
        return Rejection(where, str(error))
    try:
        return check_readable(_article(number, data, line))
    except InvalidRecordError as error:
        return Rejection(where, str(error), number)


def _article(pmid: int, data: dict[str, Any], line: bytes) -> Article:
    """Read our own form, and anything that is not in it as the loose one."""
    # An export says retractions and the like once more in `marks`, for whoever reads it.
    if data.keys() - {"marks"} <= _FIELDS:
        try:
            return from_json(line)
        except InvalidRecordError:
            pass
    return _loose(pmid, data)


def _loose(pmid: int, data: dict[str, Any]) -> Article:
    doi, pmcid = _text(data, "doi"), _text(data, "pmcid")
    try:
        return Article(
            pmid=pmid,
            title=_text(data, "title"),
            abstract=tuple(AbstractSection(text) for text in _texts(data, "abstract")),
            journal=Journal(title=_text(data, "journal") or None),
            publication_date=PartialDate(year=_year(data.get("year"))),
            authors=tuple(map(_author, _list(data, "authors"))),
            mesh_headings=tuple(MeshHeading(name) for name in _texts(data, "mesh")),
            keywords=tuple(Keyword(text) for text in _texts(data, "keywords")),
            publication_types=tuple(PublicationType(name) for name in _texts(data, "publication_types")),
            languages=tuple(_texts(data, "languages")),
            doi=normalise_doi(doi) if doi else None,
            pmcid=normalise_pmcid(pmcid) if pmcid else None,
        )
    except (TypeError, msgspec.ValidationError) as error:
        raise InvalidRecordError(f"a field is not what it should be: {error}") from error


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRecordError(f"`{key}` is {type(value).__name__}, not text")
    return " ".join(value.split())


def _list(data: dict[str, Any], key: str) -> list[Any]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise InvalidRecordError(f"`{key}` is not a list of names")
    return value


def _texts(data: dict[str, Any], key: str) -> list[str]:
    """Return a list of texts, or one text as a list; empty ones are left out."""
    value = data.get(key)
    values = [value] if isinstance(value, str) else value or []
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise InvalidRecordError(f"`{key}` is not text or a list of texts")
    return [text for text in (" ".join(text.split()) for text in values) if text]


def _year(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text)):
        raise InvalidRecordError(f"`year` is {text[:40]!r}, not a year")
    return int(text)


def _author(value: Any) -> Author:
    """Read an author given as `Last, First`, `Last FM`, a name of any other shape, or an object."""
    if isinstance(value, dict):
        return msgspec.convert(value, Author)
    if not isinstance(value, str):
        raise InvalidRecordError("`authors` is not a list of names")
    last, comma, fore = " ".join(value.split()).partition(", ")
    if comma:
        return Author(last_name=last, fore_name=fore, initials="".join(part[0] for part in fore.split()))
    name, space, initials = last.rpartition(" ")
    if space and initials.isupper() and len(initials) <= 3:
        return Author(last_name=name, initials=initials)
    return Author(last_name=last)
