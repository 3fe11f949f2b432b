"""Add records to an index: read sources, keep the newest version, encode new texts, commit batch by batch.

An article and its vector are committed together, so what was committed is found at once, and a run that was stopped
resumes where it was: what is there already is neither written nor encoded again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from search.article import Article, Deletion, embedding_text, model_inputs, text_hash
from search.errors import InvalidRecordError, SourceError
from search.formats.base import LeftOut, Record, Rejection
from search.formats.byte_stream import file_digest
from search.formats.open import expand_paths, open_source
from search.ingest.prepare import NotOfPart, Prepared, Preparer
from search.ingest.run_progress import Progress
from search.ingest.static_models import fit_if_due
from search.models import Kind
from search.models.tokens import Text
from search.storage.backend import Writer
from search.storage.plan import Plan, PlanOutdatedError
from search.storage.rows import ArticleRow, Outside, Vectors, unpack

__all__ = [
    "Encodes",
    "IngestReport",
    "Pipeline",
    "add_articles",
    "add_files",
    "encode_added",
    "encode_stale",
    "encoding_start",
    "texts_and_hashes",
]

#: Articles that are encoded and committed together: some seconds of work on two cores.
BATCH = 512

# More would fill the terminal and the memory; the counts are whole in any case.
_REJECTIONS_KEPT = 1000
_FIELDS_NOTED = 20


class Encodes(Protocol):
    """What ingestion needs of a model."""

    def encode(self, texts: Sequence[Text], kind: Kind = "document") -> Vectors:
        """Return unit vectors, (n, dimension) float32."""
        ...


class IngestReport(msgspec.Struct):
    """What a run did. `counts` has a number for each fate of a record: `added`, `replaced`, `unchanged`, ..."""

    read: int = 0
    deletions: int = 0
    encoded: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    rejections: list[Rejection] = []
    errors: list[str] = []
    notes: list[str] = []
    skipped_files: list[str] = []
    merged: bool = False

    def copy(self) -> IngestReport:
        """Return the report as it is now."""
        return msgspec.structs.replace(self, counts=Counter(self.counts))

    def since(self, before: IngestReport) -> IngestReport:
        """Return the numbers of what was done since an earlier copy; lists are left out."""
        return IngestReport(
            self.read - before.read,
            self.deletions - before.deletions,
            self.encoded - before.encoded,
            self.counts - before.counts,
        )

    def reject(self, rejection: Rejection) -> None:
        """Count a record that cannot be used, and keep the first thousand."""
        self.counts["rejected"] += 1
        if len(self.rejections) < _REJECTIONS_KEPT:
            self.rejections.append(rejection)

    def leave_out(self, field: LeftOut) -> None:
        """Count a field that cannot be used, and note the first of them."""
        self.counts["fields left out"] += 1
        if self.counts["fields left out"] <= _FIELDS_NOTED:
            self.notes.append(f"{field.where} (PMID {field.pmid}): {field.reason}")


class _Encoded(NamedTuple):
    """A batch that is encoded and not written yet."""

    records: list[ArticleRow | Outside | Deletion]
    sequence: int | None
    plan: Plan
    vectors: Vectors | None
    pmids: set[int]


class Pipeline:
    """Brings streams of records into an index, batch by batch: read, prepare, plan, encode, store.

    Reading and preparing run ahead, in processes of their own for long sources; a batch is stored while the next is
    encoded. `report` is that of all streams. Use it as a context manager: leaving it ends the processes.
    """

    def __init__(
        self,
        writer: Writer,
        encoder: Encodes | None,
        *,
        strict: bool = False,
        restore: bool = False,
        part: Callable[[Article], bool] | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Set up a pipeline into an index.

        `part` tells which articles belong to the part of PubMed that is kept: others are not added, and go if they are
        there only because they belonged to it. `progress` is called after each batch.
        """
        self.report = IngestReport()
        self._writer = writer
        self._encoder = encoder
        self._strict = strict
        self._restore = restore
        self._part = part
        self._preparer = Preparer(part)
        self._progress = progress
        self._waiting: _Encoded | None = None

    def __enter__(self) -> Pipeline:
        """Return the pipeline."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that read."""
        self._preparer.close()

    def add(
        self,
        source: Iterable[Record],
        name: str = "",
        *,
        sequence: int | None = None,
        share: tuple[float, float] = (0.0, 1.0),
    ) -> IngestReport:
        """Commit a stream and return what became of it; what came before an error in it is committed too.

        `sequence` is its place in NLM's order of files, where the source does not know it. `share` says, for the
        progress, at which fraction of all that is read the stream begins, and what fraction of it the stream is.
        """
        sequence = getattr(source, "sequence", None) if sequence is None else sequence
        before = self.report.copy()
        try:
            for batch, error in _batches(self._preparer.read(source), BATCH):
                self._add_batch(batch, sequence)
                self._tell(name, share[0] + share[1] * getattr(source, "fraction", 0.0))
                if error is not None:
                    raise error
            if name and self.report.read == before.read:
                self.report.notes.append(f"{name}: holds no records")
                if self._strict:
                    raise InvalidRecordError(f"{name}: holds no records")
        finally:
            # Also where the run is stopped: what was encoded is not lost.
            self._store_waiting()
        return self.report.since(before)

    def _add_batch(self, batch: list[Prepared], sequence: int | None) -> None:
        """Encode a batch while the one before it is stored; without vectors it is stored at once."""
        pmids = {record.pmid for record in batch if not isinstance(record, Rejection)}
        if self._waiting is not None and not pmids.isdisjoint(self._waiting.pmids):
            # What it does to these articles depends on what was done to them before.
            self._store_waiting()
        records, refused = self._accepted(batch)
        plan = self._plan(records, sequence)
        with ThreadPoolExecutor(1, "store") as beside:
            stored = beside.submit(self._store_waiting)
            vectors = self._encode(plan.to_encode)
        stored.result()
        self._waiting = _Encoded(records, sequence, plan, vectors, pmids)
        if not plan.to_encode or vectors is None or refused is not None:
            self._store_waiting()
        if refused is not None:
            raise InvalidRecordError(f"{refused.where}: {refused.reason}; what came before it is kept")

    def _accepted(self, batch: list[Prepared]) -> tuple[list[ArticleRow | Outside | Deletion], Rejection | None]:
        """Return what of a batch is to be stored; a strict run ends at a rejection, which is returned."""
        records: list[ArticleRow | Outside | Deletion] = []
        ignored = self._ignored(batch)
        for record in batch:
            if isinstance(record, LeftOut):
                self.report.leave_out(record)
                continue
            self.report.read += 1
            if isinstance(record, Rejection):
                self.report.reject(record)
                if self._strict:
                    return records, record
            elif isinstance(record, Deletion):
                self.report.deletions += 1
                records.append(record)
            elif isinstance(record, ArticleRow):
                records.append(record)
            elif record.pmid in ignored:
                self.report.counts["outside the part"] += 1
            else:
                records.append(Outside(record.row()))
        return records, None

    def _ignored(self, batch: list[Prepared]) -> set[int]:
        """Return the PMIDs that neither belong to the part nor are in the store: most of PubMed, if a part is kept."""
        outside = {record.pmid for record in batch if isinstance(record, NotOfPart)}
        if not outside:
            return outside
        inside = {record.pmid for record in batch if isinstance(record, ArticleRow)}
        return outside - inside - self._writer.store.existing(outside)

    def _plan(self, records: list[ArticleRow | Outside | Deletion], sequence: int | None) -> Plan:
        part = self._part is not None
        return self._writer.store.plan(records, sequence=sequence, restore=self._restore, part=part)

    def _encode(self, rows: list[ArticleRow], known: dict[bytes, Vectors] | None = None) -> Vectors | None:
        """Return vectors of the texts of some rows; those of `known`, by the hash of the text, are not made again."""
        if self._encoder is None:
            return None
        known = {} if known is None else known
        new = [row for row in rows if row.text_hash not in known]
        texts: list[Text] = [row.text for row in new]
        if self._writer.manifest.pairs:
            texts = model_inputs((unpack(row.document) for row in new), pairs=True)
        vectors = self._encoder.encode(texts, kind="document")
        self.report.encoded += len(new)
        known.update(zip((row.text_hash for row in new), vectors, strict=True))
        if len(new) == len(rows):
            return vectors
        return np.array([known[row.text_hash] for row in rows], np.float32)

    def _store_waiting(self) -> None:
        """Store the batch that waits, if any; planned again if another process has written its articles meanwhile."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        plan, vectors = waiting.plan, waiting.vectors
        known = dict(zip((row.text_hash for row in plan.to_encode), () if vectors is None else vectors, strict=False))
        while plan:
            try:
                self._writer.store.apply(plan, vectors)
                break
            except PlanOutdatedError:
                plan = self._plan(waiting.records, waiting.sequence)
                vectors = self._encode(plan.to_encode, known)
        self.report.counts.update(plan.counts)
        self.report.merged |= self._writer.merge_if_due()

    def _tell(self, name: str, fraction: float) -> None:
        if self._progress is not None:
            self._progress(Progress(name, self.report.read, self.report.encoded, min(fraction, 1.0)))


def add_files(
    writer: Writer,
    encoder: Encodes | None,
    paths: Iterable[str | Path],
    *,
    strict: bool = False,
    restore: bool = False,
    reread: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add the records of files, folders and `-` (standard input) to an index.

    Without an encoder the articles are stored and marked stale. A file that was read completely before is skipped
    unless `reread` is set. `strict` stops at the first record or file that cannot be used (InvalidRecordError,
    SourceError); otherwise they are counted and listed in the report.
    """
    names = expand_paths(paths)
    sizes = [Path(name).stat().st_size if name != "-" else 0 for name in names]
    total = max(sum(sizes), 1)
    with Pipeline(writer, encoder, strict=strict, restore=restore, progress=progress) as pipeline:
        for number, name in enumerate(names):
            share = sum(sizes[:number]) / total, sizes[number] / total
            try:
                _add_file(pipeline, writer, name, share, reread=reread or restore)
            except SourceError as error:
                if strict:
                    raise
                pipeline.report.errors.append(str(error))
        return _finished(pipeline, writer)


