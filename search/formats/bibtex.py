r"""BibTeX, in UTF-8, for LaTeX (BibTeX and biber alike) and for reference managers.

Letters stay as they are; only what TeX reads as a command is escaped. Braces are the one thing that BibTeX counts even
behind a backslash, so where they do not pair in a value they are written as symbols, and no title can break the file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from search.article import Article, Author
from search.formats.citation_fields import (
    abstract_line,
    bare_title,
    expand_pages,
    given_name,
    keyword_term,
    mesh_term,
    season_or_months,
)
from search.normalize import MONTHS, clean
from search.presentation.notices import notices_of

__all__ = ["citation_key", "escape", "render"]

_ESCAPES = {
    "\\": r"{\textbackslash}",
    "~": r"{\textasciitilde}",
    "^": r"{\textasciicircum}",
    **{character: "\\" + character for character in "$&#%_{}"},
}
_UNPAIRED = {"{": r"{\ensuremath{\lbrace}}", "}": r"{\ensuremath{\rbrace}}"}
#: Pairs that TeX sets as one character: dashes, curly quotes, inverted marks.
_LIGATURE = re.compile(r"-(?=-)|`(?=`)|'(?=')|[?!](?=`)")
_SPECIAL = re.compile(r"[\\~^$&#%_{}]")
#: What BibTeX cannot read otherwise than as (part of) a name: words without commas, braces or an `and`.
_PLAIN_NAME = re.compile(r"[\w.'’ -]+")


def render(article: Article) -> str:
    """Return the article as one BibTeX entry, ended by a blank line."""
    lines = [f"  {name} = {value}," for name, value in _fields(article) if value.strip("{}")]
    return "\n".join(["@" + _entry_type(article) + "{" + citation_key(article) + ",", *lines, "}", "", ""])


def citation_key(article: Article) -> str:
    """Return a key that is the same in every export and belongs to one PMID: `vanderberg2004pmid123`."""
    first = article.authors[0] if article.authors else Author()
    name = first.collective_name or first.last_name or first.fore_name or ""
    letters = re.sub("[^a-z]", "", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower())
    return f"{letters[:30] or 'anonymous'}{article.year or 'nodate'}pmid{article.pmid}"


def escape(text: str | None) -> str:
    """Return the text on one line with everything that TeX or BibTeX would not print as it stands escaped."""
    line = clean(text)
    table = _ESCAPES if "{" not in line and "}" not in line or _pairs(line) else {**_ESCAPES, **_UNPAIRED}
    return _LIGATURE.sub(r"\g<0>{}", _SPECIAL.sub(lambda match: table[match[0]], line))


def _pairs(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _entry_type(article: Article) -> str:
    if article.book is not None:
        return "incollection" if clean(article.title) not in ("", clean(article.book.title)) else "book"
    return "article" if clean(article.journal.name) else "misc"


def _fields(article: Article) -> Iterator[tuple[str, str]]:
    yield "author", _names(article.authors, complete=article.authors_complete)
    # A second pair of braces keeps the capitals: PubMed's titles are already in sentence case.
    title = article.title or (article.book.title if article.book is not None else "")
    yield "title", _group(_braced(bare_title(title)))
    yield "origtitle", _braced(article.vernacular_title)
    yield from _where(article)
    yield from _when(article)
    yield "doi", _verbatim(article.doi)
    yield "pmid", _group(str(article.pmid))
    yield "pmcid", _verbatim(article.pmcid)
    yield "url", _group(article.url)
    yield "language", _braced(", ".join(article.languages))
    yield "abstract", _braced(abstract_line(article))
    terms = [*map(mesh_term, article.mesh_headings), *map(keyword_term, article.keywords)]
    yield "keywords", _list(terms)
    yield "publicationtype", _list(kind.name for kind in article.publication_types)
    # Styles print the note, so that a retraction shows in the bibliography itself.
    yield "note", _braced(" ".join(str(notice) for notice in notices_of(article)))


def _where(article: Article) -> Iterator[tuple[str, str]]:
    journal, book = article.journal, article.book
    if book is None:
        yield "journal", _braced(journal.name)
        yield "shortjournal", _braced(journal.abbreviation)
        issns = dict.fromkeys(issn for issn in (journal.issn, journal.issn_linking) if issn)
        yield "issn", _braced(", ".join(issns))
    else:
        yield "booktitle", _braced(book.title) if _entry_type(article) == "incollection" else ""
        yield "editor", _names(book.editors)
        yield "series", _braced(book.collection)
        yield "publisher", _braced(book.publisher)
        yield "address", _braced(book.place)
        yield "edition", _braced(book.edition)
        yield "isbn", _braced(", ".join(book.isbns))
    yield "volume", _braced(article.volume)
    yield "number", _braced(article.issue)
    pages, expanded = clean(article.location), expand_pages(article.location)
    yield "pages", _group(escape(re.sub("-+", "-", expanded)).replace("-", "--"))
    if pages != expanded:
        yield "medlinepagination", _braced(pages)


def _when(article: Article) -> Iterator[tuple[str, str]]:
    date = article.citation_date
    yield "year", _group(f"{article.year:04d}") if article.year is not None else ""
    if date.month and not date.medline_date:
        # Without braces: bibliography styles define jan to dec and print them in the document's language.
        yield "month", MONTHS[date.month - 1].lower()
        yield "day", _group(str(date.day)) if date.day else ""
    else:
        yield "month", _braced(season_or_months(date))


def _names(authors: Iterable[Author], *, complete: bool = True) -> str:
    names = [name for name in map(_name, authors) if name]
    if names and not complete:
        names.append("others")
    return _group(" and ".join(names))


def _name(author: Author) -> str:
    """Return `van der Berg, Jr, Jan` or, as one unit that BibTeX leaves alone, `{World Health Organization}`."""
    group, last, given, suffix = map(
        clean, (author.collective_name, author.last_name, given_name(author), author.suffix)
    )
    # BibTeX finds the family name of one who has no other by a comma that is not there: such names stay whole.
    if group or not last or (not given and (suffix or " " in last)):
        whole = group or " ".join(part for part in (last or given, suffix) if part)
        return _braced(whole) if whole else ""
    parts = [_last_name(last), _protected(suffix) if suffix else "", _protected(given) if given else ""]
    return ", ".join(part for part in parts if part)


def _last_name(name: str) -> str:
    """Return a family name; BibTeX takes leading lower-case words (`van der`) for the particle, as they should be."""
    lower = [next((letter for letter in word if letter.isalpha()), "").islower() for word in name.split()]
    particles = next((index for index, is_lower in enumerate(lower) if not is_lower), len(lower))
    if any(lower[particles:]):
        # `Silva e Costa`: BibTeX would take everything up to the last lower-case word for the particle.
        return _braced(name)
    return _protected(name)


def _protected(part: str) -> str:
    escaped = escape(part)
    plain = _PLAIN_NAME.fullmatch(part) and escaped == part and not {"and", "others"} & set(part.lower().split())
    return part if plain else _group(escaped)


def _list(values: Iterable[str]) -> str:
    """Return a list with commas between, those with a comma inside in braces, as biber reads lists."""
    texts = [text for text in map(escape, values) if text]
    return _group(", ".join(_group(text) if "," in text else text for text in texts))


def _group(value: str) -> str:
    return "{" + value + "}"


def _braced(text: str | None) -> str:
    return _group(escape(text))


def _verbatim(text: str | None) -> str:
    """Return an identifier as it stands, for DOI and PMCID are read verbatim; braces, spaces and `%` by their codes."""
    return _group(re.sub(r"[{}%\\ ]", lambda match: quote(match[0]), clean(text)))
