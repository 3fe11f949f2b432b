"""Records as other programs keep them: fields in their simplest shape, under any of the usual names.

Names of fields, in any case: those of pymed, pubmed_parser, Semantic Scholar, CSL JSON and of PubMed's own CSV.
A field that cannot be used is left out and reported; only the PMID and the title or the abstract are needed.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

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
)
from search.characters import composed
from search.errors import InvalidRecordError
from search.formats.base import LeftOut, Record, Rejection
from search.formats.dates import free_date, partial_date
from search.formats.identifiers import check_readable, normalise_orcid, normalise_pmcid, parse_pmid
from search.normalize import normalise_doi

__all__ = ["loose_pmid", "read_loose"]

_Value = TypeVar("_Value")

#: The names that a field may have, in the order in which they are tried.
_NAMES = {
    "pmid": ("pmid", "pubmed_id", "pubmedid", "uid"),
    "title": ("title", "article_title"),
    "abstract": ("abstract",),
    "year": ("year", "publication_year", "pubdate", "publication_date", "publicationdate", "issued", "date"),
    "journal": ("journal", "journal/book", "journal_title", "container-title", "venue"),
    "authors": ("authors", "author"),
    "mesh": ("mesh", "mesh_terms"),
    "keywords": ("keywords", "keyword"),
    "publication_types": ("publication_types", "publicationtypes"),
    "languages": ("languages", "language"),
    "doi": ("doi",),
    "pmcid": ("pmcid", "pmc"),
    "volume": ("volume",),
    "issue": ("issue",),
    "pages": ("pages", "page"),
}
_PERSON = {
    "last_name": ("last_name", "lastname", "family"),
    "fore_name": ("fore_name", "forename", "firstname", "first_name", "given"),
    "initials": ("initials",),
    "suffix": ("suffix",),
    "collective_name": ("collective_name", "collectivename", "literal"),
}
_NONE: list[str] = []
_UI = re.compile(r"^[A-Z]\d{6,9}:\s*")
_SHORT_NAME = re.compile(r"\S.* [A-Z][A-Z-]{0,3}\.?")
_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?", re.ASCII)


def loose_pmid(data: Mapping[str, Any]) -> int:
    """Return the PMID of a record: digits, or what pandas makes of them (`88000321.0`). Raises InvalidRecordError."""
    value = _get(_lowered(data), "pmid")
    if value is None:
        raise InvalidRecordError("no PMID")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRecordError(f"the PMID {value!r} is not a positive whole number")
    # pymed puts the PMIDs of cited works below the article's own.
    text = str(value).strip().split("\n")[0].strip()
    return parse_pmid(re.sub(r"(?<=\d)\.0+$", "", text))


def read_loose(data: Mapping[str, Any], where: str) -> list[Record]:
    """Return the fields that were left out of a record and its article, or why it has none."""
    pmid = None
    try:
        pmid = loose_pmid(data)
        article, problems = _article(pmid, _lowered(data))
        return [*(LeftOut(where, problem, pmid) for problem in problems), check_readable(article)]
    except InvalidRecordError as error:
        return [Rejection(where, str(error), pmid)]


def _article(pmid: int, data: dict[str, Any]) -> tuple[Article, list[str]]:
    problems: list[str] = []

    def side(name: str, read: Callable[[Any], _Value], empty: _Value) -> _Value:
        """Return a field that may be left out."""
        value = _get(data, name)
        if value is None:
            return empty
        try:
            return read(value)
        except (InvalidRecordError, TypeError, ValueError) as error:
            problems.append(f"`{name}` is left out: {error}")
            return empty

    people: list[Author] = []
    for entry in side("authors", _entries, list[Any]()):
        try:
            people.append(_author(entry))
        except InvalidRecordError as error:
            problems.append(f"an author is left out: {error}")
    article = Article(
        pmid=pmid,
        title=_text(_get(data, "title"), "title"),
        abstract=tuple(AbstractSection(text) for text in _sections(_get(data, "abstract"))),
        journal=Journal(title=side("journal", _journal, "") or None),
        publication_date=side("year", _date, PartialDate()),
        authors=tuple(people),
        mesh_headings=tuple(MeshHeading(name) for name in side("mesh", _names, _NONE)),
        keywords=tuple(Keyword(text) for text in side("keywords", _names, _NONE)),
        publication_types=tuple(PublicationType(name) for name in side("publication_types", _names, _NONE)),
        languages=tuple(side("languages", _names, _NONE)),
        doi=side("doi", lambda value: normalise_doi(_text(value, "doi")), None) or _external(data, "DOI"),
        pmcid=side("pmcid", lambda value: normalise_pmcid(_text(value, "pmcid")), None),
        volume=side("volume", lambda value: _text(value, "volume"), "") or None,
        issue=side("issue", lambda value: _text(value, "issue"), "") or None,
        pages=side("pages", lambda value: _text(value, "pages"), "") or None,
    )
    return article, problems


def _lowered(data: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).strip().lower().replace(" ", "_"): value for key, value in data.items()}


def _get(data: Mapping[str, Any], name: str) -> Any:
    """Return the first value of a field that says anything: None, NaN and empty texts do not."""
    for key in _NAMES[name]:
        value = data.get(key)
        if not (value is None or value == "" or (isinstance(value, float) and math.isnan(value))):
            return value
    external = _external(data, "PubMed") if name == "pmid" else None
    return external


def _external(data: Mapping[str, Any], name: str) -> str | None:
    """Return an identifier of Semantic Scholar's."""
    ids = data.get("externalids")
    return str(ids[name]) if isinstance(ids, dict) and ids.get(name) else None


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and name in ("volume", "issue", "pages"):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidRecordError(f"`{name}` is {type(value).__name__}, not text")
    return composed(" ".join(value.split()))


