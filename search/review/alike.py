"""Whether two references are of one work: what both say must fit, and enough of it must be there."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

from search.formats.reference_lists import Reference
from search.retrieval.duplicates import family_key, first_page, is_generic_title, notice_lead, title_key

__all__ = ["REASONS", "are_versions", "authors_fit", "differ", "is_same", "title_likeness"]

#: Titles that are so like are one; with the same place in the same volume, so like.
_ALIKE, _ALIKE_IN_PLACE = 0.93, 0.75
#: Two works of one identifier whose titles are less like than this are two: one of the identifiers is wrong.
_UNLIKE = 0.5

#: Titles of fewer words in common, of all of both, are not compared letter by letter.
_FEWEST_SHARED = 0.45
#: Words by which the rest of a title says that it is of a part of a series.
_SERIES = frozenset({"part", "chapter", "section", "volume", "paper", "study", "report", "i", "ii", "iii", "iv", "v"})

#: British spellings and American ones; what only looks like one is changed in both titles that are compared.
_SPELLED = {"isation": "ization", "ising": "izing", "ise": "ize", "yse": "yze", "our": "or", "ae": "e", "oe": "e",
            "tre": "ter"}  # fmt: skip
_SPELLINGS = re.compile("|".join(_SPELLED))
_ROMAN = re.compile(r"\b(?:i{1,3}|iv|vi{0,3}|ix|x)\b")


@lru_cache(maxsize=100_000)
def _spelled(title: str) -> str:
    """Return the key of a title in one spelling for those of both sides of the ocean: `hemorrhage`, `tumor`."""
    return _SPELLINGS.sub(lambda found: _SPELLED[found[0]], title_key(title))


def title_likeness(one: str, other: str) -> float:
    """Return how like two titles are, from 0 to 1; a title and the same with its subtitle are 0.95 alike."""
    first, second = sorted((_spelled(one), _spelled(other)), key=len)
    if first == second:
        return 1.0 if first else 0.0
    joined, other_joined = first.replace(" ", ""), second.replace(" ", "")
    if joined == other_joined:
        return 1.0
    if _is_cut(first, second):
        return 0.95
    words, other_words = _words(first), _words(second)
    shared = len(words & other_words) / max(len(words | other_words), 1)
    if shared < _FEWEST_SHARED:
        # Too few words in common to be worth the time: this is less than any bound.
        return shared
    return SequenceMatcher(None, joined, other_joined, autojunk=False).ratio()


def _is_cut(short: str, long: str) -> bool:
    """Whether a title is another one without its subtitle, which does not only say which part it is."""
    words = long[len(short) :].split()
    if len(short) < 25 or len(short.split()) < 4 or not long.startswith(f"{short} "):
        return False
    is_part = not _SERIES.isdisjoint(words) or words[:1] == ["in"] or any(map(str.isdigit, words))
    return len(words) >= 2 and not is_part


@lru_cache(maxsize=100_000)
def _words(key: str) -> frozenset[str]:
    return frozenset(key.split())


def authors_fit(one: Reference, other: Reference) -> bool | None:
    """Whether the first authors are the same as far as can be told; None where one is not given."""
    first, second = sorted((family_key(one.family_name), family_key(other.family_name)), key=len)
    if not first:
        return None
    # `Berg` for `van der Berg`, and given names for family names.
    return second.endswith(first) or second.startswith(first) or _near(first, second) or _swapped(one, other)


def _near(first: str, second: str) -> bool:
    return len(first) > 4 and SequenceMatcher(None, first, second, autojunk=False).ratio() >= 0.85


def _swapped(one: Reference, other: Reference) -> bool:
    names = [
        {family_key(part) for part in re.split(r"[, ]+", item.authors[0]) if len(part) > 2} for item in (one, other)
    ]
    return bool(names[0] & names[1])


def differ(one: Reference, other: Reference) -> bool:
    """Whether anything that both references say shows that they are of two works."""
    if one.pmid and other.pmid:
        return one.pmid != other.pmid
    if one.doi and other.doi and one.doi != other.doi:
        return True
    if _differ(one.volume, other.volume) or _differ(first_page(one.pages), first_page(other.pages)):
        return True
    if one.year and other.year and abs(one.year - other.year) > 1:
        return True
    return authors_fit(one, other) is False or notice_lead(one.title) != notice_lead(other.title)


def is_same(one: Reference, other: Reference) -> str | None:
    """Return why two references are of one work: one of `REASONS`; None if they are not."""
    if one.pmid and other.pmid and one.pmid != other.pmid:
        return None
    shared = "PMID" if one.pmid and other.pmid else ""
    shared = shared or ("DOI" if one.doi and one.doi == other.doi else "")
    shared = shared or ("PMCID" if one.pmcid and one.pmcid == other.pmcid else "")
    if not shared and (differ(one, other) or one.is_preprint != other.is_preprint):
        return None
    likeness = title_likeness(one.title, other.title) if one.title and other.title else None
    if shared:
        bound = _UNLIKE if shared != "DOI" else _ALIKE_IN_PLACE
        is_one = likeness is None or (likeness >= bound and (shared != "DOI" or _same_numbers(one, other)))
        return f"same {shared}" if is_one and not (shared == "DOI" and differ(one, other)) else None
    return None if likeness is None or not _same_numbers(one, other) else _by_title(one, other, likeness)


def _by_title(one: Reference, other: Reference, likeness: float) -> str | None:
    """Return why two references that nothing sets apart are one by their titles."""
    if (
        likeness >= _ALIKE_IN_PLACE
        and one.volume
        and one.volume == other.volume
        and first_page(one.pages) == first_page(other.pages) != ""
    ):
        return "same title, volume and page"
    if likeness < _ALIKE or is_generic_title(one.title) or is_generic_title(other.title):
        return None
    authors, same_year = authors_fit(one, other), bool(one.year and other.year)
    if authors and same_year:
        return "same title, year and first author"
    if likeness == 1.0 and (authors or (one.year and one.year == other.year and len(title_key(one.title)) > 40)):
        return "same title"
    return None


#: Why two references are one, the surest first.
REASONS = (
    "same PMID", "same DOI", "same PMCID", "same title, volume and page", "same title, year and first author",
    "same title",
)  # fmt: skip


def are_versions(one: Reference, other: Reference) -> str | None:
    """Return why one is the preprint of what was published as the other; None if that is not so."""
    if one.is_preprint == other.is_preprint:
        linked = one.pmid in other.versions or other.pmid in one.versions
        return "linked by NLM" if linked and one.pmid and other.pmid else None
    if one.pmid in other.versions or other.pmid in one.versions:
        return "linked by NLM"
    if not (one.title and other.title) or not _same_numbers(one, other):
        return None
    if one.year and other.year and abs(one.year - other.year) > 3:
        return None
    is_one = title_likeness(one.title, other.title) >= 0.9 and authors_fit(one, other)
    return "same title and first author" if is_one and not is_generic_title(one.title) else None


def _numbers(reference: Reference) -> tuple[str, ...]:
    """Return the numbers of a title, which tell parts and years of one series apart."""
    key = title_key(reference.title)
    return tuple(sorted([*re.findall(r"\d+", key), *_ROMAN.findall(key)]))


def _same_numbers(one: Reference, other: Reference) -> bool:
    """Whether two titles have the same numbers, but for those of a subtitle that one of them lacks."""
    if _numbers(one) == _numbers(other):
        return True
    first, second = sorted((title_key(one.title), title_key(other.title)), key=len)
    return _is_cut(first, second)


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one.lower() != other.lower())
