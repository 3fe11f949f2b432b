"""Reading NLM XML with every field against pubmed_parser, in records a second on one core."""

from __future__ import annotations

import gzip
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pubmed_parser

from scripts.benchmarks.timing import data_folder, ratio, report
from search.formats.open import open_source
from search.formats.pubmed_xml.parts import forget

_RECORD = re.compile(rb"<PubmedArticle>.*?</PubmedArticle>|(?<=>\n)<MedlineCitation .*?</MedlineCitation>", re.DOTALL)


def records_of(sources: list[Path]) -> list[bytes]:
    """Return the records of files as PubmedArticles, as pubmed_parser reads no others."""
    records = []
    for source in sources:
        data = source.read_bytes()
        for record in _RECORD.findall(gzip.decompress(data) if source.suffix == ".gz" else data):
            whole = record if record.startswith(b"<PubmedArticle>") else b"<PubmedArticle>%b</PubmedArticle>" % record
            records.append(whole + b"\n")
    return records


def make_file(sources: list[Path], copies: int, path: Path) -> int:
    """Write the records of files into one, so many times over; return how many there are."""
    records = records_of(sources)
    path.write_bytes(gzip.compress(b"<PubmedArticleSet>\n%b</PubmedArticleSet>\n" % (b"".join(records) * copies)))
    return len(records) * copies


def measure(candidates: dict[str, Callable[[], int]], count: int, runs: int) -> dict[str, list[float]]:
    """Return the processor seconds of each run, the candidates in turn: what others do on the machine counts less."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(runs):
        for name, run in candidates.items():
            begun = time.process_time()
            if run() != count:
                raise SystemExit(f"{name} did not read {count} records")
            seconds[name].append(time.process_time() - begun)
    return seconds


def main(runs: int = 9) -> None:
    """Measure three files: NLM's of 2016 once, the same four times over, and records of 2018 to 2025."""
    folder = data_folder() / "pubmed_xml"
    old = [folder / "pubmed_parser" / "medline16n0902.xml.gz"]
    new = sorted(path for path in folder.glob("*/*.xml*") if path not in old)
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "records.xml.gz"
        for name, sources, copies in (("2016", old, 1), ("2016, four times", old, 4), ("2018 to 2025", new, 1)):
            count = make_file(sources, copies, path)
            figures[name] = compare(path, count, runs)
    report("parse", {"unit": "processor seconds of one core", **figures})


def compare(path: Path, count: int, runs: int) -> dict[str, object]:
    """Compare on one file: ours once with nothing remembered from files before, and once as in a run of many files."""

    def theirs() -> int:
        return sum(1 for _ in pubmed_parser.parse_medline_xml(str(path)))

    def ours() -> int:
        return sum(1 for _ in open_source(path))

    def ours_first() -> int:
        forget()
        return ours()

    seconds = measure({"pubmed_parser": theirs, "ours, first file": ours_first, "ours": ours}, count, runs)
    return {
        "records": count,
        "bytes_a_record": len(gzip.decompress(path.read_bytes())) // count,
        "records_a_second": {name: round(count / statistics.median(times)) for name, times in seconds.items()},
        "ratio_first_file": ratio(seconds["pubmed_parser"], seconds["ours, first file"]),
        "ratio": ratio(seconds["pubmed_parser"], seconds["ours"]),
    }


if __name__ == "__main__":
    main()
