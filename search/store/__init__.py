"""SQLite: the truth of an index."""

from search.store.nlm import NlmFileEntry, NlmLedger, NlmState
from search.store.reader import Pmids, StoreReader, Vectors
from search.store.rows import ArticleRow, Outside, prepare, unpack
from search.store.writer import Plan, StoreWriter

__all__ = [
    "ArticleRow",
    "NlmFileEntry",
    "NlmLedger",
    "NlmState",
    "Outside",
    "Plan",
    "Pmids",
    "StoreReader",
    "StoreWriter",
    "Vectors",
    "prepare",
    "unpack",
]
