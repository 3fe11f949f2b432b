"""Markdown: a numbered list to read, with links to PubMed and to the DOI."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from urllib.parse import quote

from search.article import AbstractSection, Article
from search.normalize import clean
from search.presentation.citation import author_names, issue
from search.presentation.notices import Notice, notices_of

__all__ = ["render"]

_PUNCTUATION = re.compile(r"[\\`*_\[\]<>~$&|]")
_BLOCK_START = re.compile(r"([-+#=]|\d+[.)])")


def render(article: Article, number: int = 1, quotes: Sequence[str] = ()) -> str:
    """Return the article as one item of a numbered list: notices, title, authors, journal, identifiers, abstract.

    `quotes` are sentences that stand out above the abstract.
    """
    title = escape(article.title or (article.book.title if article.book is not None else "")) or "No title"
    head = [*(_notice(notice) for notice in notices_of(article)), f"[{title}]({article.url})"]
    facts = [escape(author_names(article)), _source(article), _identifiers(article)]
    marker = f"{number}. "
    lines = [" ".join(head), *(fact for fact in facts if fact)]
    quoted = (f"> {_paragraph(quote)}" for quote in quotes)
    paragraphs = ["\\\n".join(lines), *quoted, *(_section(section) for section in article.abstract if section.text)]
    # What belongs to an item of a list is indented as far as its first line.
    return marker + textwrap.indent("\n\n".join(paragraphs), " " * len(marker)).lstrip() + "\n\n"


def escape(text: str | None) -> str:
    """Return the text on one line with Markdown's punctuation escaped."""
    return _PUNCTUATION.sub(r"\\\g<0>", clean(text))


def _section(section: AbstractSection) -> str:
    """Return a section as a paragraph."""
    if section.label:
        return f"**{escape(section.label)}:** {escape(section.text)}"
    return _paragraph(section.text)


def _paragraph(text: str) -> str:
    """Return a text as a paragraph that cannot be taken for a list, a heading or a rule."""
    escaped = escape(text)
    match = _BLOCK_START.match(escaped)
    return f"{escaped[: match.end() - 1]}\\{escaped[match.end() - 1 :]}" if match else escaped


def _notice(notice: Notice) -> str:
    url = f"https://pubmed.ncbi.nlm.nih.gov/{notice.pmid}/"
    link = f" [PMID {notice.pmid}]({url})" if notice.pmid is not None else ""
    return f"**{escape(str(notice._replace(pmid=None)))}**{link}"


def _source(article: Article) -> str:
    journal = escape(article.journal_name)
    return " ".join(part for part in (f"*{journal}*." if journal else "", escape(issue(article))) if part)


def _identifiers(article: Article) -> str:
    parts = [f"PMID {article.pmid}"]
    doi = clean(article.doi)
    if doi:
        parts.append(f"[doi:{escape(doi)}](https://doi.org/{quote(doi, safe='/:;.,-_')})")
    pmcid = clean(article.pmcid)
    if pmcid:
        parts.append(f"[{escape(pmcid)}](https://pmc.ncbi.nlm.nih.gov/articles/{quote(pmcid)}/)")
    return " · ".join(parts)
