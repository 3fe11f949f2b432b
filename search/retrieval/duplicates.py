"""Folding hits that are one and the same article: the same DOI, or the same title and year.

Folding hides, so it errs towards showing: titles that many articles share (`Editorial`, `Reply`), notices beside the
articles they are about, linked versions, articles by others or on other pages of one journal, and records of which
only one is retracted are never folded together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from search.article import Article
from search.normalize import GREEK_NAMES, journal_keys, normalise_doi

__all__ = ["Group", "fold", "family_key", "first_page", "is_generic_title", "notice_lead", "title_key"]

#: Publication types of records that are about another article, beside notices.
_COMMENT_TYPES = frozenset(
    {
        "Comment",
        "Corrected and Republished Article",
        "Duplicate Publication",
        "Editorial",
        "Letter",
    }
)
#: What the title of a notice or a reply begins with.
_LEAD = re.compile(
    r"(?:publisher |author |authors )?(?:retraction|retracted and republished|erratum|errata|corrigendum|corrigenda|"
    r"correction|addendum|expression of concern|withdrawal|reply|response|comment|commentary|letter|authors? reply)\b"
    r"(?: note| notice)?(?: to| on| for| of)? ?"
)
#: What publishers put before the title of a retracted article, and brackets around a translated one.
_MARKED = re.compile(r"\s*(?:retracted|withdrawn)(?: article| paper)?\s*[:.]\s*(?=\S)", re.IGNORECASE)
_BRACKETS = re.compile(r"^\s*\[(.*)\]\.?\s*$", re.DOTALL)

# Words that alone make no title: "Letter to the editor", "Authors' reply", "In this issue", "Book reviews".
_GENERIC_WORDS_TEXT = """
    a about abstract abstracts acknowledgement acknowledgements acknowledgment acknowledgments advertisement an and
    announcement announcements annual answer answers article articles at author authors board book books brief
    briefs by calendar case cases chief clinical comment commentary comments conference contents correction
    corrections correspondence corrigendum cover editor editorial editorials editors errata erratum events faculty
    focus for foreword from guest highlights image images in index international introduction invited issue issues
    journal journals letter letters literature list meeting meetings member members memoriam message miscellaneous
    news note notes notice notices obituary of on opinion our overview paper papers perspective perspectives poster
    posters preface president presidents proceedings profile program question questions quiz reader readers re
    references reflections regarding reply report reports research response responses review reviewer reviewers
    reviews s section selected series session special subject summary supplement symposium table thank thanks that
    the this to update us view viewpoint we what welcome with word you your
