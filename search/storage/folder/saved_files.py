"""The files of saved searches: small, one a name, replaced atomically."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec

from search.files import fsync_folder, sealed, unsealed, write_atomically

__all__ = ["SavedFolder"]


class SavedFolder:
    """`saved/NAME.json` in an index folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "saved"

    def names(self) -> list[str]:
        """Return their names in order."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def read(self, name: str) -> bytes:
        """Return one. Raises FileNotFoundError if it is not there, another OSError if it cannot be read.

        ValueError if it is damaged.
        """
        return msgspec.json.encode(unsealed((self._folder / f"{name}.json").read_bytes()))

    def delete(self, name: str) -> None:
        """Delete one. Raises FileNotFoundError if it is not there, another OSError if it cannot be deleted."""
        (self._folder / f"{name}.json").unlink()
        fsync_folder(self._folder)

    def write(self, name: str, content: bytes) -> None:
        """Replace one so that a crash leaves the old or the new. Raises OSError.

        Only the user who saved it may read it: a question may say much of who asks it.
        """
        if self._folder.is_symlink():
            raise OSError(errno.ELOOP, "is a symbolic link, and what it leads to is not written", str(self._folder))
        self._folder.mkdir(exist_ok=True)
        fsync_folder(self._folder.parent)
        write_atomically(self._folder / f"{name}.json", sealed(msgspec.json.decode(content)), mode=0o600)