def _add_file(pipeline: Pipeline, writer: Writer, name: str, share: tuple[float, float], *, reread: bool) -> None:
    """Add the records of a file, with an entry in the ledger, unless it was read completely before."""
    if name == "-":
        pipeline.add(open_source(name), name, share=share)
        return
    sha256 = file_digest(name)
    store = writer.store
    if not reread and store.has_read(sha256):
        pipeline.report.skipped_files.append(name)
        return
    # What of a name is not UTF-8 cannot be stored.
    entry = name.encode("utf-8", "backslashreplace").decode()
    store.begin_file(entry, sha256)
    before = pipeline.report.copy()
    try:
        pipeline.add(open_source(name), name, share=share)
    except SourceError as error:
        store.finish_file(entry, sha256, pipeline.report.since(before).counts, str(error))
        raise
    store.finish_file(entry, sha256, pipeline.report.since(before).counts)


def add_articles(
    writer: Writer,
    encoder: Encodes | None,
    articles: Iterable[Article | Deletion],
    *,
    restore: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add articles, or delete, from an iterable: what a program has at hand or a service yields."""
    with Pipeline(writer, encoder, restore=restore, progress=progress) as pipeline:
        pipeline.add(articles)
        return _finished(pipeline, writer)


def _finished(pipeline: Pipeline, writer: Writer) -> IngestReport:
    pipeline.report.merged |= writer.merge_if_due(last=True)
    return pipeline.report


def encode_stale(
    writer: Writer, encoder: Encodes, *, since: int = 0, progress: Callable[[Progress], None] | None = None
) -> IngestReport:
    """Encode the articles whose vector is missing or of another text, of those written after the change `since`."""
    report = IngestReport()
    total = writer.store.count_stale(since)
    encoded = writer.store.count_encoded()
    while stale := writer.store.stale(BATCH, since=since):
        texts, hashes = texts_and_hashes(stale, writer.manifest.pairs)
        report.encoded += writer.store.put_vectors(hashes, encoder.encode(texts, kind="document"))
        report.merged |= writer.merge_if_due()
        if progress is not None:
            progress(Progress("", report.read, report.encoded, report.encoded / max(total, 1), searchable=total))
        report.merged |= fit_if_due(writer, encoded + report.encoded, progress)
    # Also where nothing was left to encode: an earlier run may have ended just before it.
    report.merged |= fit_if_due(writer, encoded + report.encoded, progress)
    report.merged |= writer.merge_if_due(last=True)
    return report


def encoding_start(writer: Writer) -> int:
    """Return the change after which `encode_added` looks for articles: 0 where an earlier run was cut off.

    What that run stored waits to be encoded too, and was written before this run began.
    """
    store = writer.store
    cut_off = store.one("SELECT count(*) FROM files WHERE NOT complete AND error IS NULL")
    cut_off = cut_off or store.one("SELECT count(*) FROM query_runs WHERE finished IS NULL")
    return 0 if cut_off else store.change()


def encode_added(
    writer: Writer,
    encoder: Encodes | None,
    since: int,
    report: IngestReport,
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Bring what a run has added since a change into the search indexes, then encode it; `report` is the run's.

    Everything is searchable before anything is encoded, so that the encoding may be stopped at any time.
    """
    report.merged |= writer.merge_if_due(last=True)
    if encoder is None:
        return
    waiting = writer.store.count_stale(since)
    if not waiting:
        # The same run given again resumes what was stopped.
        since, waiting = 0, writer.store.count_stale()
    if not waiting:
        return
    if progress is not None:
        progress(Progress("", report.read, 0, 0.0, searchable=waiting))
    encoded = encode_stale(writer, encoder, since=since, progress=progress)
    report.encoded += encoded.encoded
    report.merged |= encoded.merged


def texts_and_hashes(articles: Sequence[Article], pairs: bool) -> tuple[list[Text], list[tuple[int, bytes]]]:
    """Return what to encode of articles, texts or `pairs`, with the PMID and the text's hash of each."""
    hashes = [(article.pmid, text_hash(embedding_text(article))) for article in articles]
    return model_inputs(articles, pairs=pairs), hashes


def _batches(source: Iterable[Prepared], size: int) -> Iterator[tuple[list[Prepared], SourceError | None]]:
    """Cut a stream into batches; an error in the stream comes with the batch that was being filled."""
    records = iter(source)
    while True:
        batch: list[Prepared] = []
        try:
            for record in islice(records, size):
                batch.append(record)  # noqa: PERF402 - a list that keeps what came before an error
        except SourceError as error:
            yield batch, error
            return
        if not batch:
            return
        yield batch, None
