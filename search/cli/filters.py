"""Filters as options of a command."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from search.retrieval.suggestions import SuggestField

__all__ = ["Day", "StrategyText", "filter_options", "is_pmid", "read_pmids"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_DAY = r"\d{4}(?:-\d\d(?:-\d\d)?)?"
_RANGE = re.compile(rf"({_DAY})|({_DAY})?:({_DAY})?")


class _Range(click.ParamType[tuple[date | None, date | None]]):
    """`2015`, `2015:2020`, `2015-03:`, `:2020-06-30`."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the first and the last day."""
        match = _RANGE.fullmatch(value)
        if match is None or value == ":":
            self.fail(f"{value!r} is not a year, a month, a day (2015-03-31) or a range (2015:2020, 2015:)", param, ctx)
        first, last = (match[1], match[1]) if match[1] else (match[2], match[3])
        try:
            return _day(first, last=False), _day(last, last=True)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def _day(text: str | None, *, last: bool) -> date | None:
    """Return a day, or the first or the last one of a year or a month."""
    if not text:
        return None
    year, month, *day = [int(part) for part in (text if len(text) > 4 else f"{text}-{12 if last else 1}").split("-")]
    if day or not last:
        return date(year, month, day[0] if day else 1)
    return date(year, month, monthrange(year, month)[1])


_AGO = re.compile(r"(?:last|past|(\d{1,4})) ?(day|week|month|year)s?(?: ago)?")
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


class Day(click.ParamType[date]):
    """`2026-01-31`, `today`, `yesterday`, `7 days`, `2 weeks ago`, `last month`."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the day; a month counts 30 days, a year 365."""
        text = " ".join(value.lower().split())
        ago = _AGO.fullmatch({"today": "0 days", "yesterday": "1 day"}.get(text, text))
        try:
            if ago:
                today = datetime.now(timezone.utc).date()  # as the index counts days
                return today - timedelta(int(ago[1] or 1) * _DAYS[ago[2]])
            return date.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a day: 2026-01-31, yesterday, '7 days', 'last month'", param, ctx)


class StrategyText(click.ParamType[str]):
    """A strategy as it stands, or `@FILE` that holds it (`@-` for standard input)."""

    name = "strategy"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text of the strategy."""
        if not value.startswith("@"):
            return value
        try:
            with click.open_file(value[1:], "r", encoding="utf-8-sig", errors="replace") as stream:
                return stream.read()
        except OSError as error:
            self.fail(f"{value[1:]}: {error.strerror}", param, ctx)


# Bytes that are not UTF-8 are reported as invalid PMIDs.
_FILE = click.File("r", "utf-8-sig", "replace")


def _completes(field: SuggestField) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what completes values of a filter in a shell, from what the index holds."""

    def complete(ctx: click.Context, _: click.Parameter, text: str) -> list[str]:
        from search.cli.options import open_index
        from search.errors import SearchError

        try:
            with open_index(ctx.params.get("config_file"), ctx.params.get("folder")) as index:
                return [suggestion.value for suggestion in index.suggest(field, text, 20)]
        except SearchError:
            return []

    return complete


