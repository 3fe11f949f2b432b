"""Semantic search over the medical literature.

>>> from search import Index
>>> with Index.open("indexes/demo") as index:
...     hits = index.search("does aspirin lower the risk of bowel cancer?", limit=3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import Index, Status
    from search.article import Article, Deletion
    from search.config import Config, load_config
    from search.errors import SearchError
    from search.retrieval.filters import Filters
    from search.retrieval.hit import Hit, Hits

__all__ = ["Article", "Config", "Deletion", "Filters", "Hit", "Hits", "Index", "SearchError", "Status", "load_config"]

__version__ = "0.1.0"

_HOME = {
    "Article": "search.article",
    "Config": "search.config",
    "Deletion": "search.article",
    "Filters": "search.retrieval.filters",
    "Hit": "search.retrieval.hit",
    "Hits": "search.retrieval.hit",
    "Index": "search.api",
    "SearchError": "search.errors",
    "Status": "search.api",
    "load_config": "search.config",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `search --help` needs none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'search' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
