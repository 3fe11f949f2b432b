"""What is known against an article beside its own record: Retraction Watch's list, and that it cites retracted work.

It is added to the article's corrections, so that every output that shows NLM's notices shows it too, in their form.
Nothing of it is stored with the article (`search.article.as_recorded`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from search.article import CITES_RETRACTED, RETRACTED_SINCE, RETRACTION_WATCH, Article, Correction
from search.retrieval.saved_searches import SavedSearch
from search.storage.citation_graph import references_of
from search.storage.store import Store

__all__ = ["newly_retracted", "retracted_among", "with_notices"]

#: NLM's names of what Retraction Watch calls the nature of a notice.
_KINDS = {"Retraction": "RetractionIn", "Expression of concern": "ExpressionOfConcernIn", "Correction": "ErratumIn"}

#: Values that are looked for in one statement.
_AT_ONCE = 500

#: Retracted works that the notice of an article that cites them names.
_NAMED = 5

_COLUMNS = "pmid, doi, nature, day, reasons, notice_pmid, notice_doi"


def with_notices(store: Store, articles: Mapping[int, Article]) -> dict[int, Article]:
    """Return the articles with all that is known against them among their corrections."""
    listed = bool(store.one("SELECT count(*) FROM (SELECT 1 FROM retractions LIMIT 1) AS one"))
    if listed:
        articles = _with_listed(store, articles)
    cited = {pmid: works for pmid, works in references_of(store, list(articles.values())).items() if works}
    retracted = retracted_among(store, {work for works in cited.values() for work in works}, listed=listed)
    found = dict(articles)
    for pmid, works in cited.items():
        if some := [work for work in works if work in retracted or str(work).lower() in retracted]:
            found[pmid] = _with(found[pmid], _cites_retracted(some))
    return found


def retracted_among(store: Store, works: Iterable[int | str], *, listed: bool = True) -> set[int | str]:
    """Return which works are retracted, by their record in the index or by Retraction Watch's list.

    Works are PMIDs and DOIs; DOIs come back in small letters.
    """
    pmids = sorted({work for work in works if isinstance(work, int)})
    dois = sorted({work.lower() for work in works if isinstance(work, str)})
    rows = store.rows(f"SELECT pmid FROM articles WHERE retracted AND pmid {store.AMONG}", [store.listed(pmids)])
    found: set[int | str] = {pmid for (pmid,) in rows}
    if listed:
        for pmid, doi, nature, *_ in _entries(store, pmids, dois):
            if nature == "Retraction":
                found |= {pmid, doi} & {*pmids, *dois}
    return found


def newly_retracted(article: Article, saved: SavedSearch) -> Article:
    """Return an article with the notice that it was retracted since a saved search found it."""
    run = next(run for run in saved.runs if article.pmid in run.pmids)
    told = f"not retracted when the saved search {saved.name} found it, {run.time[:10]}"
    return _with(article, Correction(RETRACTED_SINCE, told))


def _with_listed(store: Store, articles: Mapping[int, Article]) -> dict[int, Article]:
    """Return the articles with what Retraction Watch says of them, found by PMID and then by DOI."""
    dois = {(article.doi or "").lower(): pmid for pmid, article in articles.items() if article.doi}
    entries = defaultdict(list)
    for entry in _entries(store, list(articles), list(dois)):
        pmid = entry[0] if entry[0] in articles else dois.get(entry[1])
        if pmid is not None and entry[2] in _KINDS:
            entries[pmid].append(entry)
    found = dict(articles)
    for pmid, some in entries.items():
        for entry in sorted(some, key=lambda entry: entry[3]):
            found[pmid] = _with_entry(found[pmid], entry)
    return found


def _entries(store: Store, pmids: Sequence[int], dois: Sequence[str]) -> list[Any]:
    # Negative are those that the list gives only the DOI of.
    listed = store.listed(sign * pmid for pmid in pmids for sign in (1, -1))
    rows = list(store.rows(f"SELECT {_COLUMNS} FROM retractions WHERE pmid {store.AMONG}", [listed]))
    for start in range(0, len(dois), _AT_ONCE):
        some = dois[start : start + _AT_ONCE]
        marks = ", ".join("?" for _ in some)
        rows += store.rows(f"SELECT {_COLUMNS} FROM retractions WHERE doi IN ({marks})", list(some))
    return list(dict.fromkeys((abs(pmid), *rest) for pmid, *rest in rows))


def _with_entry(article: Article, entry: Any) -> Article:
    """Return an article with an entry of the list: its reasons at NLM's own notice, or a notice of its own."""
    _, _, nature, day, reasons, notice_pmid, notice_doi = entry
    kind, when = _KINDS[nature], _written(day)
    told = ": ".join(filter(None, (f"{RETRACTION_WATCH}{f', {when}' if when else ''}", reasons)))
    for place, known in enumerate(article.corrections):
        if known.kind == kind and not (notice_pmid and known.pmid and known.pmid != notice_pmid):
            note = "; ".join(filter(None, (known.note, told)))
            corrections = list(article.corrections)
            corrections[place] = msgspec.structs.replace(known, note=note)
            return msgspec.structs.replace(article, corrections=tuple(corrections))
    citation = f"{told}{f'. doi: {notice_doi}' if notice_doi else ''}"
    return _with(article, Correction(kind, citation, notice_pmid or None))


def _cites_retracted(works: Sequence[int | str]) -> Correction:
    names = [f"PMID {work}" if isinstance(work, int) else f"doi: {work}" for work in works[:_NAMED]]
    more = f" and {len(works) - _NAMED} more" if len(works) > _NAMED else ""
    first = works[0]
    return Correction(CITES_RETRACTED, f"{', '.join(names)}{more}", first if isinstance(first, int) else None)


def _with(article: Article, correction: Correction) -> Article:
    return msgspec.structs.replace(article, corrections=(*article.corrections, correction))


def _written(day: int) -> str:
    """Return 20240301 as `2024-03-01`; empty for none."""
    return f"{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}" if day else ""
