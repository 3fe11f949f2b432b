"""Values as PostgreSQL's binary COPY takes them: pgvector's vectors, and words with how often each is there."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np

from search.storage.rows import Vectors

__all__ = ["LENGTHS", "TYPES", "pack_vectors", "pack_words", "rounded_length", "unpack_vectors", "vector_text"]

#: pgvector's type and the numbers in it, big-endian, for each way of storing vectors.
TYPES: dict[str, tuple[str, np.dtype[Any]]] = {
    "float16": ("halfvec", np.dtype(">f2")),
    "float32": ("vector", np.dtype(">f4")),
}

# A tsvector keeps no more places of a word than this.
_MOST_PLACES = 255
#: The number of a word's places and the places 1, 2, 3, ..., for each number.
_PLACES = [struct.pack(f">H{number}H", number, *range(1, number + 1)) for number in range(_MOST_PLACES + 1)]


def pack_vectors(vectors: Vectors, stored: str) -> list[bytes]:
    """Return each row as a `halfvec` or `vector`: its dimension, two bytes for later use, its numbers."""
    head = struct.pack(">HH", vectors.shape[1], 0)
    return [head + row.tobytes() for row in np.ascontiguousarray(vectors, TYPES[stored][1])]


def unpack_vectors(values: list[bytes], stored: str, dimension: int) -> Vectors:
    """Return vectors as they were packed: (n, dimension) float32."""
    kind = TYPES[stored][1]
    whole = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 4 + dimension * kind.itemsize)
    return np.ascontiguousarray(whole[:, 4:]).view(kind).reshape(len(values), dimension).astype(np.float32)


def vector_text(vector: Vectors) -> str:
    """Return one vector as pgvector reads it in a query, to the last digit of a float32."""
    return "[" + ",".join(map(repr, vector.astype(np.float32).astype(float).tolist())) + "]"


def pack_words(counts: Mapping[str, int]) -> bytes:
    """Return words as a `tsvector` in which each word has as many places as it is there times: 1, 2, 3, ...

    The places are not positions in the text. They carry the number of times, which BM25 needs (`postgres_bm25`).
    """
    parts = [struct.pack(">i", len(counts))]
    parts += [word.encode() + b"\0" + _PLACES[min(times, _MOST_PLACES)] for word, times in counts.items()]
    return b"".join(parts)


def _decoded(code: int) -> int:
    """Return the length that a byte stands for in Lucene and tantivy (SmallFloat's byte4)."""
    if code < 24:
        return code
    bits, shift = (code - 24) & 7, ((code - 24) >> 3) - 1
    return 24 + (bits if shift < 0 else (bits | 8) << shift)


#: The lengths in words that tantivy distinguishes: a text counts as long as the next one below.
LENGTHS = [_decoded(code) for code in range(256)]


def rounded_length(count: int) -> int:
    """Return a length in words as tantivy counts it: exact up to 40, then to about an eighth."""
    return LENGTHS[bisect_right(LENGTHS, count) - 1]
