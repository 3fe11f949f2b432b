"""One writer to an index: a lock that names its owner and goes when its owner does."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from search.errors import IndexFolderError, IndexLockedError
from search.files import utc_now

__all__ = ["WriterLock"]

_PASSWORD = re.compile(r"(?<=://)[^\s]*@|\b(ssl)?password=[^&\s]*")


class _Owner(msgspec.Struct):
    """Who holds the lock, for the message to whoever finds it taken."""

    pid: int
    host: str
    since: str
    command: str


class WriterLock:
    """A lock on `writer.lock`; the kernel releases it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "writer.lock"
        self._descriptor = -1
        self._lock = FileLock(
            self._path, mode=0o644, thread_local=False, fallback_to_soft=False, on_acquired=self._sign
        )

    def acquire(self) -> None:
        """Take the lock. Raises IndexLockedError, naming the owner, if another process has it.

        IndexFolderError if there are symbolic links in the folder.
        """
        _refuse_links(self._path.parent)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise IndexLockedError(
                f"{self._path.parent} is being written by {_describe(self._path)}; it can be searched meanwhile, not "
                "written"
            ) from None
        except OSError as error:
            raise IndexFolderError(f"{self._path}: {error.strerror}; the index cannot be written") from error

    def release(self) -> None:
        """Give the lock back."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            self._lock.release()

    def check(self) -> None:
        """Raise IndexLockedError if the file was removed under its holder: another process may hold a new one."""
        try:
            named = self._path.stat().st_ino
        except OSError:
            named = -1
        if named != os.fstat(self._descriptor).st_ino:
            raise IndexLockedError(
                f"{self._path} was removed while the index was being written; nothing more is written, run the same "
                "command again"
            )

    def _sign(self, descriptor: int) -> None:
        """Write into the lock who holds it."""
        self._descriptor = descriptor
        command = " ".join(Path(part).name if number == 0 else part for number, part in enumerate(sys.argv))
        # An address of a database may hold a password, which others read here.
        command = _PASSWORD.sub("", command)[:200].encode("utf-8", "replace").decode()
        owner = _Owner(os.getpid(), socket.gethostname(), utc_now(), command)
        # The lock is held whether or not there is room to say by whom.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, msgspec.json.encode(owner))


def _refuse_links(folder: Path) -> None:
    """Raise if something in the folder is a symbolic link: an index from elsewhere may have it lead anywhere."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise IndexFolderError(
                f"{path} is a symbolic link: writing the index could overwrite what it leads to; put the file or "
                "folder itself in its place, or a link in place of the whole index"
            )


def _describe(lock: Path) -> str:
    try:
        owner = msgspec.json.decode(lock.read_bytes(), type=_Owner)
    except (OSError, msgspec.MsgspecError):
        return "another process"
    return f"process {owner.pid} on {owner.host} (`{owner.command}`, since {owner.since})"
