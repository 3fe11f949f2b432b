"""How far a run is that adds records, or encodes them."""

from __future__ import annotations

import msgspec

__all__ = ["Progress"]


class Progress(msgspec.Struct):
    """How far a run is. `fraction` is that of all bytes to read, 0 where it cannot be known (standard input).

    Once all is read, `searchable` is how many articles wait to be encoded or were encoded since, and `fraction` theirs.
    """

    file: str
    read: int
    encoded: int
    fraction: float
    searchable: int = 0
