"""Faiss: find the vectors nearest to a question among many. Its ids are PMIDs."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from search.errors import IndexCorruptError
from search.storage.members import are_among, distinct
from search.storage.rows import Pmids, Vectors

__all__ = ["EXACT_UP_TO", "TIES", "VectorIndex", "build", "choose"]

#: Up to so many vectors every one is compared; measured in docs/log.md ("Exact or IVF").
EXACT_UP_TO = 50_000

#: From so many dimensions on, one bit of each is enough to choose candidates by; docs/benchmarks has the measurements.
_BITS_FROM = 256

#: Vectors that an inverted-file index is trained on, per cell, and how often the cells are moved.
_TRAINING_PER_CELL = 50
_TRAINING_ROUNDS = 10

#: How the names of those kinds end that Faiss cannot map into memory, and the kind whose codes it maps as one array.
_READ_INTO_MEMORY = "fs"
_MAPPED_WHOLE = "IDMap,SQfp16"

#: One cell in so many is looked into, and never fewer than these.
_SHARE_PROBED = 32
_LEAST_PROBED = 64

#: Filters are made ready for a search once, and so many are kept; a page sends the same again and again.
_SELECTORS_KEPT = 4

#: An approximate index gives this many times the candidates, but so many at least; exact cosines decide.
_OVERSAMPLING = 4
_LEAST_CANDIDATES = 200

#: So many more are taken from an exact one: equal texts have equal scores, and the order among them is by PMID.
TIES = 16

_WRITTEN_AT_ONCE = 1 << 20

# PMIDs below this fit a bitmap of 32 MiB at the most; others are looked up in a hash set.
_BITMAP_LIMIT = 1 << 28


def choose(count: int, dimension: int) -> str:
    """Return the Faiss factory string for so many vectors."""
    if count <= EXACT_UP_TO:
        return "IDMap,SQfp16"
    if dimension < _BITS_FROM:
        return f"IVF{_cells(4 * math.sqrt(count))},SQ8"
    # More cells than this cost more to build than they save: one bit a dimension is compared very fast.
    return f"IVF{_cells(1.3 * math.sqrt(count))},RaBitQfs"


def _cells(number: float) -> int:
    return int(2 ** round(math.log2(number)))


class VectorIndex:
    """A Faiss index over unit vectors by inner product, which is their cosine."""

    def __init__(self, load: Callable[[], Any], *, exact: bool) -> None:
        self._load = load
        self.exact = exact
        self._selectors: LRUCache[tuple[int, int], tuple[Any, ...]] = LRUCache(_SELECTORS_KEPT)
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path, kind: str, holding: tuple[int, int] | None = None) -> VectorIndex:
        """Open a file: memory-mapped, or read by a thread where Faiss cannot map its kind; so opening takes no time.

        `holding` is how many vectors of how many dimensions it should hold. Raises IndexCorruptError if Faiss cannot
        read it or it holds others; where a thread reads it, the first caller that needs it waits and raises.
        """
        faiss = _faiss()
        flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
        if kind == _MAPPED_WHOLE:
            index = _checked(path, lambda: faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), holding)
            return cls(lambda: index, exact=True)
        try:
            # It is opened now: a writer may remove it at any time.
            file = faiss.FileIOReader(str(path))
        except RuntimeError as error:
            raise IndexCorruptError(f"{path}: Faiss cannot read it; `search repair` rebuilds it") from error
        if not kind.endswith(_READ_INTO_MEMORY):
            index = _checked(path, lambda: faiss.read_index(file, flags), holding)
            return cls(lambda: index, exact=not kind.startswith("IVF"))
        pool = ThreadPoolExecutor(1, "read")
        reading = pool.submit(faiss.read_index, file, flags)
        pool.shutdown(wait=False)
        return cls(lambda: _checked(path, reading.result, holding), exact=not kind.startswith("IVF"))

    @cached_property
    def _index(self) -> Any:
        return self._load()

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
        if not len(pmids):
            return pmids
        held = [np.empty(0, np.int64), *(some[are_among(some, pmids)] for some in self._id_lists())]
        return distinct(*held)

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

    def candidates(self, limit: int) -> int:
        """Return how many to ask for so that, by their exact cosines, the best `limit` are among them."""
        count = limit + TIES if self.exact else max(limit * _OVERSAMPLING, _LEAST_CANDIDATES)
        return min(count, self.count)

    def search(
        self, queries: Vectors, limit: int, *, allowed: Pmids | None = None, excluded: Pmids | None = None
    ) -> tuple[Pmids, Vectors]:
        """Return the nearest PMIDs and their approximate cosines, (n, limit) each; PMID -1 fills short rows.

        `allowed` restricts the search to some PMIDs, `excluded` leaves some out.
        """
        faiss = _faiss()
        selector = self._selector(allowed, excluded)
        if isinstance(self._index, faiss.IndexIVF):
            parameters = faiss.SearchParametersIVF(sel=selector[0], nprobe=self._probes(limit, allowed))
        else:
            parameters = faiss.SearchParameters(sel=selector[0])
        # One question is no faster on more threads, and much slower where another program wants the cores too.
        faiss.omp_set_num_threads(min(len(queries), os.cpu_count() or 1))
        scores, pmids = self._index.search(queries, limit, params=parameters)
        return pmids, scores

    def _selector(self, allowed: Pmids | None, excluded: Pmids | None) -> tuple[Any, ...]:
        """Return Faiss's form of a filter, and what must live as long as it.

        It is found again by the arrays themselves, which nobody changes.
        """
        if allowed is None and (excluded is None or not len(excluded)):
            return (None,)
        key = (id(allowed), id(excluded))
        with self._lock:
            selector = self._selectors.get(key)
            if selector is None:
                # The arrays are kept with it, so that no other array can get their place in memory.
                selector = self._selectors[key] = (*_made_ready(allowed, excluded), allowed, excluded)
            return selector

    def _probes(self, limit: int, allowed: Pmids | None) -> int:
        """How many cells to look into: more where a filter leaves few matches in each."""
        cells = int(self._index.nlist)
        probes = max(_LEAST_PROBED, cells // _SHARE_PROBED)
        if allowed is not None:
            share = max(len(allowed), 1) / max(self.count, 1)
            # What passes lies further from the question, and so in more cells; measured, the root is enough.
            probes = math.ceil(probes / math.sqrt(min(share, 1.0)))
        return min(cells, max(probes, math.ceil(limit * cells / max(self.count, 1))))


def build(batches: Iterable[tuple[Pmids, Vectors]], count: int, sample: Vectors | None, dimension: int) -> VectorIndex:
    """Build an index over batches of (PMIDs, unit vectors), in memory bounded by the index itself.

    `sample` trains an inverted-file index; `training_size` says how many vectors it should have.
    """
    faiss = _faiss()
    kind = choose(count, dimension)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = faiss.index_factory(dimension, kind, faiss.METRIC_INNER_PRODUCT)
    if kind.startswith("IVF"):
        index.cp.spherical = True
        index.cp.niter = _TRAINING_ROUNDS
        index.train(sample)
    for pmids, vectors in batches:
        index.add_with_ids(vectors, pmids)
    return VectorIndex(lambda: index, exact=not kind.startswith("IVF"))


def training_size(count: int, dimension: int) -> int:
    """Return how many vectors the index for so many is trained on; 0 if it needs no training."""
    kind = choose(count, dimension)
    if not kind.startswith("IVF"):
        return 0
    return min(count, int(kind[3:].split(",")[0]) * _TRAINING_PER_CELL)


def _faiss() -> Any:
    """Import Faiss when it is first used. Its stubs do not know the keyword arguments that its classes take."""
    import faiss

    return faiss


def _checked(path: Path, read: Callable[[], Any], holding: tuple[int, int] | None) -> Any:
    try:
        index = read()
    except (RuntimeError, MemoryError) as error:
        raise IndexCorruptError(f"{path}: Faiss cannot read it; `search repair` rebuilds it") from error
    actual = (int(index.ntotal), int(index.d))
    if holding is not None and actual != holding:
        raise IndexCorruptError(
            f"{path} holds {actual[0]} vectors of {actual[1]} dimensions, the manifest says {holding[0]} of "
            f"{holding[1]}; `search repair` rebuilds it"
        )
    return index


def _made_ready(allowed: Pmids | None, excluded: Pmids | None) -> tuple[Any, ...]:
    """Return a selector and what it holds on to."""
    faiss = _faiss()
    if allowed is not None:
        passing = np.setdiff1d(allowed, excluded, assume_unique=True) if excluded is not None else allowed
        return _membership(passing)
    inner = _membership(np.empty(0, np.int64) if excluded is None else excluded)
    return (faiss.IDSelectorNot(inner[0]), *inner)


def _membership(pmids: Pmids) -> tuple[Any, ...]:
    faiss = _faiss()
    largest = int(pmids.max(initial=0))
    if largest < _BITMAP_LIMIT and len(pmids) > 1000:
        member = np.zeros(largest + 1, bool)
        member[pmids] = True
        bits = np.packbits(member, bitorder="little")
        return faiss.IDSelectorBitmap(bits), bits
    return (faiss.IDSelectorBatch(pmids),)
