"""What the parts of the Python API share of an open index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from search.config import Config
from search.retrieval.engine import Engine
from search.storage.manifest import Manifest

if TYPE_CHECKING:
    from search.models import Encoder
    from search.storage.backend import Reader

__all__ = ["OpenedIndex"]


class OpenedIndex:
    """An index at an address, open for reading; `search.api.Index` is what is made of it."""

    address: str | Path
    config: Config
    _reader: Reader
    _engine: Engine

    @property
    def manifest(self) -> Manifest:
        """What the folder is: model, dimension, text rule, generation."""
        return self._reader.manifest

    @property
    def encoder(self) -> Encoder:
        """The model the index was made with."""
        raise NotImplementedError
