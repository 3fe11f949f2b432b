"""What has to be done to bring an index to NLM's state, and how long that takes."""

from __future__ import annotations

import msgspec

from search.pubmed.nlm_files import NlmFile, Origin
from search.pubmed.subset import Part
from search.storage.nlm_ledger import NlmFileEntry, NlmState

__all__ = ["SyncPlan", "make_plan"]

# Estimates used until an index has its own figures (two cores; docs/syncing.md says how they were measured).
READ_PER_SECOND = 2_100.0
ENCODED_PER_SECOND = 24.0
BYTES_PER_RECORD = 1_250
DISK_PER_ARTICLE = 4_500
_BASELINE_FILE = 30_000
_MEASURED_FROM = 2_000


class SyncPlan(msgspec.Struct, kw_only=True):
    """What a sync will do. `files` are in the order in which they are applied.

    `records` and what follows are estimates: records to read, of which `to_encode` at most have a new text; seconds
    without downloading; bytes the index will take more, and bytes to download.
    """

    origin: str
    part: str
    year: int | None = None
    files: list[NlmFile] = []
    replays: list[int] = []
    restamped: list[NlmFile] = []
    baseline_files: int = 0
    update_files: int = 0
    applied_before: int = 0
    records: int = 0
    to_encode: int = 0
    seconds: float = 0.0
    bytes: int = 0
    disk_bytes: int = 0
    notes: list[str] = []


def make_plan(origin: Origin, state: NlmState, part: Part) -> SyncPlan:
    """List NLM's files and compare them with the ledger of an index. Raises SourceError if there is no list."""
    listed = origin.list_files()
    ledger = state.files() if state.part() in (None, part.to_json()) else {}
    plan = SyncPlan(origin=origin.name, part=str(part), applied_before=len(ledger))
    plan.year = max((entry.year for entry in _baseline(listed, ledger)), default=None)
    current = [file for file in listed if plan.year in (None, file.year)]
    _explain_years(plan, listed)
    for file in current:
        entry = ledger.get(file.sequence)
        if entry is None:
            plan.files.append(file)
        elif entry.stamp != file.stamp:
            # The list says something else of it; only a new MD5 makes it another file.
            (plan.restamped if origin.md5(file) == entry.md5 else plan.files).append(file)
    if not part.is_everything:
        _replay(plan, current, ledger)
    plan.baseline_files = sum(file.baseline for file in plan.files)
    plan.update_files = len(plan.files) - plan.baseline_files
    _estimate(plan, state, ledger, part)
    return plan


def _baseline(listed: list[NlmFile], ledger: dict[int, NlmFileEntry]) -> list[NlmFile]:
    known = [NlmFile(name=entry.name, baseline=True) for entry in ledger.values() if entry.baseline]
    return [file for file in listed if file.baseline] + known


def _explain_years(plan: SyncPlan, listed: list[NlmFile]) -> None:
    """Say why files of other years are passed over."""
    if plan.year is None:
        return
    earlier = sum(file.year < plan.year for file in listed)
    later = sum(file.year > plan.year for file in listed)
    if earlier:
        plan.notes.append(f"the baseline of 20{plan.year} replaces files of earlier years: {earlier} passed over")
    if later:
        plan.notes.append(f"the baseline of a later year is not there yet: {later} update files wait for it")


def _replay(plan: SyncPlan, current: list[NlmFile], ledger: dict[int, NlmFileEntry]) -> None:
    """Read update files again if one that comes before them turns up late.

    The index does not remember what did not belong to its part. So an older file could bring in an article that a
    later one, which was applied already, has taken out of the part.
    """
    late = min((file.sequence for file in plan.files), default=None)
    if late is None:
        return
    planned = {file.sequence for file in plan.files}
    again = [
        file
        for file in current
        if not file.baseline and file.sequence > late and file.sequence in ledger and file.sequence not in planned
    ]
    plan.replays = [file.sequence for file in again]
    plan.files = sorted([*plan.files, *again], key=lambda file: file.sequence)
    if again:
        plan.notes.append(f"a file is new that comes before others: {len(again)} update files are read again")


def _estimate(plan: SyncPlan, state: NlmState, ledger: dict[int, NlmFileEntry], part: Part) -> None:
    """Reckon with this index's own figures as soon as there are any."""
    entries = list(ledger.values())
    records = sum(entry.records + entry.deletions for entry in entries)
    per_record = sum(entry.bytes for entry in entries) / records if records else BYTES_PER_RECORD
    kept = sum(entry.kept for entry in entries) / records if records and not part.is_everything else 1.0
    in_baseline = sum(_records(file, per_record) for file in plan.files if file.baseline)
    in_updates = sum(_records(file, per_record) for file in plan.files if not file.baseline)
    plan.records = in_baseline + in_updates
    # A new year's baseline holds mostly articles that are here already, whose text is not encoded again.
    held = state.count_of_nlm() if in_baseline else 0
    plan.to_encode = int(max(0.0, in_baseline * kept - held) + in_updates * kept)
    encoded, seconds = sum(entry.encoded for entry in entries), sum(entry.seconds for entry in entries)
    rate = encoded / seconds if encoded >= _MEASURED_FROM else ENCODED_PER_SECOND
    plan.seconds = plan.records / READ_PER_SECOND + plan.to_encode / rate
    plan.bytes = sum(file.size for file in plan.files)
    plan.disk_bytes = plan.to_encode * DISK_PER_ARTICLE


def _records(file: NlmFile, per_record: float) -> int:
    guess = int(file.size / per_record) if file.size else _BASELINE_FILE
    return max(1, min(guess, _BASELINE_FILE) if file.baseline else guess)
