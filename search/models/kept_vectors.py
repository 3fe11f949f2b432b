"""Vectors of texts that are kept in memory, so that what was encoded lately is not encoded again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search.models.tokens import Text

__all__ = ["KeptVectors"]

Vectors = npt.NDArray[np.float32]


class KeptVectors:
    """Encodes texts, and keeps the vectors of the last `most` of them; safe in several threads.

    `encode` gives (texts, dimension) float32. All the memory is taken with the first vector (15 MB for 10,000 of 384
    dimensions), and the texts themselves are not kept. `texts_encoded` counts the texts that were not found.
    """

    def __init__(self, encode: Callable[[list[Any]], Vectors], most: int) -> None:
        self._encode = encode
        self._most = most
        self._rows: OrderedDict[bytes, int] = OrderedDict()
        self._vectors: Vectors | None = None
        self._lock = threading.Lock()
        self.texts_encoded = 0

    def __call__(self, texts: Sequence[Text]) -> Vectors:
        """Return the vectors of the texts, (texts, dimension) float32; at least one text must be given."""
        vectors = self._find(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        if missing:
            new = dict(zip(missing, self._encode(missing), strict=True))
            self._remember(new)
            vectors.update(new)
        return np.stack([vectors[text] for text in texts])

    def _find(self, texts: Sequence[Text]) -> dict[Text, Vectors]:
        vectors = {}
        with self._lock:
            for text in dict.fromkeys(texts):
                row = self._rows.get(key := _key(text))
                if row is not None and self._vectors is not None:
                    self._rows.move_to_end(key)
                    vectors[text] = self._vectors[row].copy()
        return vectors

    def _remember(self, vectors: dict[Text, Vectors]) -> None:
        with self._lock:
            self.texts_encoded += len(vectors)
            for text, vector in vectors.items():
                if self._vectors is None:
                    # Written to, not only requested: the system gives memory when it is first written to.
                    self._vectors = np.full((self._most, len(vector)), np.nan, np.float32)
                row = self._rows.pop(key := _key(text), None)
                if row is None:
                    row = len(self._rows) if len(self._rows) < self._most else self._rows.popitem(last=False)[1]
                self._rows[key] = row
                self._vectors[row] = vector


def _key(text: Text) -> bytes:
    return hashlib.blake2b(f"{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
