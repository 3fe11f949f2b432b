"""Files about citations and retractions: NIH's open citation collection and Retraction Watch's list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from search.article import MAX_PMID
from search.errors import InvalidRecordError, SourceError
from search.formats.base import Rejection
from search.formats.byte_stream import STANDARD_INPUT, ByteStream, file_digest
from search.formats.identifiers import parse_pmid
from search.formats.table import TableSource
from search.normalize import clean, normalise_doi
from search.storage.backend import Writer
from search.storage.citation_graph import Edges, Kind, Nodes, put_edges
from search.storage.store import WritableStore

__all__ = ["FileReport", "add_citations", "add_retractions", "remove_citations"]

#: Citations that are written in one transaction.
_AT_ONCE = 2_000_000

_REJECTIONS_KEPT = 100

_CITING = ("citing", "citing_pmid")
_CITED = ("referenced", "cited", "cited_pmid", "referenced_pmid")
_PLAIN = re.compile(rb"[0-9,\n]*")
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})|(\d{4})-(\d{2})-(\d{2})")
_RETRACTIONS = (
    "RetractionDate", "RetractionDOI", "RetractionPubMedID", "OriginalPaperDOI", "OriginalPaperPubMedID",
    "RetractionNature", "Reason",
)  # fmt: skip


class FileReport(msgspec.Struct):
    """What came of a file: rows read, `counts` by their fate, and the first that could not be used."""

    read: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    rejections: list[Rejection] = []
    #: Whether the file was read to its end before, and so was not read again.
    known: bool = False

    def reject(self, where: str, reason: str) -> None:
        """Count a row that cannot be used."""
        self.counts["rejected"] += 1
        if len(self.rejections) < _REJECTIONS_KEPT:
            self.rejections.append(Rejection(where, reason))


# The open citation collection -----------------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """Pairs of PMIDs (citing, cited), (n, 2) int64, and how many lines they were read from."""

    pairs: Nodes
    lines: int


def add_citations(
    writer: Writer,
    path: str | Path,
    *,
    everything: bool = False,
    reread: bool = False,
    progress: Callable[[float], None] | None = None,
) -> FileReport:
    """Add the citations of NIH's open citation collection: a CSV of `citing,referenced`, packed or not.

    Those of which neither article is in the index are left out unless `everything` is set. A run that was stopped
    resumes where it was; a file that was read to its end is not read again unless `reread` is set. Raises SourceError
    if the file cannot be read to its end, or has no such columns; what was read before stays.
    """
    stream, store, report = ByteStream(path), writer.store, FileReport()
    name = stream.name.encode("utf-8", "backslashreplace").decode()
    sha256 = "" if name == STANDARD_INPUT else file_digest(stream.name)
    if sha256 and store.has_read(sha256) and not reread:
        report.known = True
        return report
    held = None if everything else store.pmids()
    mark = f"citations {sha256}"
    done = int(store.settings().get(mark) or 0) if sha256 else 0
    pieces = _rows_of(stream, report)
    # A file that is none of citations is told here, before the index notes that it was begun.
    first = [next(pieces, _Rows(np.empty((0, 2), np.int64), 0))]
    if sha256:
        store.begin_file(name, sha256)
    try:
        for rows in _batches(chain(first, pieces), done):
            done += rows.lines
            _put_collection(store, rows.pairs, held, report, (mark, done) if sha256 else None)
            if progress is not None:
                progress(stream.fraction)
    except SourceError as error:
        if sha256:
            store.finish_file(name, sha256, report.counts, str(error))
        raise
    if sha256:
        store.finish_file(name, sha256, report.counts)
        store.transact(lambda _: store.executemany("DELETE FROM settings WHERE key = ?", [(mark,)]))
    return report


def remove_citations(writer: Writer) -> int:
    """Remove the citations of the open citation collection, and return how many there were."""
    kinds = [(int(Kind.COLLECTION_CITED),), (int(Kind.COLLECTION_CITING),)]
    store = writer.store

    def work(_: int) -> int:
        count = store.one("SELECT sum(edges) FROM citation_runs WHERE kind = ?", kinds[0])
        for table in ("citation_runs", "citation_blocks"):
            store.executemany(f"DELETE FROM {table} WHERE kind = ?", kinds)
        return count

    return store.transact(work)


def _put_collection(
    store: WritableStore, pairs: Nodes, held: Nodes | None, report: FileReport, mark: tuple[str, int] | None
) -> None:
    report.read += len(pairs)
    if held is not None:
        pairs = pairs[np.isin(pairs[:, 0], held) | np.isin(pairs[:, 1], held)]
    report.counts["added"] += len(pairs)
    citing, cited = pairs[:, 0], pairs[:, 1]

    def work(change: int) -> None:
        put_edges(store, Kind.COLLECTION_CITED, change, Edges(cited, citing))
        put_edges(store, Kind.COLLECTION_CITING, change, Edges(citing, cited))
        if mark is not None:
            store.put_setting(mark[0], str(mark[1]))

    store.transact(work)


def _batches(pieces: Iterator[_Rows], done: int) -> Iterator[_Rows]:
    """Yield the rows after the first `done` lines, many at once."""
    waiting: list[Nodes] = []
    size = lines = seen = 0
    for piece in pieces:
        seen += piece.lines
        if seen <= done:
            continue
        waiting.append(piece.pairs)
        size, lines = size + len(piece.pairs), lines + piece.lines
        if size >= _AT_ONCE:
            yield _Rows(np.concatenate(waiting), lines)
            waiting, size, lines = [], 0, 0
    if lines:
        yield _Rows(np.concatenate(waiting), lines)


def _rows_of(stream: ByteStream, report: FileReport) -> Iterator[_Rows]:
    """Yield the pairs of a file, a piece of it at a time; a row that holds none is counted in the report."""
    blocks = _whole_lines(stream)
    first = next(blocks, b"")
    header, _, rest = first.partition(b"\n")
    if not header.strip():
        raise SourceError(f"{stream.name}: is empty; a CSV with the columns `citing` and `referenced` is expected")
    names = [cell.strip(b" \"'").decode("utf-8", "replace").lower() for cell in header.split(b",")]
    places = [next((names.index(name) for name in known if name in names), -1) for known in (_CITING, _CITED)]
    if min(places) < 0:
        shown = ascii(header[:80].decode("utf-8", "replace"))
        raise SourceError(f"{stream.name}: its first line {shown} does not name the columns `citing` and `referenced`")
    number = 1
    for block in (rest, *()) if rest else ():
        yield _read_block(block, places, names, number, stream.name, report)
        number += block.count(b"\n") + (not block.endswith(b"\n"))
    for block in blocks:
        yield _read_block(block, places, names, number, stream.name, report)
        number += block.count(b"\n") + (not block.endswith(b"\n"))


def _whole_lines(stream: ByteStream) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces that end with a line, whatever ends its lines."""
    held = b""
    for piece in stream.pieces():
        text = held + piece
        # A CR at the end may have its LF in the next piece.
        end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        held = text[end:]
        if end:
            yield text[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if held:
        yield held.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_block(block: bytes, places: list[int], names: list[str], before: int, name: str, report: FileReport) -> _Rows:
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if len(names) == 2 and _PLAIN.fullmatch(block) and block.count(b",") == lines:
        text = block.rstrip(b"\n").replace(b"\n", b",").decode()
        # Two empty cells would be read as fewer numbers.
        if b",," not in block and b",\n" not in block and b"\n," not in block:
            numbers = np.fromstring(text, np.int64, sep=",")
            if len(numbers) == 2 * lines and ((numbers > 0) & (numbers <= MAX_PMID)).all():
                return _Rows(numbers.reshape(-1, 2)[:, places], lines)
    pairs = []
    for number, line in enumerate(block.split(b"\n")[:lines], before + 1):
        cells = [cell.strip(b" \t\"'") for cell in line.split(b",")]
        if not line.strip():
            continue
        try:
            pairs.append([parse_pmid(cells[place].decode("utf-8", "replace")) for place in places])
        except (InvalidRecordError, IndexError) as error:
            what = str(error) if isinstance(error, InvalidRecordError) else "it has too few columns"
            report.reject(f"{name} line {number}", what)
    return _Rows(np.array(pairs, np.int64).reshape(-1, 2), lines)


# Retraction Watch -----------------------------------------------------------------------------------------------------


def add_retractions(
    writer: Writer, path: str | Path, by_doi: Callable[[Sequence[str]], Mapping[str, int]] = lambda dois: {}
) -> FileReport:
    """Take Retraction Watch's list (CSV) in place of the one that is there, all of it or nothing.

    `by_doi` gives the PMIDs of the articles of the index that have some DOIs, for entries whose PMID it does not have.
    A paper that was reinstated later counts as not retracted. Raises SourceError if the file cannot be read to its end
    or lacks a column.
    """
    stream, report = ByteStream(path), FileReport()
    if not stream.head().strip():
        raise SourceError(f"{stream.name}: is empty; Retraction Watch's CSV is expected")
    entries: dict[tuple[int, str, str], tuple[Any, ...]] = {}
    reinstated: dict[tuple[int, str], int] = {}
    for where, row in TableSource(stream).csv_rows():
        if not report.read and row is not None and (missing := [name for name in _RETRACTIONS if name not in row]):
            raise SourceError(f"{stream.name}: is not Retraction Watch's list: it has no column {missing[0]!r}")
        report.read += 1
        entry = _retraction(row, where, report)
        if entry is None:
            continue
        pmid, doi, nature, day, *_ = entry
        if nature == "Reinstatement":
            reinstated[pmid, doi] = max(day, reinstated.get((pmid, doi), 0))
        else:
            entries[entry[:3]] = max(entry, entries.get(entry[:3], entry), key=lambda known: known[3])
    kept = [
        entry
        for (pmid, doi, nature), entry in entries.items()
        if nature != "Retraction" or reinstated.get((pmid, doi), -1) < entry[3]
    ]
    if not report.read:
        raise SourceError(f"{stream.name}: holds no entries")
    report.counts["added"] = len(kept)
    there = writer.store.existing(pmid for pmid, *_ in kept if pmid)
    owners = by_doi(sorted({doi for pmid, doi, *_ in kept if doi and pmid not in there}))

    def work(_: int) -> None:
        writer.store.executemany("DELETE FROM retractions", [()])
        writer.store.executemany(
            "INSERT INTO retractions (pmid, doi, nature, day, reasons, notice_pmid, notice_doi) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            kept,
        )
        writer.store.name_retracted(owners)

    writer.store.transact(work)
    report.counts["of articles in the index"] = writer.store.one(
        "SELECT count(DISTINCT a.pmid) FROM retractions AS r JOIN articles AS a ON a.pmid = abs(r.pmid)"
    )
    return report


def _retraction(row: dict[str, Any] | None, where: str, report: FileReport) -> tuple[Any, ...] | None:
    """Return the columns of `retractions`; None for a row that names no paper, which is counted."""
    if row is None or any(row.get(name) is None for name in ("RetractionNature", "RetractionDate")):
        report.reject(where, "it has not as many cells as the table has columns")
        return None
    cells = {name: clean(str(row.get(name) or "")) for name in _RETRACTIONS}
    pmid, doi = _pmid(cells["OriginalPaperPubMedID"]), _doi(cells["OriginalPaperDOI"])
    if not pmid and not doi:
        report.counts["without PMID and DOI"] += 1
        return None
    reasons = "; ".join(filter(None, (part.strip(" +") for part in cells["Reason"].split(";"))))
    notice = _pmid(cells["RetractionPubMedID"]), _doi(cells["RetractionDOI"])
    nature = cells["RetractionNature"].capitalize()
    return (pmid, doi, nature, _day(cells["RetractionDate"]), reasons, *notice)


def _pmid(text: str) -> int:
    """Return a PMID; 0 for none, as the list itself says."""
    try:
        return parse_pmid(text.removesuffix(".0"))
    except InvalidRecordError:
        return 0


def _doi(text: str) -> str:
    doi = (normalise_doi(text) or "").lower()
    return doi if doi.startswith("10.") else ""


def _day(text: str) -> int:
    """Return `3/1/2024 0:00` (the month first) as 20240301; 0 if it is no date."""
    match = _DATE.match(text)
    if not match:
        return 0
    month, day, year, *iso = match.groups()
    year, month, day = iso if iso[0] else (year, month, day)
    return int(year) * 10_000 + int(month) * 100 + int(day)
