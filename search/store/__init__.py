"""SQLite: the truth of an index."""

from search.store.conditions import CandidateConditions, Condition, Conditions
from search.store.nlm import NlmFileEntry, NlmLedger, NlmState
from search.store.plan import Held, Plan, PlanOutdatedError, make_plan
from search.store.reader import Pmids, StoreReader, TextState, Vectors
from search.store.rows import ArticleRow, Copied, Outside, prepare, unpack
from search.store.saved import SavedFiles, SavedFolder
from search.store.writer import StoreWriter

__all__ = [
    "ArticleRow",
    "CandidateConditions",
    "Condition",
    "Conditions",
    "Copied",
    "NlmFileEntry",
    "NlmLedger",
    "NlmState",
    "Outside",
    "Held",
    "Plan",
    "PlanOutdatedError",
    "Pmids",
    "SavedFiles",
    "SavedFolder",
    "StoreReader",
    "StoreWriter",
    "TextState",
    "Vectors",
    "make_plan",
    "prepare",
    "unpack",
]
