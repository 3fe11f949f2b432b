"""The parts that records of articles and of books share, read for all records of a table at once.

A reader takes a table and rows, elements of one kind, and returns what each of them says, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np

from search.article import AbstractSection, Author, Grant, HistoryDate, Keyword, PartialDate, PublicationType
from search.formats.dates import calendar_date, free_date, partial_date
from search.formats.identifiers import normalise_orcid
from search.formats.pubmed_xml.element_table import ElementTable, Rows, forget_attributes, with_characters
from search.formats.pubmed_xml.markup import contents_as_names as names
from search.formats.pubmed_xml.markup import contents_as_texts as texts
from search.formats.pubmed_xml.markup import tidy

__all__ = [
    "Fields",
    "Level",
    "Reader",
    "Remembered",
    "below",
    "column",
    "days",
    "dates",
    "extend_children",
    "forget",
    "grants",
    "group",
    "identifiers",
    "keywords",
    "languages",
    "marks",
    "names",
    "pages",
    "people",
    "publication_types",
    "put_abstracts",
    "put_children",
    "put_data",
    "put_pmids",
    "sections",
    "texts",
]

_Value = TypeVar("_Value")

#: How many contents a reader remembers; NLM has some 30,000 descriptors and as many journals.
_REMEMBERED = 50_000

#: What all readers that remember have in memory.
_memories: list[dict[bytes, Any]] = []

#: Reads elements of one kind.
Reader = Callable[[ElementTable, Rows], list[Any]]


class Level(NamedTuple):
    """Elements of one kind, and for each the number of the record that it belongs to (rising)."""

    rows: Rows
    records: Rows


def below(table: ElementTable, level: Level, *names: str) -> Level:
    """Return the children that have one of the names."""
    rows, places = table.children(level.rows, *names)
    return Level(rows, level.records[places])


class Fields:
    """The fields of the Articles in the making, one column of values for each field."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._columns: dict[str, list[Any]] = {}

    def put(self, name: str, level: Level, values: Iterable[Any]) -> None:
        """Set a field of the records that the values belong to; of several, the first that is not empty stays."""
        column = self._columns.setdefault(name, [None] * self._count)
        for record, value in zip(level.records.tolist(), values, strict=True):
            if value and not column[record]:
                column[record] = value

    def extend(self, name: str, level: Level, values: Iterable[tuple[Any, ...]]) -> None:
        """Add to a tuple of the records that the values belong to."""
        column = self._columns.setdefault(name, [()] * self._count)
        for record, value in zip(level.records.tolist(), values, strict=True):
            if value:
                column[record] += value

    def of_records(self) -> list[dict[str, Any]]:
        """Return the fields of each record, without those that are empty."""
        if not self._columns:
            return [{} for _ in range(self._count)]
        names = list(self._columns)
        return [
            {name: value for name, value in zip(names, values, strict=True) if value}
            for values in zip(*self._columns.values(), strict=True)
        ]


def group(values: Iterable[_Value], owners: Rows, count: int) -> list[tuple[_Value, ...]]:
    """Return the values of each of `count` owners as a tuple; `owners` (rising) says whose each value is."""
    ordered = tuple(values)
    bounds = np.searchsorted(owners, np.arange(count + 1)).tolist()
    return [ordered[first:last] for first, last in zip(bounds, bounds[1:], strict=False)]


class Remembered:
    """A reader of elements of which many hold the very same: each content is read once and then remembered."""

    def __init__(self, read: Callable[[ElementTable, Rows], list[Any]]) -> None:
        self._read = read
        self._known: dict[bytes, Any] = {}
        _memories.append(self._known)

    def __call__(self, table: ElementTable, rows: Rows) -> list[Any]:
        """Return what each element says."""
        known = self._known
        if len(known) > _REMEMBERED:
            known.clear()
        contents = table.contents(rows)
        new = {content: row for content, row in zip(contents, rows.tolist(), strict=True) if content not in known}
        if new:
            ordered = sorted(new, key=new.__getitem__)
            values = self._read(table, np.array([new[content] for content in ordered]))
            known.update(zip(ordered, values, strict=True))
        return [known[content] for content in contents]


def forget() -> None:
    """Clear the caches of earlier files: for measuring."""
    forget_attributes()
    _history_date.cache_clear()
    for memory in _memories:
        memory.clear()


def marks(table: ElementTable, rows: Rows, attribute: str) -> list[str | None]:
    """Return an attribute of each element; None where it is empty or not there."""
    return [found.get(attribute) or None for found in table.attributes(rows)]


def column(table: ElementTable, owners: Rows, name: str, read: Reader = names) -> list[Any]:
    """Return for each owner the text of its first child of that name, or None if it is missing or empty."""
    rows, places = table.children(owners, name)
    values = read(table, rows)
    if len(rows) == len(owners) and np.count_nonzero(places[1:] == places[:-1]) == 0:
        return [value or None for value in values]
    first: list[Any] = [None] * len(owners)
    # From the last to the first, so that of several children the first stays.
    for place, value in zip(places[::-1].tolist(), reversed(values), strict=True):
        first[place] = value or None
    return first


