"""Citations as PubMed prints them: where an article appeared, and the whole reference."""

from __future__ import annotations

from search.article import Article, PartialDate
from search.normalize import MONTHS
from search.presentation.notices import notice_labels

__all__ = ["author_names", "citation", "date_text", "issue", "other_date", "reference", "source"]

#: The authors named in a citation before `et al`.
_CITED_AUTHORS = 6


def date_text(date: PartialDate) -> str:
    """Return a date as MEDLINE prints it: `2006 Mar 1`, `2004 Summer`, or the MedlineDate as it stands."""
    if date.medline_date or date.year is None:
        return date.medline_date or ""
    parts = [f"{date.year:04d}"]
    if date.season:
        parts.append(date.season)
    elif date.month:
        parts.append(MONTHS[date.month - 1])
        if date.day:
            parts.append(str(date.day))
    return " ".join(parts)


def author_names(article: Article, most: int = _CITED_AUTHORS) -> str:
    """Return the authors as PubMed prints them, `et al` after the first `most` or where the list is incomplete."""
    names = [str(author) for author in article.authors]
    incomplete = len(names) > most or not article.authors_complete
    return ", ".join([*names[:most], *(["et al"] if names and incomplete else [])])


def issue(article: Article) -> str:
    """Return the issue and the pages: `2006 Jan 10;7(1):123-9`; empty if nothing is known."""
    date = date_text(article.citation_date)
    volume = f"{article.volume or ''}{f'({article.issue})' if article.issue else ''}"
    separator = ";" if date and volume else ""
    return f"{date}{separator}{volume}{f':{article.location}' if article.location else ''}"


def other_date(article: Article) -> str:
    """Return the second date of a citation: `Epub 2003 Dec 23.`, `Print 2021 Feb.`, `eCollection 2020.`."""
    electronic = article.electronic_date
    if electronic is None or not date_text(electronic):
        return ""
    if article.citation_date is not electronic:
        return f"Epub {date_text(electronic)}."
    date, model = date_text(article.publication_date), article.publication_model
    name = {"Electronic-Print": "Print", "Electronic-eCollection": "eCollection"}.get(model or "")
    return f"{name} {date}." if name and date else ""


def source(article: Article) -> str:
    """Return where an article appeared: `BMC Bioinformatics. 2006 Jan 10;7:10.`; empty if nothing is known."""
    return " ".join(f"{part.rstrip('. ')}." for part in (article.journal_abbreviation, issue(article)) if part)


def citation(article: Article) -> str:
    """Return the reference of an article in NLM's style, led by its notices in capitals.

    >>> from search import Article
    >>> citation(Article(pmid=5, title="On zebras."))
    'On zebras. PMID: 5. https://pubmed.ncbi.nlm.nih.gov/5/'
    """
    labels = "; ".join(notice_labels(article)).upper()
    return f"{f'[{labels}] ' if labels else ''}{reference(article)}"


def reference(article: Article) -> str:
    """Return the reference of an article in NLM's style, without its notices."""
    identifiers = [f"doi: {article.doi}"] if article.doi else []
    parts = (author_names(article), article.title, source(article), *identifiers, f"PMID: {article.pmid}")
    return f"{' '.join(_closed(part) for part in parts if part)} {article.url}"


def _closed(part: str) -> str:
    """Return a part of a citation with one mark at its end: a full stop, unless it asks or exclaims."""
    text = part.rstrip(". ")
    return text if text.endswith(("?", "!")) else f"{text}."
