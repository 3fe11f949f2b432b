"""Published vectors in place of encoding: taken for the articles that are in the index, once they are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from search.errors import IndexMismatchError
from search.ingest.vector_files import VectorFile, open_vector_files
from search.models.vectors import normalize
from search.storage.backend import Writer
from search.storage.manifest import Manifest

__all__ = ["ImportReport", "import_vectors"]

#: The name of the model that NCBI's files of vectors are of.
MEDCPT = "medcpt"

#: Rows that are read and committed together.
_BATCH = 4096

#: Merge after this many imports, and again at each fourfold: unmerged vectors are compared one by one.
_FIRST_MERGE, _NEXT_MERGE = 200_000, 4

#: An entry of a float16 or float32 vector whose square would overflow is damage, not a measurement.
_LARGEST = 1e15


class ImportReport(msgspec.Struct):
    """What became of the rows: `imported`, `not in the index`, `has a vector already`, `unusable`."""

    read: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    unusable: list[int] = []


def import_vectors(
    writer: Writer,
    manifest: Manifest,
    paths: Sequence[str | Path],
    *,
    pmids: str | Path | None = None,
    model: str | None = None,
    replace: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ImportReport:
    """Store the vectors of files for the articles of an index that have none of their text.

    `pmids` and the layout of the files: see `open_vector_files`. `model` is the name of the model they were made with;
    NCBI's files are of `medcpt`. With `replace` articles that have a vector get the new one too. Vectors are scaled to
    unit length; rows that are zero or not finite are counted as unusable. All files are checked before anything is
    written. Raises SourceError if a file cannot be used, IndexMismatchError if model or dimension is not the index's.
    """
    files = open_vector_files(paths, pmids)
    for file in files:
        _check(file, manifest, model)
    report = ImportReport()
    total = sum(len(file.pmids) for file in files)
    merge_at = _FIRST_MERGE
    for file in files:
        for batch, rows in file.batches(_BATCH):
            _store(writer, report, batch, rows, replace)
            progress(report.read, total)
            if report.counts["imported"] >= merge_at:
                merge_at *= _NEXT_MERGE
                writer.merge()
    if report.counts["imported"]:
        writer.merge()
    return report


def _check(file: VectorFile, manifest: Manifest, model: str | None) -> None:
    if model is None:
        if not file.is_medcpt:
            raise IndexMismatchError(
                f"{file.path}: name the model that made these vectors with --model; the index is of {manifest.model}"
            )
        model = MEDCPT
    if model != manifest.model:
        raise IndexMismatchError(
            f"{file.path} holds vectors of the model {model} and the index is of {manifest.model}: questions could not "
            f"be compared with them; make an index with `search add --model {model}`"
        )
    if file.vectors.shape[1] != manifest.dimension:
        raise IndexMismatchError(
            f"{file.path} holds vectors of {file.vectors.shape[1]} dimensions and those of the index have "
            f"{manifest.dimension}; they are not of {manifest.model}"
        )


def _store(
    writer: Writer, report: ImportReport, pmids: npt.NDArray[np.int64], rows: npt.NDArray[np.float32], replace: bool
) -> None:
    report.read += len(pmids)
    texts = writer.store.text_hashes(pmids.tolist())
    with np.errstate(invalid="ignore"):
        sound = (np.abs(rows) < _LARGEST).all(axis=1) & (rows != 0).any(axis=1)
    places = []
    for place, pmid in enumerate(pmids.tolist()):
        if pmid not in texts:
            report.counts["not in the index"] += 1
        elif not (texts[pmid].stale or replace):
            report.counts["has a vector already"] += 1
        elif not sound[place]:
            report.counts["unusable"] += 1
            report.unusable.append(pmid)
        else:
            places.append(place)
    if places:
        hashes = [(int(pmids[place]), texts[int(pmids[place])].text_hash) for place in places]
        report.counts["imported"] += writer.store.put_vectors(hashes, normalize(rows[places]))
