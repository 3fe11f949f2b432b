"""What a batch of records will do to a store, decided from what it holds: the rules are the same for every store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from search.article import Deletion
from search.storage.rows import ArticleRow, Outside

if TYPE_CHECKING:
    from search.storage.store import Store

__all__ = ["LEFT_PART", "Held", "Plan", "PlanOutdatedError", "make_plan"]


#: The sequence in the tombstone of an article that left the part of PubMed that is kept.
LEFT_PART = -1

#: What the year of a file counts in `sequence`.
_YEAR = 100_000


class PlanOutdatedError(Exception):
    """Another writer has changed what a plan was made from: make it again. No user ever sees this."""


class Held(msgspec.Struct, frozen=True):
    """What decides whether a newcomer replaces an article that the store has."""

    version: int
    revised: int
    sequence: int
    added: int
    added_change: int
    record_hash: bytes
    text_hash: bytes


class Plan(msgspec.Struct):
    """What a batch of records will do to the store, decided before anything is encoded or written."""

    rows: dict[int, ArticleRow] = {}
    deletions: set[int] = set()
    confirmed: set[int] = set()
    #: Articles that are new and belong to the part that is kept, and articles that no longer belong to it.
    joined: set[int] = set()
    left: set[int] = set()
    #: Articles that were added by hand: they stay, whatever part is kept.
    by_hand: set[int] = set()
    #: Articles that a later file of NLM's holds than the one that the newest revision is from.
    seen_later: dict[int, int] = {}
    #: When articles that are there were first added: the day (yyyymmdd) and the change.
    first: dict[int, tuple[int, int]] = {}
    #: Articles to write that have a tombstone.
    restored: set[int] = set()
    to_encode: list[ArticleRow] = []
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    sequence: int = 0
    #: The last change when the plan was made, where others may write before it is applied.
    basis: int | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.rows or self.deletions or self.confirmed or self.left or self.by_hand or self.seen_later)


def make_plan(
    store: Store,
    records: Iterable[ArticleRow | Outside | Deletion],
    *,
    sequence: int | None = None,
    restore: bool = False,
    part: bool = False,
) -> Plan:
    """Decide what a batch of records does to a store; `WritableStore.plan` has the rules."""
    batch = list(records)
    pmids = {_pmid_of(record) for record in batch}
    held = store.held(pmids)
    buried = store.tombstones(pmids)
    plan = Plan(sequence=sequence or 0)
    plan.first = {pmid: (known.added, known.added_change) for pmid, known in held.items()}
    of_part = store.part_articles(pmids) if part else set()
    damaged = store.damaged_among(pmids & held.keys()) if restore else set[int]()
    # Any new record is better than a damaged one.
    held |= {pmid: msgspec.structs.replace(held[pmid], version=-1, record_hash=b"") for pmid in damaged}
    for record in batch:
        if isinstance(record, Deletion):
            _plan_deletion(plan, record, held, buried)
        elif isinstance(record, Outside) and (record.row.pmid not in held or record.row.pmid in of_part):
            _plan_outside(plan, record.row, held)
        else:
            row = record.row if isinstance(record, Outside) else record
            if part and row.pmid not in held:
                plan.joined.add(row.pmid)
                of_part.add(row.pmid)
            _plan_article(plan, row, held, buried, restore)
    if not plan.sequence:
        plan.by_hand = store.part_articles(pmids & held.keys())
    plan.restored = buried.keys() & plan.rows.keys()
    # What is encoded already is left out: a revision that did not touch the text keeps its vector.
    encoded = store.vector_hashes(plan.rows)
    plan.to_encode = [row for pmid, row in plan.rows.items() if pmid in damaged or encoded.get(pmid) != row.text_hash]
    return plan


def _plan_outside(plan: Plan, row: ArticleRow, held: dict[int, Held]) -> None:
    """Remove an article that a later revision takes out of the part that is kept."""
    known = held.get(row.pmid)
    if known is None:
        plan.counts["outside the part"] += 1
        return
    newcomer = Held(row.version, row.revised, plan.sequence, 0, 0, row.record_hash, row.text_hash)
    if row.record_hash != known.record_hash and not _supersedes(newcomer, known):
        plan.counts["older than what is held"] += 1
        return
    plan.rows.pop(row.pmid, None)
    plan.confirmed.discard(row.pmid)
    plan.left.add(row.pmid)
    held.pop(row.pmid)
    plan.counts["left the part"] += 1


def _plan_deletion(plan: Plan, deletion: Deletion, held: dict[int, Held], buried: dict[int, int]) -> None:
    pmid = deletion.pmid
    known = held.get(pmid)
    if known and deletion.version is not None and known.version > deletion.version:
        plan.counts["deletions of an older version"] += 1
        return
    if known is None and pmid in buried and (buried[pmid] == 0 or buried[pmid] >= plan.sequence):
        plan.counts["deleted earlier"] += 1
        return
    if known and plan.sequence and known.sequence > plan.sequence:
        plan.counts["deletions older than the article"] += 1
        return
    plan.rows.pop(pmid, None)
    plan.confirmed.discard(pmid)
    plan.deletions.add(pmid)
    plan.counts["deleted" if known else "deleted before they came"] += 1
    held.pop(pmid, None)


def _plan_article(plan: Plan, row: ArticleRow, held: dict[int, Held], buried: dict[int, int], restore: bool) -> None:
    if row.pmid in plan.deletions or (row.pmid in buried and row.pmid not in held):
        deleted_by = plan.sequence if row.pmid in plan.deletions else buried[row.pmid]
        if not (restore or (deleted_by and plan.sequence > deleted_by)):
            plan.counts["deleted earlier"] += 1
            return
        plan.deletions.discard(row.pmid)
    known = held.get(row.pmid)
    newcomer = Held(row.version, row.revised, plan.sequence, 0, 0, row.record_hash, row.text_hash)
    if known is None:
        plan.counts["added"] += 1
    elif row.record_hash == known.record_hash:
        plan.counts["unchanged"] += 1
        if plan.sequence > known.sequence:
            plan.confirmed.add(row.pmid)
        return
    elif not _supersedes(newcomer, known):
        plan.counts["older than what is held"] += 1
        if plan.sequence > known.sequence > 0:
            plan.seen_later[row.pmid] = plan.sequence
        return
    else:
        plan.counts["replaced"] += 1
        if 0 < plan.sequence < known.sequence:
            plan.seen_later[row.pmid] = known.sequence
    plan.left.discard(row.pmid)
    plan.rows[row.pmid] = row
    held[row.pmid] = newcomer


def _pmid_of(record: ArticleRow | Outside | Deletion) -> int:
    return record.row.pmid if isinstance(record, Outside) else record.pmid


def _supersedes(newcomer: Held, known: Held) -> bool:
    """Whether an article replaces the one of its PMID that is held."""
    if newcomer.version != known.version:
        return newcomer.version > known.version
    both = newcomer.sequence > 0 and known.sequence > 0
    if both and newcomer.sequence // _YEAR == known.sequence // _YEAR:
        # Which of NLM's files is the later one is decided by their numbers and not by the days of revision.
        return newcomer.sequence >= known.sequence
    if newcomer.revised != known.revised:
        # The last updates of a year may be later than the baseline of the next.
        return newcomer.revised > known.revised
    return not both or newcomer.sequence >= known.sequence
