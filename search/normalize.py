"""Text on one line without control characters, and normalised keys for names, journals, dates and languages."""

from __future__ import annotations

import difflib
import json
import re
from datetime import date
from functools import lru_cache

from search.article import Article, PartialDate
from search.characters import spaced, without_accents
from search.errors import QueryError

__all__ = [
    "GREEK_NAMES",
    "MONTHS",
    "UNSAFE",
    "clean",
    "common_journals",
    "common_type",
    "date_spans",
    "escaped",
    "folded_words",
    "journal_key",
    "journal_keys",
    "language_code",
    "name_key",
    "normalise_doi",
    "yyyymmdd",
    "folded_key",
]

#: English month abbreviations as MEDLINE writes them.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Controls (C0, DEL, C1), Unicode's line and paragraph separators, what turns the direction of text around, the byte
# order mark, annotations and tags, which nobody sees, and halves of surrogate pairs, which no UTF-8 file can hold.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_UNTIDY = re.compile(f"{UNSAFE.pattern}|  ")
_DOI_PREFIX = re.compile(r"^\s*(?:https?://(?:dx\.)?doi\.org/|doi:)\s*", re.IGNORECASE)
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029 ]+")


def clean(text: str | None) -> str:
    """Return the text on one line: breaks and runs of spaces become one space, control characters go."""
    if not text:
        return ""
    if not _UNTIDY.search(text):
        return text.strip()
    return _BREAKS.sub(" ", UNSAFE.sub("", _BREAKS.sub(" ", text))).strip()


def escaped(text: str) -> str:
    r"""Return JSON with what is unsafe in its strings as `\u` escapes, which say the same; its line ends stay."""
    return UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text)


def normalise_doi(text: str | None) -> str | None:
    """Return a DOI without `https://doi.org/` or `doi:` before it; None if nothing is left."""
    return _DOI_PREFIX.sub("", text or "").strip() or None


def yyyymmdd(day: date | None) -> int:
    """Return a day as a whole number: 2004-03-17 is 20040317; None is 0."""
    return day.year * 10_000 + day.month * 100 + day.day if day is not None else 0


def name_key(name: str) -> str:
    """Return what names of subjects, publication types and languages are compared by: no case, no accents."""
    return " ".join(without_accents(_without_nul(name)).casefold().split())


_GREEK = """
α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi ο omicron π pi
ρ rho σ sigma ς sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega
""".split()  # noqa: SIM905 - a table reads better so
#: The names of Greek letters, by letter, for `str.translate`.
GREEK_NAMES = str.maketrans(dict(zip(_GREEK[::2], _GREEK[1::2], strict=True)))
#: Letters that Unicode does not take apart; Greek ones are spelled, as PubMed searches them.
_LETTERS = GREEK_NAMES | str.maketrans(
    {
        "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ß": "ss",
        "™": " ", "®": " ", "©": " ",
    }
)  # fmt: skip
_WORD = re.compile(r"[^\W_]+")
# Few at once: the same come again and again.
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{1,8}")
#: Letters of a word that are compared.
LONGEST_WORD = 200


def folded_words(text: str) -> list[str]:
    """Return the words of a text as strategies compare them: no case, no accents, not stemmed, hyphens as spaces.

    >>> folded_words("Sjögren's α-synuclein")
    ['sjogren', 's', 'alpha', 'synuclein']
    """
    if not text.isascii():
        text = _BEYOND_ASCII.sub(lambda letters: _folded(letters[0]), text)
    text = text.lower()
    if not text.isascii():
        return _cut(_WORD.findall(text))
    text = spaced(text)
    words = text.split()
    # Every word that is too long fills one of these pieces.
    piece = LONGEST_WORD // 2
    for start in range(0, len(text) - piece + 1, piece):
        if " " not in text[start : start + piece]:
            return _cut(words)
    return words


@lru_cache(50_000)
def _folded(letters: str) -> str:
    text = without_accents(letters.lower().translate(_LETTERS)).casefold().translate(_LETTERS)
    # Signs end words, and as spaces they leave most texts in ASCII.
    return "".join(letter if letter.isalnum() or letter.isascii() else " " for letter in text)


@lru_cache(200_000)
def folded_key(text: str) -> str:
    """Return the words of a short text that comes again and again, such as a heading, joined by `_`."""
    return "_".join(folded_words(text))


def _cut(words: list[str]) -> list[str]:
    """Return the words without what makes one longer than an index can hold, such as a sequence of a gene."""
    return [word[:LONGEST_WORD] for word in words]