def _sections(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [text for text in (_text(part, "abstract") for part in values) if text]


def _names(value: Any) -> list[str]:
    """Return a list of names: a list, or one text with semicolons between them; a UI before a name is taken off."""
    values = value.split(";") if isinstance(value, str) else value
    if not isinstance(values, list) or not all(text is None or isinstance(text, str) for text in values):
        raise InvalidRecordError("it is not text or a list of texts")
    names = (_UI.sub("", composed(" ".join((text or "").split()))) for text in values)
    return [name for name in names if name]


def _journal(value: Any) -> str:
    return _text(value.get("name") if isinstance(value, dict) else value, "journal")


def _date(value: Any) -> PartialDate:
    """Read a year, a number that pandas made of it, `2004-05-17`, CSL's `issued`, or a free date."""
    if isinstance(value, dict):
        parts = (value.get("date-parts") or [[]])[0]
        value = "-".join(str(int(part)) for part in parts)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    match = _DATE.fullmatch(text.split("T")[0].split(" 00:")[0])
    date = partial_date(*match.groups()) if match else free_date(text)
    if isinstance(value, bool) or not date.year:
        raise InvalidRecordError(f"{text[:40]!r} is not a year or a date")
    return date


def _entries(value: Any) -> list[Any]:
    if isinstance(value, str):
        if "|" in value or ";" in value:
            return [part for part in value.split(";") if part.strip()]
        parts = [part.strip() for part in value.rstrip(". ").split(",")]
        # `Muster A, Beispiel O` are two people, and `Muster, Anna` is one.
        return parts if all(map(_SHORT_NAME.fullmatch, parts)) else [value]
    if not isinstance(value, list):
        raise InvalidRecordError("it is not a list of names")
    return [entry for entry in value if entry is not None]


def _author(value: Any) -> Author:
    """Read an author: `Last, First`, `Last FM`, pubmed_parser's `Last|First|Initials|`, or an object."""
    if isinstance(value, dict):
        return _person({str(key).lower(): entry for key, entry in value.items()})
    if not isinstance(value, str):
        raise InvalidRecordError(f"{reprlib.repr(value)} is not a name")
    text = composed(" ".join(value.split()))
    if "|" in text:
        last, fore, initials, suffix = ([part.strip() or None for part in text.split("|")] + [None] * 4)[:4]
        author = Author(last, fore, initials, suffix)
    else:
        author = _spelled(text)
    if not (author.last_name or author.fore_name):
        raise InvalidRecordError("it has no name")
    return author


def _spelled(text: str) -> Author:
    last, comma, fore = text.partition(", ")
    if comma:
        return Author(last_name=last or None, fore_name=fore, initials="".join(part[0] for part in fore.split()))
    name, space, initials = last.rpartition(" ")
    if space and initials.isupper() and len(initials) <= 3:
        return Author(last_name=name, initials=initials)
    return Author(last_name=last or None)


def _person(data: dict[str, Any]) -> Author:
    fields: dict[str, Any] = {}
    for field, names in _PERSON.items():
        value = next((data[name] for name in names if isinstance(data.get(name), str) and data[name].strip()), None)
        if value is not None:
            fields[field] = composed(" ".join(value.split()))
    if not fields.keys() & {"last_name", "fore_name", "collective_name"}:
        whole = data.get("name")
        if not isinstance(whole, str) or not whole.strip():
            raise InvalidRecordError("it has no name")
        given, _, last = composed(" ".join(whole.split())).rpartition(" ")
        fields |= {"last_name": last, "fore_name": given} if given and "," not in whole else {}
        if "last_name" not in fields:
            return _spelled(" ".join(whole.split()))
    if "fore_name" in fields and "initials" not in fields:
        fields["initials"] = "".join(part[0] for part in re.split(r"[\s-]+", fields["fore_name"]) if part)
    places = data.get("affiliations") or data.get("affiliation") or ()
    listed = [places] if isinstance(places, str) else places
    if isinstance(listed, list | tuple) and all(isinstance(place, str) for place in listed):
        fields["affiliations"] = tuple(" ".join(place.split()) for place in listed if place.strip())
    if isinstance(data.get("orcid"), str):
        fields["orcid"] = normalise_orcid(data["orcid"])
    return msgspec.convert(fields, Author)
