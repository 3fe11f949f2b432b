"""Records in: read sources, keep the newest version, encode what is new or changed, commit batch by batch.

An article and its vector are committed together, so what was committed is findable at once, and a run that was stopped
goes on where it was: what is there already is neither written nor encoded again. A batch is written while the next is
encoded.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from search.article import Article, Deletion, embedding_text, text_hash
from search.errors import InvalidRecordError, SourceError
from search.formats.base import Record, Rejection
from search.formats.open import expand_paths, open_source
from search.ingest.prepare import NotOfPart, Prepared, Reader
from search.models import Kind
from search.storage.backend import Writer
from search.storage.plan import Plan, PlanOutdatedError
from search.storage.rows import ArticleRow, Outside, Vectors

__all__ = [
    "Encodes",
    "IngestReport",
    "Progress",
    "Run",
    "add_articles",
    "add_files",
    "encode_stale",
    "texts_and_hashes",
]

#: Articles that are encoded and committed together: some seconds of work on two cores.
BATCH = 512

# More would fill the terminal and the memory; the counts are whole in any case.
_REJECTIONS_KEPT = 1000


class Encodes(Protocol):
    """What ingestion needs of a model."""

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """Return unit vectors, (n, dimension) float32."""
        ...


class Progress(msgspec.Struct):
    """How far a run is. `fraction` is that of all bytes to read, 0 where it cannot be known (standard input)."""

    file: str
    read: int
    encoded: int
    fraction: float


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

    def reject(self, rejection: Rejection) -> None:
        """Count a record that cannot be used, and remember the first thousand."""
        self.counts["rejected"] += 1
        if len(self.rejections) < _REJECTIONS_KEPT:
            self.rejections.append(rejection)


class _Ready(NamedTuple):
    """A batch that is encoded and waits to be written."""

    records: list[ArticleRow | Outside | int]
    sequence: int | None
    plan: Plan
    vectors: Vectors | None
    pmids: set[int]


class Run:
    """One run of ingestion: where it writes, with what it encodes, and what it has done so far.

    `part`, where it is given, tells which articles belong to the part of PubMed that is kept. Others are not added, and
    go if they are there only because they belonged to it.
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
        self.writer = writer
        self.encoder = encoder
        self.strict = strict
        self.restore = restore
        self.report = IngestReport()
        self._part = part
        self._reader = Reader(part)
        self.progress = progress or (lambda _: None)
        self._ready: _Ready | None = None
        self._weights: dict[str, float] = {}
        self._before = 0.0

    def __enter__(self) -> Run:
        """Return the run."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that read."""
        self._reader.close()

    def files(self, names: list[str], *, again: bool) -> None:
        """Read files one after the other; one that breaks off is reported and the next is read."""
        self._weights = _shares(names)
        for name in names:
            try:
                self._file(name, again=again)
            except SourceError as error:
                if self.strict:
                    raise
                self.report.errors.append(str(error))
            self._before += self._weights[name]

    def _file(self, name: str, *, again: bool) -> None:
        if name == "-":
            self.records(open_source(name), name)
            return
        digest = _sha256(Path(name))
        if not again and self.writer.store.has_read(digest):
            self.report.skipped_files.append(name)
            return
        self.writer.store.begin_file(name, digest)
        before = Counter(self.report.counts)
        try:
            self.records(open_source(name), name)
        except SourceError as error:
            self.writer.store.finish_file(name, digest, self.report.counts - before, str(error))
            raise
        self.writer.store.finish_file(name, digest, self.report.counts - before)

    def records(self, source: Iterable[Record], name: str, sequence: int | None = None) -> None:
        """Commit a stream batch by batch; what came before an error in it is committed too.

        `sequence` is its place in NLM's order of files, where the source does not know it.
        """
        sequence = getattr(source, "sequence", None) if sequence is None else sequence
        try:
            for batch, error in _batches(self._reader.read(source), BATCH):
                self._take(batch, sequence)
                fraction = self._before + self._weights.get(name, 0.0) * getattr(source, "fraction", 0.0)
                self.progress(Progress(name, self.report.read, self.report.encoded, min(fraction, 1.0)))
                if error is not None:
                    raise error
        finally:
            # Also where the run is stopped: what was encoded is not lost.
            self._write()

    def _take(self, batch: list[Prepared], sequence: int | None) -> None:
        """Encode a batch while the one before it is written; it is written beside the next, or now without vectors."""
        pmids = {record.pmid for record in batch if not isinstance(record, Rejection)}
        if self._ready is not None and not pmids.isdisjoint(self._ready.pmids):
            # What it does to these articles depends on what was done to them before.
            self._write()
        records, refused = self._rows(batch)
        plan = self._planned(records, sequence)
        with ThreadPoolExecutor(1, "write") as aside:
            written = aside.submit(self._write)
            vectors = self._encoded(plan.to_encode)
        written.result()
        self._ready = _Ready(records, sequence, plan, vectors, pmids)
        if not plan.to_encode or vectors is None or refused is not None:
            self._write()
        if refused is not None:
            raise InvalidRecordError(f"{refused.where}: {refused.reason}; what came before it is kept")

    def _planned(self, records: list[ArticleRow | Outside | int], sequence: int | None) -> Plan:
        part = self._part is not None
        return self.writer.store.plan(records, sequence=sequence, restore=self.restore, part=part)

    def _write(self) -> None:
        """Write the batch that waits, if any; planned anew where another process has written its articles meanwhile."""
        ready, self._ready = self._ready, None
        if ready is None:
            return
        plan, vectors = ready.plan, ready.vectors
        known = dict(zip((row.text_hash for row in plan.to_encode), () if vectors is None else vectors, strict=False))
        while plan:
            try:
                self.writer.store.apply(plan, vectors)
                break
            except PlanOutdatedError:
                plan = self._planned(ready.records, ready.sequence)
                vectors = self._encoded(plan.to_encode, known)
        self.report.counts.update(plan.counts)
        self.report.merged |= self.writer.merge_if_due()

    def _encoded(self, rows: list[ArticleRow], known: dict[bytes, Vectors] | None = None) -> Vectors | None:
        """Return vectors of the texts of some rows, those that are known by the hash of the text among them."""
        if self.encoder is None:
            return None
        known = {} if known is None else known
        new = [row for row in rows if row.text_hash not in known]
        vectors = self.encoder.encode([row.text for row in new], kind="document")
        self.report.encoded += len(new)
        known.update(zip((row.text_hash for row in new), vectors, strict=True))
        if len(new) == len(rows):
            return vectors
        return np.array([known[row.text_hash] for row in rows], np.float32)

    def _rows(self, batch: list[Prepared]) -> tuple[list[ArticleRow | Outside | int], Rejection | None]:
        """Sort out what the store takes of a batch; a strict run ends at a rejection, which is returned."""
        records: list[ArticleRow | Outside | int] = []
        passed_over = self._passed_over(batch)
        for record in batch:
            self.report.read += 1
            if isinstance(record, Rejection):
                self.report.reject(record)
                if self.strict:
                    return records, record
            elif isinstance(record, Deletion):
                self.report.deletions += 1
                records.append(record.pmid)
            elif isinstance(record, ArticleRow):
                records.append(record)
            elif record.pmid in passed_over:
                self.report.counts["outside the part"] += 1
            else:
                records.append(Outside(record.row()))
        return records, None

    def _passed_over(self, batch: list[Prepared]) -> set[int]:
        """Return the PMIDs that neither belong to the part nor are in the store: most of PubMed, if a part is kept."""
        outside = {record.pmid for record in batch if isinstance(record, NotOfPart)}
        if not outside:
            return outside
        inside = {record.pmid for record in batch if isinstance(record, ArticleRow)}
        return outside - inside - self.writer.store.existing(outside)


