"""What the tools answer with: records of articles, names by which results are called again, answers that fit."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
from cachetools import LRUCache

from search.api import Index
from search.article import MAX_PMID, Article
from search.errors import QueryError
from search.presentation.citation import citation
from search.presentation.hit_record import article_record, hit_record
from search.presentation.notices import notice_labels
from search.retrieval.citing import Citations
from search.retrieval.filters import Filters, MeshTerm
from search.retrieval.hit import Hit
from search.retrieval.mesh_tree import load_mesh

__all__ = ["ResultLists", "article_result", "cited_result", "fitting", "hit_result", "mesh_result"]

#: Lists of results that can be called again, the last of all clients together.
_KEPT = 500

#: So many articles a call may name.
MOST_IDS = 200

#: Works that are not in the index of which a model is told.
_OTHERS = 100

_RESULT = re.compile(r"(r[0-9a-f]{6})(?::(\d+)(?:-(\d+))?)?")
_SHOWN = ("pmid", "title", "journal", "year", "publication_types", "design", "sample_size", "url")


class ResultLists:
    """The PMIDs of results by the names that were given to them; safe in several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lists: LRUCache[str, tuple[int, ...]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def keep(self, pmids: Sequence[int]) -> str:
        """Keep results, and return their name: `r1f3a9c`."""
        name = f"r{secrets.token_hex(3)}"
        with self._lock:
            self._lists[name] = tuple(pmids)
        return name

    def pmids(self, ids: Sequence[str]) -> list[int]:
        """Return the PMIDs that ids name, each once. Raises QueryError that says how to name them."""
        found = list(dict.fromkeys(pmid for name in ids for pmid in self._named(name.strip())))
        if not found:
            raise QueryError("name at least one article: ids=['PMID', ...]")
        if len(found) > MOST_IDS:
            raise QueryError(f"{len(found)} articles are too many for one call: name at most {MOST_IDS}")
        return found

    def _named(self, name: str) -> Sequence[int]:
        match = _RESULT.fullmatch(name)
        if match is not None:
            return self._listed(name, match)
        if name.isascii() and name.isdigit() and 1 <= int(name) <= MAX_PMID:
            return [int(name)]
        pmids = self._index.engine.identified(name)
        if pmids is None:
            raise QueryError(f"{name!r} is not a PMID, DOI, PMCID or result; call `search` to find articles")
        if not pmids:
            raise QueryError(f"{name} is not in this index; call `search` to find what is")
        return pmids

    def _listed(self, name: str, match: re.Match[str]) -> Sequence[int]:
        with self._lock:
            pmids = self._lists.get(match[1])
        if pmids is None:
            raise QueryError(f"{match[1]} is no longer kept: call `search` again, or name PMIDs")
        if match[2] is None:
            return pmids
        first, last = int(match[2]), int(match[3] or match[2])
        if not 1 <= first <= last <= len(pmids):
            raise QueryError(f"{name}: {match[1]} has the results 1 to {len(pmids)}")
        return pmids[first - 1 : last]


def hit_result(hit: Hit) -> dict[str, Any]:
    """Return a hit as a model reads it: what it is, its evidence, how to cite it, warnings."""
    record = hit_record(hit)
    return {
        "rank": hit.rank,
        **{name: getattr(record, name) for name in _SHOWN},
        "score": round(hit.score, 4),
        **({"estimated": True} if hit.estimated else {}),
        "evidence": [f"{part.section}: {part.text}" for part in hit.evidence],
        **_to_cite(hit.article),
    }


def article_result(article: Article) -> dict[str, Any]:
    """Return an article whole, with how to cite it and warnings."""
    return {**msgspec.to_builtins(article_record(article)), **_to_cite(article)}


def _to_cite(article: Article) -> dict[str, Any]:
    return {"retracted": article.is_retracted, "warnings": notice_labels(article), "cite": citation(article)}


def cited_result(found: Citations) -> dict[str, Any]:
    """Return what cites an article, or what it cites, as a model reads it."""
    shown = [
        {"pmid": article.pmid, "title": article.title, "year": article.year, **_to_cite(article)}
        for article in found.articles
    ]
    others = found.others[:_OTHERS]
    return {"pmid": found.pmid, "count": found.count, "in_index": found.in_index, "articles": shown, "others": others}


def fitting(items: list[dict[str, Any]], budget: int) -> list[dict[str, Any]]:
    """Return the first items that have at most so many characters as JSON together; the first in any case."""
    spent = 0
    for count, item in enumerate(items):
        spent += len(msgspec.json.encode(item).decode())
        if spent > budget and count:
            return items[:count]
    return items


def mesh_result(index: Index, name: str) -> dict[str, Any]:
    """Return what is known of a MeSH heading: of NLM's file where it is installed, else of the articles alone.

    Raises QueryError, with the nearest headings, for a name that neither knows.
    """
    tree = load_mesh(index.config.mesh_tree)
    heading = (tree.heading(name) or tree.concept(name)) if tree is not None else None
    if heading is not None and heading.supplementary:
        return {
            "supplementary_concept": heading.name,
            "articles": _count(index, heading.name, "nm"),
            "other_names": list(heading.entry_terms),
            "pharmacological_actions": list(heading.actions),
        }
    if heading is None or tree is None:
        index.engine.check_values(Filters(mesh=(MeshTerm(name),)))
        return {"heading": name, "articles": _count(index, name, "mh")}
    return {
        "heading": heading.name,
        "articles": _count(index, heading.name, "mh"),
        "articles_without_narrower_headings": _count(index, heading.name, "mh:noexp"),
        "entry_terms": list(heading.entry_terms),
        "tree_numbers": list(heading.numbers),
        "pharmacological_actions": list(heading.actions),
        "narrower_headings": tree.below(heading.name),
    }


def _count(index: Index, heading: str, tag: str) -> int:
    return index.strategy(f'"{heading}"[{tag}]').count
