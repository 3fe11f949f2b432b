"""What an index is, wherever it is kept: the model and the rules that its vectors and texts were made by."""

from __future__ import annotations

from typing import Any

import msgspec

from search.config import ModelConfig
from search.errors import IndexFolderError
from search.files import utc_now

__all__ = ["FORMAT", "Manifest", "check_format"]

#: Version of the layout of an index: tables, folder and manifest.
FORMAT = 4


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an index is. `generation` counts merges; `copy_of` names the index of which it is an unfinished copy.

    `static` is the fingerprint of what its static vectors are made with, empty if it has none.
    """

    format: int = FORMAT
    model: str
    #: How the model is used: pooling, prompts, lengths, dimension, revision.
    model_settings: ModelConfig | None = None
    model_notes: tuple[str, ...] = ()
    fingerprint: str
    dimension: int
    text_rule: str
    vectors: str
    static: str = ""
    copy_of: str | None = None
    created: str = msgspec.field(default_factory=utc_now)
    generation: int = 0

    @property
    def pairs(self) -> bool:
        """Whether the model reads an article as the pair of its title and its abstract."""
        return self.model_settings is not None and self.model_settings.pairs

    @property
    def used_model(self) -> str | ModelConfig:
        """The model as it is to be loaded again, used as it was when the index was made."""
        return self.model_settings or self.model


def check_format(content: Any, name: str) -> None:
    """Raise IndexFolderError if a manifest as it was read, of the index `name`, is of another format than this one."""
    version = content.get("format") if isinstance(content, dict) else None
    if version == FORMAT:
        return
    if isinstance(version, int) and version > FORMAT:
        raise IndexFolderError(
            f"{name} has index format {version} and this program reads format {FORMAT}; update the program"
        )
    raise IndexFolderError(
        f"{name} was made by an earlier development version of this program; make a new index and add the records again"
    )
