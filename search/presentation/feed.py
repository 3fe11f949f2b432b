"""The Atom feed of a saved search: what each run found that was new, and what was retracted since."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.sax.saxutils import escape, quoteattr

from search.article import Article
from search.normalize import clean
from search.presentation.citation import author_names, source
from search.presentation.notices import notice_labels
from search.retrieval.saved_searches import Run, SavedSearch

__all__ = ["atom_feed"]

#: Entries of a feed: those of the last runs.
_ENTRIES = 100


def atom_feed(saved: SavedSearch, articles_of: Callable[[Iterable[int]], dict[int, Article]], address: str) -> str:
    """Return the Atom feed of a saved search: an entry for each article that it found, of the last run first.

    Nothing is searched: the same runs give the same bytes. `address` is where the feed is.
    """
    seen: set[int] = set()
    of_runs: list[list[tuple[Run, int, bool]]] = []
    for run in saved.runs:
        entries = [(run, pmid, True) for pmid in run.newly_retracted]
        of_runs.append([*entries, *((run, pmid, False) for pmid in run.pmids if pmid not in seen)])
        seen.update(run.pmids)
    shown = [entry for entries in reversed(of_runs) for entry in entries][:_ENTRIES]
    articles = articles_of({pmid for _, pmid, _ in shown})
    written = [
        _entry(saved, run, articles[pmid], is_retracted) for run, pmid, is_retracted in shown if pmid in articles
    ]
    updated = saved.runs[-1].time if saved.runs else "1970-01-01T00:00:00Z"
    title = f"{saved.name}: {saved.question or saved.filters.strategy or ''}"
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<id>{escape(address)}</id>\n<title>{_text(title)}</title>\n<updated>{escape(updated)}</updated>\n"
        f'<link rel="self" href={quoteattr(address)}/>\n<author><name>PubMed semantic search</name></author>\n'
        f"{''.join(written)}</feed>\n"
    )


def _entry(saved: SavedSearch, run: Run, article: Article, is_retracted: bool) -> str:
    labels = "; ".join(notice_labels(article)).upper()
    title = article.title or "(no title)"
    if is_retracted:
        title = f"RETRACTED since it was found: {title}"
    elif labels:
        title = f"[{labels}] {title}"
    about = " ".join(filter(None, (f"{author_names(article)}." if article.authors else "", source(article))))
    kind = "retracted" if is_retracted else "found"
    return (
        f"<entry>\n<id>urn:search:{escape(saved.name)}:{kind}:{article.pmid}</id>\n<title>{_text(title)}</title>\n"
        f"<updated>{escape(run.time)}</updated>\n<link href={quoteattr(article.url)}/>\n"
        f"<summary>{_text(about)} {_text(article.abstract_text)}</summary>\n</entry>\n"
    )


def _text(text: str) -> str:
    return escape(clean(text))
