"""Finding the files of records under paths, and opening each by what is in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from search.errors import SourceError
from search.sources.base import Source, file_sequence
from search.sources.byte_stream import STANDARD_INPUT, ByteStream

__all__ = ["expand_paths", "open_source"]

ACCEPTED = (
    "NLM XML (PubmedArticleSet, MedlineCitationSet, single records), MEDLINE text (.nbib) and JSON lines, "
    "packed with gzip or not"
)

#: Files that are taken from a folder; a file that is named is opened whatever its name.
_RECORD_FILE = re.compile(r"^(?!\.|readme|licen[cs]e|changelog).*\.(xml|nbib|txt|medline|jsonl?|ndjson)(\.gz)?$", re.I)


def open_source(path: str | Path) -> Source:
    """Open a file of records, or standard input (`-`), in the format that its content shows.

    Raises SourceError if it cannot be read, is empty, or holds nothing that looks like PubMed records.
    """
    stream = ByteStream(path)
    head = stream.head()
    start = head.lstrip()
    # Each reader brings its own libraries: they are imported when the first file of their kind is opened.
    if start.startswith(b"<"):
        from search.sources.medline_xml import MedlineXmlSource

        return MedlineXmlSource(stream)
    if start.startswith((b"{", b"[")):
        from search.sources.jsonl import JsonSource

        return JsonSource(stream)
    from search.sources.nbib import TAG, NbibSource

    if TAG.match(start[:20].decode("utf-8", "replace")):
        return NbibSource(stream)
    if not start:
        raise SourceError(f"{stream.name}: is empty")
    shown = " ".join(start[:200].decode("utf-8", "replace").split())[:60]
    raise SourceError(f"{stream.name}: holds no PubMed records: it begins with {shown!r}; accepted are {ACCEPTED}")


def expand_paths(paths: Iterable[str | Path]) -> list[str]:
    """Return the files that the paths name: files and `-` as they are, folders as the files of records in them.

    A folder's files come in NLM's order where they are NLM's, and then by their paths. No file comes twice.
    Raises SourceError if there is nothing under a path, or no file of records in a folder.
    """
    found: dict[str, str] = {}
    for path in map(str, paths):
        if path == STANDARD_INPUT:
            files = [path]
        elif Path(path).is_dir():
            files = _files_of(path)
            if not files:
                raise SourceError(f"{path}: no file of records in this folder; accepted are {ACCEPTED}")
        elif Path(path).exists():
            files = [path]
        else:
            raise SourceError(f"{path}: there is no such file or folder")
        for file in files:
            found.setdefault(file if file == STANDARD_INPUT else os.path.realpath(file), file)
    return list(found.values())


def _files_of(folder: str) -> list[str]:
    files = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [str(Path(where) / name) for name in names if _RECORD_FILE.match(name)]
    return sorted(files, key=_order)


def _order(file: str) -> tuple[bool, int, str]:
    sequence = file_sequence(Path(file).name)
    return sequence is None, sequence or 0, file
