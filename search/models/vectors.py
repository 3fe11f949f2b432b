"""The one place where vectors are made unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["normalize"]


def normalize(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the rows of `vectors` (n, dimension) scaled to unit length, as float32; a zero row stays zero.

    Lengths are taken in float64, so float16 rows neither overflow nor lose precision.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    lengths[lengths == 0.0] = 1.0
    return np.ascontiguousarray(rows / lengths[:, None].astype(np.float32))
