"""Bringing an index to NLM's state: fetch, check and apply new files, and record what was applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing

import msgspec

from search.errors import IndexFolderError
from search.formats.open import open_source
from search.ingest.pipeline import Encodes, IngestReport, Pipeline
from search.ingest.run_progress import Progress
from search.pubmed.nlm_files import NlmFile, Origin, fetch_ahead
from search.pubmed.subset import Part, chosen_part
from search.pubmed.sync_plan import SyncPlan, make_plan
from search.retrieval.mesh_tree import MeshTree
from search.storage.backend import Writer
from search.storage.nlm_ledger import NlmFileEntry, NlmLedger

__all__ = ["SyncReport", "synchronize"]

# A new year's baseline removes few articles. Above this share, or this number, the command asks first.
_REMOVED_SHARE = 0.02
_REMOVED_AT_LEAST = 10
# Files that turn up while others are applied are applied too; a server whose list never settles is left for next time.
_ROUNDS = 10


class SyncReport(msgspec.Struct):
    """What a sync did: the files it applied, what became of their records, and articles a new baseline took away."""

    part: str
    applied: list[NlmFileEntry] = []
    ingest: IngestReport = msgspec.field(default_factory=IngestReport)
    removed: int = 0
    notes: list[str] = []


def synchronize(
    writer: Writer,
    encoder: Encodes | None,
    origin: Origin,
    *,
    part: Part | None = None,
    change_part: bool = False,
    accept_removals: bool = False,
    mesh_tree: MeshTree | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Apply the NLM files that an index does not have yet, in order.

    `part` is what to keep of PubMed; it is remembered, and None stands for the remembered one. With `mesh_tree` its
    descriptors stand for those below them too. Every batch is committed, and a file is in the ledger once it was
    applied completely, so a run that was stopped resumes there. Raises IndexFolderError if another part is kept and
    `change_part` is not set, or if a new baseline would remove very many articles and `accept_removals` is not set;
    SourceError if a file cannot be downloaded or read. What was applied before stays.
    """
    ledger = writer.ledger
    chosen = chosen_part(ledger.part(), part, nothing_applied=not ledger.files(), change=change_part)
    ledger.set_part(chosen.to_json(), everything=chosen.is_everything)
    report = SyncReport(str(chosen))
    chooser = chosen.chooser(mesh_tree.below if mesh_tree is not None else None)
    with Pipeline(writer, encoder, part=chooser, progress=progress) as pipeline:
        report.ingest = pipeline.report
        for _ in range(_ROUNDS):
            plan = make_plan(origin, ledger, chosen)
            report.notes = plan.notes
            for file in plan.restamped:
                ledger.set_stamp(file.sequence, file.stamp)
            if not plan.files:
                break
            # Before anything is applied: what must be read again must be so after a crash too.
            ledger.forget_files(plan.replays)
            _apply(plan, pipeline, ledger, origin, report)
    _remove_replaced(ledger, report, accept=accept_removals)
    report.ingest.merged |= writer.merge_if_due(last=True)
    return report


def _apply(plan: SyncPlan, pipeline: Pipeline, ledger: NlmLedger, origin: Origin, report: SyncReport) -> None:
    total = max(sum(file.size for file in plan.files), 1)
    before = 0
    # Closed at once when something fails, or downloads would go on.
    with closing(fetch_ahead(origin, plan.files)) as fetched:
        for file, path, md5 in fetched:
            started = time.monotonic()
            source = open_source(str(path))
            share = before / total, file.size / total
            applied = pipeline.add(source, file.name, sequence=file.sequence, share=share)
            report.applied.append(_entry(file, md5, applied, time.monotonic() - started))
            ledger.record(report.applied[-1])
            origin.release(path)
            before += file.size


def _entry(file: NlmFile, md5: str, applied: IngestReport, seconds: float) -> NlmFileEntry:
    counts = applied.counts
    records = applied.read - applied.deletions - counts["rejected"]
    return NlmFileEntry(
        sequence=file.sequence,
        name=file.name,
        baseline=file.baseline,
        md5=md5,
        stamp=file.stamp,
        records=records,
        deletions=applied.deletions,
        rejected=counts["rejected"],
        kept=records - counts["outside the part"] - counts["left the part"],
        encoded=applied.encoded,
        bytes=file.size,
        seconds=round(seconds, 3),
    )


def _remove_replaced(ledger: NlmLedger, report: SyncReport, *, accept: bool) -> None:
    """Delete what was in NLM's files of earlier years and is no longer in the new baseline, once that is whole."""
    entries = ledger.files().values()
    year = max((entry.sequence // 100_000 for entry in entries if entry.baseline), default=0)
    if year <= ledger.baseline():
        return
    older = ledger.count_older(year * 100_000)
    if not _is_whole(entries, year):
        if older:
            report.notes.append(
                f"the baseline of 20{year} is not complete here; articles it does not hold are removed once it is"
            )
        return
    limit = max(_REMOVED_AT_LEAST, _REMOVED_SHARE * ledger.count_of_nlm())
    if older > limit and not accept:
        raise IndexFolderError(
            f"the baseline of 20{year} was applied, and {older:,} articles of this index are not in it any more, which "
            "is more than NLM removes in a year; if the baseline is complete (`baseline` holds all its files), use "
            "--accept-removals"
        )
    report.removed = ledger.remove_older(year)


def _is_whole(entries: Iterable[NlmFileEntry], year: int) -> bool:
    """Whether a baseline is numbered from 1 without a gap, and up to the first update file if there is one."""
    numbers: dict[bool, list[int]] = {True: [], False: []}
    for entry in entries:
        if entry.sequence // 100_000 == year:
            numbers[entry.baseline].append(entry.sequence % 100_000)
    baseline = sorted(numbers[True])
    if baseline != list(range(1, len(baseline) + 1)):
        return False
    return not numbers[False] or min(numbers[False]) <= len(baseline) + 1