"""
_GENERIC_WORDS = frozenset(_GENERIC_WORDS_TEXT.split())
#: Fewer words than this do not tell one article of a year from another: `Diabetes mellitus.`, `Asthma in children.`
_FEWEST_WORDS = 4


class Group(msgspec.Struct, frozen=True):
    """Hits that are one article: the one shown, and those folded into it with the reason for each."""

    shown: Article
    folded: tuple[tuple[Article, str], ...] = ()

    @property
    def articles(self) -> tuple[Article, ...]:
        """All articles of the group, the one shown first."""
        return (self.shown, *(article for article, _ in self.folded))


def fold(articles: Iterable[Article]) -> list[Group]:
    """Return the ranked articles as groups in the same order; each group shows its best-ranked article.

    An article joins the best-ranked group that it duplicates a member of, unless something keeps it from any member.
    The reason is `same DOI` or `same title and year`.
    """
    groups: list[list[tuple[Article, str]]] = []
    by_key: dict[tuple[str, str], list[int]] = {}
    for article in articles:
        keys = list(_keys(article))
        joined = _find_group(article, keys, groups, by_key)
        if joined is None:
            joined = len(groups), ""
            groups.append([])
        number, reason = joined
        groups[number].append((article, reason))
        for key in keys:
            numbers = by_key.setdefault(key, [])
            if number not in numbers:
                numbers.append(number)
    return [Group(members[0][0], tuple(members[1:])) for members in groups]


def _find_group(
    article: Article,
    keys: list[tuple[str, str]],
    groups: list[list[tuple[Article, str]]],
    by_key: dict[tuple[str, str], list[int]],
) -> tuple[int, str] | None:
    candidates = sorted((number, order) for order, key in enumerate(keys) for number in by_key.get(key, ()))
    for number, order in candidates:
        if all(_may_fold(article, member) for member, _ in groups[number]):
            return number, keys[order][0]
    return None


def _keys(article: Article) -> Iterator[tuple[str, str]]:
    """Yield what duplicates share, with the reason first."""
    doi = (normalise_doi(article.doi) or "").casefold()
    if doi:
        yield "same DOI", doi
    title = title_key(article.title)
    if article.year is not None and not is_generic_title(title):
        yield "same title and year", f"{article.year} {title}"


def _may_fold(one: Article, other: Article) -> bool:
    if _is_notice(one) != _is_notice(other) or one.is_retracted != other.is_retracted or _linked(one, other):
        return False
    if journal_keys(one) & journal_keys(other) and _apart(one, other):
        return False
    first, second = _first_author(one), _first_author(other)
    return not first or not second or first == second


def _is_notice(article: Article) -> bool:
    return (
        article.is_notice
        or any(kind.name in _COMMENT_TYPES for kind in article.publication_types)
        or notice_lead(article.title) != ""
    )


def _linked(one: Article, other: Article) -> bool:
    """Whether one record names the other as its correction, comment, update or the like: then they are two."""
    return any(correction.pmid == other.pmid for correction in one.corrections) or any(
        correction.pmid == one.pmid for correction in other.corrections
    )


def _apart(one: Article, other: Article) -> bool:
    """Whether two of one journal have different DOIs or begin on different pages, as the instalments of a column do."""
    first, second = ((normalise_doi(article.doi) or "").casefold() for article in (one, other))
    if first and second:
        return first != second
    start, other_start = first_page(one.location), first_page(other.location)
    return bool(start and other_start and start != other_start)


def _first_author(article: Article) -> str:
    if not article.authors:
        return ""
    first = article.authors[0]
    return family_key(first.last_name or first.collective_name or "")


def is_generic_title(title: str) -> bool:
    """Whether a title is one that many articles may have: few words, or none that tells what it is about."""
    words = title_key(title).split()
    return len(words) < _FEWEST_WORDS or all(word in _GENERIC_WORDS or word.isdigit() for word in words)


@lru_cache(maxsize=100_000)
def title_key(title: str) -> str:
    """Return a title as titles are compared: words without case, accents and signs, Greek letters spelled.

    >>> title_key("RETRACTED: [Effects of TNF-\u03b1.]")
    'effects of tnf alpha'
    """
    text = title[marked.end() :] if (marked := _MARKED.match(title)) else title
    inner = _BRACKETS.match(text)
    spelled = (inner[1] if inner else text).casefold().translate(GREEK_NAMES)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[\W_]+", " ", plain).split())


@lru_cache(maxsize=100_000)
def family_key(name: str) -> str:
    """Return a family name as it is compared: letters only, without case and accents."""
    return title_key(name).replace(" ", "")


@lru_cache(maxsize=100_000)
def notice_lead(title: str) -> str:
    """Return the words that make a title that of a notice or a reply; empty for any other.

    >>> notice_lead("Erratum: reply to On zebras"), notice_lead("On zebras")
    ('erratum reply to', '')
    """
    lead, rest = [], title_key(title)
    while found := _LEAD.match(rest):
        lead.append(found[0].strip())
        rest = rest[found.end() :]
    return " ".join(lead)


def first_page(pages: str) -> str:
    """Return the page that pages begin on, in small letters: `e12` of `E12-15`, `iv` of `iv-x`; empty for none."""
    found = re.search(r"[a-z]*\d+|\b[ivxlc]+\b", pages.lower())
    return found[0] if found else ""