_OPTIONS = (
    click.option(
        "--date", "dates", type=_Range(), metavar="RANGE", help="Published in this range: 2015:2020, 2015-03:, 2019."
    ),
    click.option(
        "--author",
        "authors",
        multiple=True,
        metavar="NAME",
        shell_complete=_completes("author"),
        help="Family name and initials: 'Smith JA', or 'Smith J' for every Smith whose first initial is J.",
    ),
    click.option(
        "--journal",
        "journals",
        multiple=True,
        metavar="NAME",
        shell_complete=_completes("journal"),
        help="Title, abbreviation or ISSN.",
    ),
    click.option(
        "--mesh",
        multiple=True,
        metavar="HEADING",
        shell_complete=_completes("mesh"),
        help="MeSH descriptor, by name or UI.",
    ),
    click.option("--major", is_flag=True, help="With --mesh: only as a major topic."),
    click.option(
        "--type",
        "types",
        multiple=True,
        metavar="TYPE",
        shell_complete=_completes("type"),
        help="Publication type, by name or UI.",
    ),
    click.option(
        "--language",
        "languages",
        multiple=True,
        metavar="CODE",
        shell_complete=_completes("language"),
        help="eng, fre, German, ...",
    ),
    click.option(
        "--design",
        "designs",
        multiple=True,
        metavar="DESIGN",
        help="Kind of study: cohort, meta-analysis, 'randomized trial', ...",
    ),
    click.option("--min-n", type=click.IntRange(min=1), metavar="N", help="At least N took part, by the abstract."),
    click.option("--has-abstract", is_flag=True, help="Only articles with an abstract."),
    click.option("--free-full-text", is_flag=True, help="Only articles with free full text in PubMed Central."),
    click.option("--no-retracted", is_flag=True, help="Leave out retracted articles."),
    click.option(
        "--added-since",
        type=Day(),
        metavar="DAY",
        help="Added to the index on this day or later: 2026-01-31, yesterday, '7 days'.",
    ),
    click.option(
        "--strategy",
        type=StrategyText(),
        metavar="TEXT|@FILE",
        help="Selected by a search in PubMed's language: 'aspirin[tiab] NOT cancer[mh]'.",
    ),
    click.option("--pmids", "only_pmids", type=_FILE, metavar="FILE", help="Only the PMIDs in a file."),
    click.option("--not-pmids", type=_FILE, metavar="FILE", help="Leave out the PMIDs in a file."),
)


def filter_options(function: _Function) -> _Function:
    """Add the filters, which arrive as the argument `filters`. Values of one option are alternatives."""
    from functools import reduce, wraps

    @wraps(function)
    def command(
        dates: tuple[date | None, date | None] | None,
        authors: tuple[str, ...],
        journals: tuple[str, ...],
        mesh: tuple[str, ...],
        major: bool,
        types: tuple[str, ...],
        languages: tuple[str, ...],
        designs: tuple[str, ...],
        min_n: int | None,
        has_abstract: bool,
        free_full_text: bool,
        no_retracted: bool,
        added_since: date | None,
        strategy: str | None,
        only_pmids: Any,
        not_pmids: Any,
        **rest: Any,
    ) -> Any:
        from search.retrieval.filters import Filters, MeshTerm

        first, last = dates or (None, None)
        filters = Filters(
            date_from=first,
            date_to=last,
            authors=authors,
            journals=journals,
            mesh=tuple(MeshTerm(heading, major=major) for heading in mesh),
            publication_types=types,
            languages=languages,
            designs=designs,
            min_n=min_n,
            has_abstract=has_abstract,
            free_full_text=free_full_text,
            not_retracted=no_retracted,
            added_since=added_since,
            strategy=strategy,
            pmids=frozenset(read_pmids(only_pmids)) if only_pmids else None,
            not_pmids=frozenset(read_pmids(not_pmids)) if not_pmids else frozenset(),
        )
        if major and not mesh:
            raise click.UsageError("--major goes with --mesh")
        return function(filters=filters, **rest)

    wrapped: Any = command
    result: _Function = reduce(lambda inner, option: option(inner), reversed(_OPTIONS), wrapped)
    return result


def is_pmid(word: str) -> bool:
    """Whether a word is a number that may be a PMID."""
    return word.isascii() and word.isdigit() and len(word) <= 20


def read_pmids(stream: Any) -> list[int]:
    """Read PMIDs from a file: digits separated by white space, commas or semicolons.

    Raises QueryError that names the file, the line and the invalid PMID.
    """
    from search.errors import QueryError

    pmids = []
    for number, line in enumerate(stream, start=1):
        for word in re.split(r"[\s,;]+", line.strip()):
            if word and not (is_pmid(word) and int(word) > 0):
                raise QueryError(f"{Path(stream.name).name} line {number}: {word[:40]!r} is not a valid PMID")
            pmids += [int(word)] if word else []
    return pmids
