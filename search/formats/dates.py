"""Dates as NLM writes them: month names or numbers, seasons, and MedlineDate's free text."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from search.article import PartialDate
from search.normalize import MONTHS

__all__ = ["calendar_date", "free_date", "month_number", "partial_date"]

_SEASONS = {"winter": "Winter", "spring": "Spring", "summer": "Summer", "fall": "Fall", "autumn": "Autumn"}
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_DAY_AFTER_MONTH = re.compile(r"[a-z.]+\s+(\d{1,2})(?!\d)", re.IGNORECASE)


def month_number(text: str) -> int | None:
    """Return the month that `Jan`, `January`, `1`, `01` or the start of `Jan-Feb` names; None if it names none."""
    text = text.strip()
    digits = text.split("-", 1)[0].strip()
    if digits.isascii() and digits.isdigit():
        return int(digits) if 1 <= int(digits) <= 12 else None
    name = text[:3].title()
    return MONTHS.index(name) + 1 if name in MONTHS else None


def _number(text: str | None, low: int, high: int) -> int | None:
    """Return the number that leads the text (`1-5` is 1) if it lies in the range."""
    match = re.match(r"\s*(\d{1,4})(?!\d)", text or "", re.ASCII)
    return int(match[1]) if match and low <= int(match[1]) <= high else None


@lru_cache(maxsize=8192)
def partial_date(
    year: str | None, month: str | None = None, day: str | None = None, season: str | None = None
) -> PartialDate:
    """Return the date that the texts of Year, Month, Day and Season give; parts that cannot be read are left out."""
    number = month_number(month) if month else None
    if month and number is None and not season:
        season = _season(month)
    return PartialDate(
        year=_number(year, 1, 9999),
        month=number,
        day=_number(day, 1, 31) if number else None,
        season=" ".join(season.split()) or None if season else None,
    )


@lru_cache(maxsize=8192)
def free_date(text: str) -> PartialDate:
    """Return the start of a free date (`1998 Dec-1999 Jan`, `2000 Spring-Summer`, `1978-1979`), and its text."""
    text = " ".join(text.split())
    first_year = _YEAR.search(text)
    if not first_year:
        return PartialDate(medline_date=text or None)
    # The month of the start stands after the year (`1998 Dec-1999 Jan`), or before it (`Winter 1998`).
    after = text[first_year.end() :]
    after = after[: next((match.start() for match in _YEAR.finditer(after) if match.start() > 1), len(after))]
    for part in (after, text[: first_year.start()]):
        for word in _WORD.finditer(part):
            month = month_number(word[0])
            if month:
                day = _DAY_AFTER_MONTH.match(part, word.start())
                return PartialDate(
                    year=int(first_year[1]), month=month, day=_number(day[1], 1, 31) if day else None, medline_date=text
                )
            if word[0].lower() in _SEASONS:
                return PartialDate(year=int(first_year[1]), season=_SEASONS[word[0].lower()], medline_date=text)
    return PartialDate(year=int(first_year[1]), medline_date=text)


def _season(text: str) -> str | None:
    return _SEASONS.get(text.strip().lower())


@lru_cache(maxsize=8192)
def calendar_date(year: str | None, month: str | None, day: str | None) -> date | None:
    """Return a day of the calendar; None if the texts name no such day."""
    numbers = (_number(year, 1, 9999), month_number(month) if month else None, _number(day, 1, 31))
    if None in numbers:
        return None
    try:
        return date(*numbers)  # type: ignore[arg-type]
    except ValueError:
        return None