def columns(table: ElementTable, owners: Rows, *tags: str, read: Reader = names) -> Iterator[tuple[Any, ...]]:
    """Return for each owner what its first children of several names say."""
    return zip(*(column(table, owners, tag, read) for tag in tags), strict=True)


def put_children(
    table: ElementTable, parents: Level, fields: Fields, readers: Iterable[tuple[str, str, Reader]]
) -> None:
    """Set fields from children: for each field the name of the child and its reader."""
    for field, tag, read in readers:
        level = below(table, parents, tag)
        fields.put(field, level, read(table, level.rows))


def extend_children(
    table: ElementTable, parents: Level, fields: Fields, readers: Iterable[tuple[str, str, Reader]]
) -> None:
    """Add to fields that are tuples from children, whose readers return tuples."""
    for field, tag, read in readers:
        level = below(table, parents, tag)
        fields.extend(field, level, read(table, level.rows))


# Dates


def _read_dates(table: ElementTable, rows: Rows) -> list[PartialDate]:
    parts = columns(table, rows, "MedlineDate", "Year", "Month", "Day", "Season")
    return [free_date(free) if free else partial_date(*rest) for free, *rest in parts]


def _read_days(table: ElementTable, rows: Rows) -> list[date | None]:
    return [calendar_date(*parts) for parts in columns(table, rows, "Year", "Month", "Day")]


#: Dates of elements that hold Year, Month, Day and Season, or a MedlineDate.
dates = Remembered(_read_dates)

#: Days of the calendar, of elements that hold Year, Month and Day.
days = Remembered(_read_days)


# The record itself


def put_pmids(table: ElementTable, parents: Level, fields: Fields) -> None:
    """Set PMID and version, as the texts they are."""
    level = below(table, parents, "PMID")
    fields.put("pmid", level, names(table, level.rows))
    fields.put("version", level, marks(table, level.rows, "Version"))


def identifiers(kind: str, default: str) -> Reader:
    """Return a reader of identifiers, as kind and value; `kind` is the attribute's name. Wrong ones are left out."""

    def read(table: ElementTable, rows: Rows) -> list[tuple[tuple[str, str], ...]]:
        return [
            ((found.get(kind) or default, value),) if value and found.get("ValidYN") != "N" else ()
            for found, value in zip(table.attributes(rows), names(table, rows), strict=True)
        ]

    return read


_article_ids = identifiers("IdType", "pubmed")


def put_article_ids(table: ElementTable, parents: Level, fields: Fields) -> None:
    """Read the ArticleIdList of each record itself (those of its references stand elsewhere)."""
    extend_children(table, below(table, parents, "ArticleIdList"), fields, [("ids", "ArticleId", _article_ids)])


def put_data(table: ElementTable, data: Level, fields: Fields) -> None:
    """Read PubmedData or PubmedBookData elements."""
    put_children(table, data, fields, [("publication_status", "PublicationStatus", names)])
    put_article_ids(table, data, fields)
    level = below(table, data, "History")
    fields.put("history", level, map(_history, table.contents(level.rows)))


_STATUS = re.compile(rb"""PubStatus\s*=\s*["']""")
_HISTORY_DATE = re.compile(
    rb"""(\w[\w.-]*)["']\s*>\s*<Year>\s*(\d+)\s*</Year>\s*<Month>\s*(\w+)\s*</Month>"""
    rb"""\s*<Day>\s*(\d+)\s*</Day>(?:\s*<Hour>\s*(\d+)\s*</Hour>)?(?:\s*<Minute>\s*(\d+)\s*</Minute>)?"""
)


def _history(content: bytes) -> tuple[HistoryDate, ...]:
    """Return the dates of a History; days that are not in the calendar are left out."""
    return tuple(filter(None, map(_history_date, _STATUS.split(content)[1:])))


@lru_cache(maxsize=65536)
def _history_date(content: bytes) -> HistoryDate | None:
    """Return the date of a PubMedPubDate, cut after `PubStatus="`: many records share theirs."""
    match = _HISTORY_DATE.match(content)
    if match is None:
        return None
    status, year, month, number, hour, minute = (part.decode() if part else "" for part in match.groups())
    day = calendar_date(year, month, number)
    # Midnight is what NLM writes where only the day is known.
    time = f"{int(hour):02d}:{int(minute or 0):02d}" if int(hour or 0) or int(minute or 0) else None
    return HistoryDate(status, day, time) if day is not None else None


# Text


