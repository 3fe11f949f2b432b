"""Holding PubMed, or a part of it, and keeping it as NLM has it."""

from search.sync.origin import nlm_origin, preview
from search.sync.part import Part, chosen_part, make_part
from search.sync.plan import SyncPlan, make_plan
from search.sync.query import add_query
from search.sync.run import SyncReport, synchronize

__all__ = [
    "Part",
    "SyncPlan",
    "SyncReport",
    "add_query",
    "chosen_part",
    "make_part",
    "make_plan",
    "nlm_origin",
    "preview",
    "synchronize",
]
