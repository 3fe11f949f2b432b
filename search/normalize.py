"""Normalised keys for names, journals, dates and languages, shared by the store and the filters."""

from __future__ import annotations

import difflib
import re

from search.article import Article, PartialDate
from search.errors import QueryError

__all__ = ["date_span", "journal_key", "journal_keys", "language_code", "name_key"]


def name_key(name: str) -> str:
    """Return what names of subjects, publication types and languages are compared by: no case, single spaces."""
    return " ".join(name.casefold().split())


def journal_key(name: str) -> str:
    """Return what journals are compared by: `The N. Engl. J. Med.` and `n engl j med` are the same."""
    key = " ".join(name.casefold().replace(".", " ").split())
    return key.removeprefix("the ") or key


def journal_keys(article: Article) -> frozenset[str]:
    """Return the keys under which the journal of an article is found."""
    journal = article.journal
    names = (journal.title, journal.iso_abbreviation, journal.medline_abbreviation, journal.issn, journal.issn_linking)
    return frozenset(key for key in (journal_key(name) for name in names if name) if key)


def date_span(article: Article) -> tuple[int, int] | None:
    """Return the first and the last day (yyyymmdd) on which an article can have appeared; None if nothing is known.

    The date of the issue counts, that of the electronic publication only where the issue's is not known. Seasons are
    read as the whole year, since they differ between the hemispheres.
    """
    span = _span(article.publication_date)
    if span is None and article.electronic_date is not None:
        span = _span(article.electronic_date)
    return span


def _span(day: PartialDate) -> tuple[int, int] | None:
    if day.medline_date:
        span = _medline_span(day.medline_date)
        if span is not None:
            return span
    if day.year is None:
        return None
    first, last = day.year * 10_000 + 101, day.year * 10_000 + 1231
    if day.month:
        first, last = day.year * 10_000 + day.month * 100 + 1, day.year * 10_000 + day.month * 100 + 31
        if day.day:
            first = last = day.year * 10_000 + day.month * 100 + day.day
    return first, last


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MEDLINE_PART = re.compile(rf"(?<!\d)((?:1[5-9]|20)\d\d)(?!\d)|\b({'|'.join(_MONTHS)})", re.IGNORECASE)


def _medline_span(text: str) -> tuple[int, int] | None:
    """Return the span of a MedlineDate: `2015 Oct-Dec`, `1998 Dec-1999 Jan`, `1978-1979`, `2000 Spring`."""
    dates: list[list[int]] = []
    for match in _MEDLINE_PART.finditer(text):
        if match[1]:
            dates.append([int(match[1])])
        elif dates:
            dates[-1].append(_MONTHS.index(match[2].lower()) + 1)
    if not dates:
        return None
    (first_year, *first_months), (last_year, *last_months) = dates[0], dates[-1]
    first_month, last_month = (first_months or [1])[0], (last_months or [12])[-1]
    first, last = first_year * 10_000 + first_month * 100 + 1, last_year * 10_000 + last_month * 100 + 31
    return (first, last) if first <= last else (min(first_year, last_year) * 10_000 + 101, max(first, last))


# NLM's code, then whatever else is understood: ISO 639-1, ISO 639-2/T where it differs, the English name.
_TABLE = """
afr af afrikaans; alb sq sqi albanian; ara ar arabic; arm hy hye armenian; aze az azerbaijani; baq eu eus basque;
bos bs bosnian; bul bg bulgarian; cat ca catalan; chi zh zho chinese; cze cs ces czech; dan da danish; dut nl nld
dutch; eng en english; epo eo esperanto; est et estonian; fin fi finnish; fre fr fra french; geo ka kat georgian;
ger de deu german; gle ga irish; glg gl galician; gre el ell greek; heb he hebrew; hin hi hindi; hrv hr scr
croatian; hun hu hungarian; ice is isl icelandic; ind id indonesian; ita it italian; jpn ja japanese; kaz kk kazakh;
kor ko korean; lat la latin; lav lv latvian; lit lt lithuanian; mac mk mkd macedonian; may ms msa malay; nor no
norwegian; per fa fas persian; pol pl polish; por pt portuguese; rum ro ron romanian; rus ru russian; slo sk slk
slovak; slv sl slovenian; spa es spanish; srp sr scc serbian; swe sv swedish; tha th thai; tur tr turkish; ukr uk
ukrainian; uzb uz uzbek; vie vi vietnamese; wel cy cym welsh; mul multiple; und undetermined
"""

_CODES = {name: names[0] for names in map(str.split, _TABLE.split(";")) for name in names}


def language_code(name: str) -> str:
    """Return NLM's code of a language given by a code or its English name: `English`, `en` and `eng` are `eng`.

    A code of three letters that is not known passes as it is. Raises QueryError for any other name.
    """
    key = " ".join(name.casefold().split())
    if key in _CODES:
        return _CODES[key]
    if len(key) == 3 and key.isascii() and key.isalpha():
        return key
    nearest = difflib.get_close_matches(key, _CODES, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "give its English name or NLM's code, such as eng"
    raise QueryError(f"no language {name!r}: {hint}")
