"""Faiss: find the vectors nearest to a question among many. Its ids are PMIDs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from search.errors import IndexCorruptError
from search.store import Pmids, Vectors

__all__ = ["EXACT_UP_TO", "VectorIndex", "build", "choose"]

#: Up to so many vectors every one is compared; measured in docs/log.md ("Exact or IVF").
EXACT_UP_TO = 50_000

#: Vectors that an inverted-file index is trained on, per cell.
_TRAINING_PER_CELL = 64

_WRITTEN_AT_ONCE = 1 << 20

# PMIDs below this fit a bitmap of 32 MiB at the most; others are looked up in a hash set.
_BITMAP_LIMIT = 1 << 28


def choose(count: int) -> str:
    """Return the Faiss factory string for so many vectors."""
    if count <= EXACT_UP_TO:
        return "IDMap,SQfp16"
    cells = 2 ** round(math.log2(4 * math.sqrt(count)))
    return f"IVF{cells},SQ8"


class VectorIndex:
    """A Faiss index over unit vectors by inner product, which is their cosine."""

    def __init__(self, index: Any, *, exact: bool) -> None:
        self._index = index
        self.exact = exact

    @classmethod
    def read(cls, path: Path, kind: str) -> VectorIndex:
        """Open a file, memory-mapped. Raises IndexCorruptError if Faiss cannot read it."""
        faiss = _faiss()
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        except (RuntimeError, MemoryError) as error:
            raise IndexCorruptError(f"{path}: Faiss cannot read it; `search repair` rebuilds it") from error
        return cls(index, exact=not kind.startswith("IVF"))

    @property
    def count(self) -> int:
        """How many vectors it holds."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """The dimension of its vectors."""
        return int(self._index.d)

    def pmids(self) -> Pmids:
        """Return the PMIDs it holds, ascending."""
        return np.sort(np.concatenate([*self._id_lists(), np.empty(0, np.int64)]))

    def holds(self, pmids: Pmids) -> Pmids:
        """Return those of some PMIDs (ascending) that it holds, ascending."""
        found = [some[np.isin(some, pmids)] for some in self._id_lists()]
        return np.unique(np.concatenate([*found, np.empty(0, np.int64)]))

    def _id_lists(self) -> Iterator[Pmids]:
        faiss = _faiss()
        if self.exact:
            yield faiss.vector_to_array(self._index.id_map)
            return
        lists = self._index.invlists
        for cell in range(lists.nlist):
            if lists.list_size(cell):
                yield faiss.rev_swig_ptr(lists.get_ids(cell), lists.list_size(cell)).copy()

    def write(self, path: Path) -> None:
        """Write it to a file, durable on disk. Raises OSError.

        Faiss's own writing to a file does not raise if the last bytes cannot be written.
        """
        faiss = _faiss()
        failed: list[OSError] = []

        with path.open("wb") as stream:

            def write(data: bytes) -> None:
                try:
                    stream.write(data)
                except OSError as error:
                    failed.append(error)
                    raise

            try:
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(write, _WRITTEN_AT_ONCE))
            except Exception:
                if failed:
                    raise failed[0] from None
                raise
            stream.flush()
            os.fsync(stream.fileno())

    def search(
        self, queries: Vectors, limit: int, *, allowed: Pmids | None = None, excluded: Pmids | None = None
    ) -> tuple[Pmids, Vectors]:
        """Return the nearest PMIDs and their approximate cosines, (n, limit) each; PMID -1 fills short rows.

        `allowed` restricts the search to some PMIDs, `excluded` leaves some out.
        """
        faiss = _faiss()
        keep_alive: list[Any] = []
        selector = _selector(allowed, excluded, keep_alive)
        if isinstance(self._index, faiss.IndexIVF):
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=self._probes(limit, allowed))
        else:
            parameters = faiss.SearchParameters(sel=selector)
        # One question is no faster on more threads, and much slower where another program wants the cores too.
        faiss.omp_set_num_threads(min(len(queries), os.cpu_count() or 1))
        scores, pmids = self._index.search(queries, limit, params=parameters)
        return pmids, scores

    def _probes(self, limit: int, allowed: Pmids | None) -> int:
        """How many cells to look into: more where a filter leaves few matches in each."""
        cells = int(self._index.nlist)
        probes = max(16, cells // 32)
        if allowed is not None:
            share = max(len(allowed), 1) / max(self.count, 1)
            probes = math.ceil(probes / share)
        return min(cells, max(probes, math.ceil(limit * cells / max(self.count, 1))))


def build(batches: Iterable[tuple[Pmids, Vectors]], count: int, sample: Vectors | None, dimension: int) -> VectorIndex:
    """Build an index over batches of (PMIDs, unit vectors), in memory bounded by the index itself.

    `sample` trains an inverted-file index; `training_size` tells how many vectors it should have.
    """
    faiss = _faiss()
    kind = choose(count)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = faiss.index_factory(dimension, kind, faiss.METRIC_INNER_PRODUCT)
    if kind.startswith("IVF"):
        index.cp.spherical = True
        index.train(sample)
    for pmids, vectors in batches:
        index.add_with_ids(vectors, pmids)
    return VectorIndex(index, exact=not kind.startswith("IVF"))


def training_size(count: int) -> int:
    """Return how many vectors the index for so many is trained on; 0 if it needs no training."""
    kind = choose(count)
    if not kind.startswith("IVF"):
        return 0
    cells = int(kind[3:].split(",")[0])
    return min(count, cells * _TRAINING_PER_CELL)


def _faiss() -> Any:
    """Import Faiss when it is first used. Its stubs do not know the keyword arguments that its classes take."""
    import faiss

    return faiss


def _selector(allowed: Pmids | None, excluded: Pmids | None, keep_alive: list[Any]) -> Any:
    faiss = _faiss()
    if allowed is not None:
        wanted = np.setdiff1d(allowed, excluded) if excluded is not None and len(excluded) else allowed
        return _membership(wanted, keep_alive)
    if excluded is None or not len(excluded):
        return None
    inner = _membership(excluded, keep_alive)
    keep_alive.append(inner)
    return faiss.IDSelectorNot(inner)


def _membership(pmids: Pmids, keep_alive: list[Any]) -> Any:
    faiss = _faiss()
    largest = int(pmids.max(initial=0))
    if largest < _BITMAP_LIMIT and len(pmids) > 1000:
        bits = np.zeros(largest // 8 + 1, np.uint8)
        np.bitwise_or.at(bits, pmids >> 3, np.left_shift(1, pmids & 7).astype(np.uint8))
        keep_alive.append(bits)
        return faiss.IDSelectorBitmap(bits)
    return faiss.IDSelectorBatch(pmids)
