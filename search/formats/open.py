"""Opening what a user names: the format is detected by the content, never by the name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from search.errors import SourceError
from search.formats.base import Source, file_sequence
from search.formats.byte_stream import STANDARD_INPUT, ByteStream
from search.formats.table import PARQUET, TableSource, is_csv

__all__ = ["expand_paths", "open_source"]

_NBIB = re.compile(rb"\s*(?:PMID|PMID *)- ?\d|[\s\S]{0,2000}?^PMID- ", re.MULTILINE)

#: What lies beside records in a folder and holds none.
_NO_RECORDS = frozenset(
    {".md5", ".md", ".html", ".db", ".faiss", ".part", ".lock", ".pdf", ".png", ".py", ".pyc", ".yml"}
)

_ACCEPTED = "NLM XML (PubMed, MEDLINE), MEDLINE text (.nbib), JSON or a CSV file with a column `pmid`, gzipped or not"


def open_source(path: str | Path | ByteStream) -> Source:
    """Open a file, standard input for `-`, or a stream, by its first bytes.

    Raises SourceError, naming the path, if it is not there, is empty, or holds no PubMed records.
    """
    stream = ByteStream.of(path)
    head = stream.head()
    text = head.lstrip()
    if not text:
        raise SourceError(f"{stream.name}: is empty; give {_ACCEPTED}")
    if text.startswith(b"<"):
        from search.formats.pubmed_xml.source import MedlineXmlSource

        return MedlineXmlSource(stream)
    if text[:1] in (b"{", b"["):
        from search.formats.jsonl import JsonLinesSource

        return JsonLinesSource(stream)
    if head.startswith(PARQUET) or is_csv(head):
        return TableSource(stream)
    if _NBIB.match(head):
        from search.formats.medline.lines import NbibSource

        return NbibSource(stream)
    beginning = ascii(text[:40].decode("utf-8", "replace"))
    raise SourceError(f"{stream.name}: holds no PubMed records, it begins with {beginning}; give {_ACCEPTED}")


def expand_paths(paths: Iterable[str | Path]) -> list[str]:
    """Return the files under paths: a file is itself, `-` is standard input, a folder all files under it.

    Within a folder NLM's files come in NLM's order, the others by name; hidden files and files that hold no records
    (checksums and the like) are left out. Raises SourceError for a path that is not there, or a folder without a file.
    """
    files: dict[str, None] = {}
    for path in paths:
        if str(path) == STANDARD_INPUT:
            files[STANDARD_INPUT] = None
        elif Path(path).is_dir():
            inside = _files_below(Path(path))
            if not inside:
                raise SourceError(f"{path}: there is no file of records in this folder")
            files.update(dict.fromkeys(inside))
        elif Path(path).exists():
            files[str(path)] = None
        else:
            raise SourceError(f"{path}: there is no such file or folder")
    return list(files)


def _files_below(folder: Path) -> list[str]:
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.suffix.lower() not in _NO_RECORDS
    ]
    return [str(path) for path in sorted(files, key=lambda path: (file_sequence(path.name) or 0, str(path)))]
