"""SQLite: the truth of an index."""

from search.store.reader import Pmids, StoreReader, Vectors
from search.store.rows import ArticleRow, prepare
from search.store.writer import Plan, StoreWriter

__all__ = ["ArticleRow", "Plan", "Pmids", "StoreReader", "StoreWriter", "Vectors", "prepare"]