def sections(table: ElementTable, rows: Rows) -> list[tuple[AbstractSection, ...]]:
    """Return the sections of Abstract or OtherAbstract elements; those without text are left out."""
    parts, owners = table.children(rows, "AbstractText")
    entries = [
        AbstractSection(text, mark.get("Label") or None, mark.get("NlmCategory") or None) if text else None
        for text, mark in zip(texts(table, parts), table.attributes(parts), strict=True)
    ]
    abstracts = [tuple(filter(None, own)) for own in group(entries, owners, len(rows))]
    for place in [place for place, own in enumerate(abstracts) if not own]:
        # Some programs write the text into the abstract itself.
        text = tidy(with_characters(table.own_content(rows[place]).decode()))
        abstracts[place] = (AbstractSection(text),) if text else ()
    return abstracts


def put_abstracts(table: ElementTable, parents: Level, fields: Fields) -> None:
    """Read the Abstract of each record, and its copyright."""
    level = below(table, parents, "Abstract")
    fields.put("abstract", level, sections(table, level.rows))
    fields.put("copyright", level, column(table, level.rows, "CopyrightInformation"))


def languages(table: ElementTable, rows: Rows) -> list[tuple[str, ...]]:
    """Return Language elements, of which a record may have several."""
    return [(name,) if name else () for name in names(table, rows)]


def pages(table: ElementTable, rows: Rows) -> list[str | None]:
    """Return the pages of Pagination elements as printed, or from first to last where only those are given."""
    return [
        printed or (f"{first}-{last}" if first and last and first != last else first)
        for printed, first, last in columns(table, rows, "MedlinePgn", "StartPage", "EndPage")
    ]


# People


def people(table: ElementTable, lists: Rows) -> list[tuple[Author, ...]]:
    """Return the people and groups of AuthorList or InvestigatorList elements.

    Names marked `ValidYN="N"` are left out: each is the wrong spelling of a name that stands beside it.
    """
    rows, owners = table.children(lists, "Author", "Investigator")
    valid = np.array([mark.get("ValidYN") != "N" for mark in table.attributes(rows)], dtype=bool)
    if np.count_nonzero(valid) < len(rows):
        rows, owners = rows[valid], owners[valid]
    authors = map(
        Author,
        column(table, rows, "LastName"),
        _fore_names(table, rows),
        column(table, rows, "Initials"),
        column(table, rows, "Suffix"),
        column(table, rows, "CollectiveName"),
        _orcids(table, rows),
        _affiliations(table, rows),
    )
    return group(authors, owners, len(lists))


def _fore_names(table: ElementTable, rows: Rows) -> list[str | None]:
    fore_names = column(table, rows, "ForeName")
    if len(table.children(rows, "FirstName")[0]):
        # Until 2004, the fore name stood in two elements.
        for place, parts in enumerate(columns(table, rows, "FirstName", "MiddleName")):
            fore_names[place] = fore_names[place] or " ".join(filter(None, parts)) or None
    return fore_names


def _orcids(table: ElementTable, rows: Rows) -> list[str | None]:
    orcids: list[str | None] = [None] * len(rows)
    numbers, owners = table.children(rows, "Identifier", "NameID")
    sources = marks(table, numbers, "Source")
    for owner, source, text in zip(owners.tolist(), sources, names(table, numbers), strict=True):
        if source == "ORCID":
            orcids[owner] = normalise_orcid(text)
    return orcids


def _affiliations(table: ElementTable, rows: Rows) -> list[tuple[str, ...]]:
    """Return the affiliations, which until 2014 stood in the Author itself."""
    infos, owners = table.children(rows, "AffiliationInfo")
    found, places = table.children(infos, "Affiliation")
    owners = owners[places]
    outer, outer_owners = table.children(rows, "Affiliation")
    if len(outer):
        found, owners = np.concatenate([found, outer]), np.concatenate([owners, outer_owners])
        order = np.argsort(found)
        found, owners = found[order], owners[order]
    affiliations = group(texts(table, found), owners, len(rows))
    return [tuple(filter(None, own)) if "" in own else own for own in affiliations]


# Subjects


def _read_publication_types(table: ElementTable, rows: Rows) -> list[tuple[PublicationType]]:
    return [(PublicationType(*parts),) for parts in zip(names(table, rows), marks(table, rows, "UI"), strict=True)]


#: PublicationType elements, of which a record has several.
publication_types = _read_publication_types


def keywords(table: ElementTable, lists: Rows) -> list[tuple[Keyword, ...]]:
    """Return the keywords of KeywordList elements."""
    rows, owners = table.children(lists, "Keyword")
    given_by = [mark or "NLM" for mark in marks(table, lists, "Owner")]
    entries = [
        Keyword(text, major == "Y", given_by[owner]) if text else None
        for text, major, owner in zip(
            names(table, rows), marks(table, rows, "MajorTopicYN"), owners.tolist(), strict=True
        )
    ]
    return [tuple(filter(None, own)) for own in group(entries, owners, len(lists))]


def grants(table: ElementTable, lists: Rows) -> list[tuple[Grant, ...]]:
    """Return the grants of GrantList elements."""
    rows, owners = table.children(lists, "Grant")
    entries = [Grant(*parts) for parts in columns(table, rows, "GrantID", "Acronym", "Agency", "Country")]
    return group(entries, owners, len(lists))
