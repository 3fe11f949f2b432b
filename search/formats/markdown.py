"""Markdown: a numbered list to read, with links to PubMed and to the DOI."""

from __future__ import annotations

import re
import textwrap
from urllib.parse import quote

from search.article import AbstractSection, Article, Author
from search.formats.citation_fields import Mark, clean, journal_name, marks

__all__ = ["render"]

_PUNCTUATION = re.compile(r"[\\`*_\[\]<>~$&|]")
_BLOCK_START = re.compile(r"([-+#=]|\d+[.)])")
_SHOWN_AUTHORS = 6


def render(article: Article, number: int = 1) -> str:
    """Return the article as one item of a numbered list: marks, title, authors, journal, identifiers, abstract."""
    title = escape(article.title or (article.book.title if article.book is not None else "")) or "No title"
    head = [*(_mark(mark) for mark in marks(article)), f"[{title}]({article.url})"]
    facts = [_authors(article.authors), _reference(article), _identifiers(article)]
    marker = f"{number}. "
    lines = [" ".join(head), *(fact for fact in facts if fact)]
    paragraphs = ["\\\n".join(lines), *(_section(section) for section in article.abstract if section.text)]
    # What belongs to an item of a list is indented as far as its first line.
    return marker + textwrap.indent("\n\n".join(paragraphs), " " * len(marker)).lstrip() + "\n\n"


def escape(text: str | None) -> str:
    """Return the text on one line with Markdown's punctuation escaped."""
    return _PUNCTUATION.sub(r"\\\g<0>", clean(text))


def _section(section: AbstractSection) -> str:
    """Return a section as a paragraph that cannot be taken for a list, a heading or a rule."""
    escaped = escape(section.text)
    if section.label:
        return f"**{escape(section.label)}:** {escaped}"
    match = _BLOCK_START.match(escaped)
    return f"{escaped[: match.end() - 1]}\\{escaped[match.end() - 1 :]}" if match else escaped


def _mark(mark: Mark) -> str:
    link = f" [PMID {mark.pmid}](https://pubmed.ncbi.nlm.nih.gov/{mark.pmid}/)" if mark.pmid is not None else ""
    return f"**{escape(mark.text)}**{link}"


def _authors(authors: tuple[Author, ...]) -> str:
    names = [escape(str(author)) for author in authors[:_SHOWN_AUTHORS]]
    return ", ".join(names + ["et al."] * (len(authors) > _SHOWN_AUTHORS))


def _reference(article: Article) -> str:
    journal = clean(journal_name(article.journal) or (article.book.title if article.book is not None else ""))
    date = str(article.publication_date) or str(article.year or "")
    volume = (article.volume or "") + (f"({article.issue})" if article.issue else "")
    reference = date + (f";{volume}" if volume else "") + (f":{article.pages}" if article.pages else "")
    return " ".join(part for part in (f"*{escape(journal)}*." if journal else "", escape(reference)) if part)


def _identifiers(article: Article) -> str:
    parts = [f"PMID {article.pmid}"]
    doi = clean(article.doi)
    if doi:
        parts.append(f"[doi:{escape(doi)}](https://doi.org/{quote(doi, safe='/:;.,-_')})")
    pmcid = clean(article.pmcid)
    if pmcid:
        parts.append(f"[{escape(pmcid)}](https://pmc.ncbi.nlm.nih.gov/articles/{quote(pmcid)}/)")
    return " · ".join(parts)
