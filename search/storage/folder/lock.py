"""One writer to an index: a lock that names its owner and goes when its owner does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from search.errors import IndexFolderError, IndexLockedError

__all__ = ["WriterLock"]


_PASSWORD = re.compile(r"(?<=://)[^/\s]*@|\bpassword=[^&\s]*")


class _Owner(msgspec.Struct):
    """Who holds the lock, for the message to whoever finds it taken."""

    pid: int
    host: str
    since: str
    command: str


class WriterLock:
    """An advisory lock on `writer.lock`; the kernel releases it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises IndexLockedError, naming the owner, if another process has it.

        IndexFolderError if there are symbolic links in the folder.
        """
        _refuse_links(self._path.parent)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise IndexFolderError(f"{self._path}: {error.strerror}; the index cannot be written") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = _describe(os.pread(descriptor, 4096, 0))
            os.close(descriptor)
            raise IndexLockedError(
                f"{self._path.parent} is being written by {owner}; searching it is possible meanwhile, writing is not"
            ) from None
        command = " ".join(Path(part).name if place == 0 else part for place, part in enumerate(sys.argv))
        # An address of a database may hold a password, which others read here.
        command = _PASSWORD.sub("", command)[:200]
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._descriptor = descriptor
        # The lock is held whether or not there is room to say by whom.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(_Owner(os.getpid(), socket.gethostname(), now, command)), 0)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _refuse_links(folder: Path) -> None:
    """Raise if something in the folder is a symbolic link: an index from elsewhere may have it lead anywhere."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise IndexFolderError(
                f"{path} is a symbolic link: writing the index could overwrite what it leads to; put the file or "
                "folder itself in its place, or a link in place of the whole index"
            )


def _describe(data: bytes) -> str:
    try:
        owner = msgspec.json.decode(data, type=_Owner)
    except msgspec.MsgspecError:
        return "another process"
    return f"process {owner.pid} on {owner.host} (`{owner.command}`, since {owner.since})"
