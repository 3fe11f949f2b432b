"""Files of vectors that others have made: `.npy` with the PMIDs beside it, read in batches from the disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import SourceError

__all__ = ["VectorFile", "open_vector_files"]

#: How NCBI names the files of MedCPT: `embeds_chunk_0.npy` and `pmids_chunk_0.json`.
_CHUNK = re.compile(r"embeds_chunk_(\d+)\.npy")

_LARGEST_PMID = 2**31


@dataclass(frozen=True)
class VectorFile:
    """A file of vectors, (n, dimension), and the PMID of each row; `is_medcpt` if it has the name NCBI gives."""

    path: Path
    pmids: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.floating]
    is_medcpt: bool

    def batches(self, size: int) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield PMIDs and rows as float32, `size` at a time; only these are in memory."""
        for start in range(0, len(self.pmids), size):
            yield self.pmids[start : start + size], np.asarray(self.vectors[start : start + size], np.float32)


def open_vector_files(paths: Sequence[str | Path], pmids: str | Path | None = None) -> list[VectorFile]:
    """Open `.npy` files and folders of them, memory-mapped, with their PMIDs.

    `embeds_chunk_N.npy` goes with `pmids_chunk_N.json` beside it, in a folder in the order of N; `pmids` gives the
    PMIDs of any other one file: a JSON list, an integer `.npy`, or text with one PMID a line. Raises SourceError if a
    file is not there, is not what it should be, or does not fit its PMIDs.
    """
    files = [file for path in paths for file in _expanded(Path(path))]
    if pmids is not None and len(files) != 1:
        raise SourceError(f"{pmids} can only be the PMIDs of one file of vectors, and {len(files)} were given")
    return [_open(path, Path(pmids) if pmids is not None else None) for path in files]


def _expanded(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    chunks = sorted(
        (int(match[1]), entry) for entry in path.iterdir() if (match := _CHUNK.fullmatch(entry.name)) is not None
    )
    if not chunks:
        raise SourceError(f"{path} holds no embeds_chunk_N.npy; name the .npy file itself, and its PMIDs with --pmids")
    return [entry for _, entry in chunks]


def _open(path: Path, pmids_path: Path | None) -> VectorFile:
    match = _CHUNK.fullmatch(path.name)
    if pmids_path is None:
        if match is None:
            raise SourceError(f"{path}: which PMIDs are its rows? Give the file that lists them with --pmids")
        pmids_path = path.with_name(f"pmids_chunk_{match[1]}.json")
    vectors = _read_array(path)
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise SourceError(
            f"{path} holds {vectors.dtype} of shape {vectors.shape}, not vectors: rows of floating-point numbers"
        )
    pmids = _read_pmids(pmids_path)
    if len(pmids) != len(vectors):
        raise SourceError(
            f"{path} has {len(vectors):,} vectors and {pmids_path} {len(pmids):,} PMIDs: they are not of one set"
        )
    return VectorFile(path, pmids, vectors, match is not None)


def _read_array(path: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise SourceError(f"{path} is not a valid .npy file, or is incomplete ({error})") from error
    if not isinstance(array, np.ndarray):
        raise SourceError(f"{path} is an archive (.npz); save its array with numpy.save")
    return array


def _read_pmids(path: Path) -> npt.NDArray[np.int64]:
    if path.suffix == ".npy":
        array = _read_array(path)
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise SourceError(f"{path} holds {array.dtype} of shape {array.shape}, not a list of PMIDs")
        values: list[object] = array.tolist()
    else:
        values = _read_list(path)
    pmids = np.empty(len(values), np.int64)
    for position, value in enumerate(values):
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value[:40])
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST_PMID:
            raise SourceError(f"{path}: entry {position + 1:,} is {str(value)[:40]!r}, not a PMID")
        pmids[position] = value
    ordered = np.sort(pmids)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise SourceError(f"{path}: PMID {twice[0]} appears twice; remove one of its two vectors")
    return pmids


def _read_list(path: Path) -> list[object]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise SourceError(f"{path} is missing: it should list the PMIDs of the vectors beside it") from None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is neither JSON nor text ({error})") from error
    if not text.lstrip().startswith(("[", "{")):
        return list(text.split())
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{path} is not valid JSON, or is incomplete ({error})") from error
    if not isinstance(entries, list):
        raise SourceError(f"{path} is not a list of PMIDs")
    return entries