def add_files(
    writer: Writer,
    encoder: Encodes | None,
    paths: Iterable[str | Path],
    *,
    strict: bool = False,
    restore: bool = False,
    again: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add the records of files, folders and `-` (standard input) to an index.

    Without an encoder the articles are stored and marked stale. A file that was read to its end before is skipped
    unless `again` is set. `strict` stops at the first record or file that cannot be used (InvalidRecordError,
    SourceError); otherwise they are counted and listed in the report.
    """
    with Run(writer, encoder, strict=strict, restore=restore, progress=progress) as run:
        run.files(expand_paths(paths), again=again or restore)
    return run.report


def add_articles(
    writer: Writer,
    encoder: Encodes | None,
    articles: Iterable[Article | Deletion],
    *,
    restore: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add articles, or delete, from an iterable: what a program has at hand or a service yields."""
    with Run(writer, encoder, restore=restore, progress=progress) as run:
        run.records(articles, "")
    return run.report


def encode_stale(
    writer: Writer, encoder: Encodes, *, progress: Callable[[Progress], None] | None = None
) -> IngestReport:
    """Encode the articles whose vector is missing or of another text."""
    report = IngestReport()
    total = writer.store.counts()["stale"]
    while stale := writer.store.stale(BATCH):
        texts, hashes = texts_and_hashes(stale)
        report.encoded += writer.store.put_vectors(hashes, encoder.encode(texts, kind="document"))
        report.merged |= writer.merge_if_due()
        if progress is not None:
            progress(Progress("", report.read, report.encoded, report.encoded / max(total, 1)))
    return report


def texts_and_hashes(articles: Sequence[Article]) -> tuple[list[str], list[tuple[int, bytes]]]:
    """Return the texts of articles as they are encoded, and the PMID and the text's hash of each."""
    texts = [embedding_text(article) for article in articles]
    return texts, [(article.pmid, text_hash(text)) for article, text in zip(articles, texts, strict=True)]


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


def _shares(names: list[str]) -> dict[str, float]:
    """Return the share of each file in the bytes of all."""
    sizes = {name: Path(name).stat().st_size if name != "-" else 0 for name in names}
    total = sum(sizes.values())
    return {name: size / total if total else 0.0 for name, size in sizes.items()}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    return digest.hexdigest()