def journal_key(name: str) -> str:
    """Return what journals are compared by: `The N. Engl. J. Med.` and `n engl j med` are the same."""
    key = " ".join(without_accents(_without_nul(name)).casefold().replace(".", " ").split())
    return key.removeprefix("the ") or key


def _without_nul(text: str) -> str:
    """Return a text as any database can store it: PostgreSQL has no NUL character."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


#: What people call publication types and journals, and how records call them.
_COMMON_TYPES = {
    **dict.fromkeys(("rct", "rcts", "randomised controlled trial", "randomized trial"), "Randomized Controlled Trial"),
    **dict.fromkeys(("sr", "systematic reviews"), "Systematic Review"),
    **dict.fromkeys(("meta analysis", "metaanalysis", "meta-analyses"), "Meta-Analysis"),
    **dict.fromkeys(("case report", "case study"), "Case Reports"),
    "guidelines": "Guideline",
    "reviews": "Review",
}
_COMMON_JOURNALS = {
    "nejm": ("N Engl J Med", "New England Journal of Medicine"),
    "pnas": ("Proc Natl Acad Sci U S A",),
    "the bmj": ("BMJ",),
    "british medical journal": ("BMJ", "British Medical Journal"),
    "jco": ("J Clin Oncol",),
    "jacc": ("J Am Coll Cardiol",),
}


def common_type(name: str) -> str:
    """Return how records call a publication type that people call otherwise (`RCT`); any other name as it is."""
    return _COMMON_TYPES.get(name_key(name), name)


def common_journals(name: str) -> tuple[str, ...]:
    """Return how records call a journal that people call otherwise (`NEJM`); any other name as it is."""
    return _COMMON_JOURNALS.get(name_key(name), (name,))


def journal_keys(article: Article) -> frozenset[str]:
    """Return the keys under which the journal of an article is found."""
    journal = article.journal
    names = (journal.title, journal.iso_abbreviation, journal.medline_abbreviation, journal.issn, journal.issn_linking)
    return frozenset(key for key in (journal_key(name) for name in names if name) if key)


def date_spans(article: Article) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and last day (yyyymmdd) on which the issue and the electronic version can have appeared.

    (0, 0) is an unknown date; where the issue's is unknown, the electronic one stands for it.
    """
    electronic = _span(article.electronic_date) if article.electronic_date is not None else (0, 0)
    issue = _span(article.publication_date)
    return issue if issue[0] else electronic, electronic


def _span(day: PartialDate) -> tuple[int, int]:
    text = day.medline_date or (f"{day.year} {day.season}" if day.season and day.year else "")
    span = _free_span(text) if text else (0, 0)
    if span[0] or day.year is None:
        return span
    year = day.year * 10_000
    if day.month and day.day:
        return year + day.month * 100 + day.day, year + day.month * 100 + day.day
    return (year + day.month * 100 + 1, year + day.month * 100 + 31) if day.month else (year + 101, year + 1231)


#: The months that a word stands for; seasons are quarters, as in PubMed's dates.
_MONTH_SPANS = {
    **{name.lower(): (number, number) for number, name in enumerate(MONTHS, start=1)},
    "winter": (1, 3), "spring": (4, 6), "summer": (7, 9), "fall": (10, 12), "autumn": (10, 12),
}  # fmt: skip
_DATE_PART = re.compile(rf"(?<!\d)((?:1[5-9]|20)\d\d)(?!\d)|\b({'|'.join(_MONTH_SPANS)})", re.IGNORECASE)


def _free_span(text: str) -> tuple[int, int]:
    """Return the span of a free date: `2015 Oct-Dec`, `1998 Dec-1999 Jan`, `2000 Dec-Jan`, `2007 (c2006)`."""
    years: list[int] = []
    months: list[list[tuple[int, int]]] = []
    early: list[tuple[int, int]] = []
    for match in _DATE_PART.finditer(text):
        if match[1]:
            years.append(int(match[1]))
            months.append(early if len(years) == 1 else [])
        else:
            (months[-1] if months else early).append(_MONTH_SPANS[match[2].lower()])
    if not years:
        return 0, 0
    start = months[0][0][0] if months[0] else 1
    end = months[-1][-1][1] if months[-1] else 12
    first, last = years[0] * 10_000 + start * 100 + 1, years[-1] * 10_000 + end * 100 + 31
    if first <= last:
        return first, last
    if len(years) == 1:
        # December to January: into the next year.
        return first, last + 10_000
    return min(years) * 10_000 + 101, max(years) * 10_000 + 1231


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
