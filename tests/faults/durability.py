"""What a disk would hold after a power cut: a kill loses nothing that was written, a power cut all that was not synced.

`Disk` follows a folder through the calls of a supervised process and knows, at any moment, what is durable: the
contents of a file as of its last fsync, and the names in a folder as of that folder's last fsync. Real file systems
keep more than that, never less.
"""

import itertools
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The durable state of a folder; all that is there when it begins counts as durable."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        self.version = 0
        self._numbers = itertools.count(1)
        # Inodes are given out again: a number of our own stands for each file for as long as it has a name.
        self._files = {}
        self._contents = {}
        self._folders = {}
        for path in [self.root, *self.root.rglob("*")]:
            self._sync(path)

    def note(self, call):
        """Take note of a call that is about to happen."""
        if call.is_sync and call.paths[0].exists():
            self._sync(call.paths[0])
            self.version += 1
        elif call.name.startswith(("unlink", "rmdir", "rename")):
            gone = call.paths[-1]
            if gone.exists() and (gone.is_dir() or gone.stat().st_nlink == 1):
                self._files.pop(gone.stat().st_ino, None)

    def _sync(self, path):
        if path.is_dir():
            self._folders[self._number(path)] = {
                entry.name: (self._number(entry), entry.is_dir()) for entry in path.iterdir()
            }
        else:
            self._contents[self._number(path)] = path.read_bytes()

    def _number(self, path):
        inode = path.stat().st_ino
        if inode not in self._files:
            self._files[inode] = next(self._numbers)
        return self._files[inode]

    def write_strict(self, target):
        """Make a folder that holds only what is durable: names too are those of the last fsync of their folder."""
        self._write_folder(self._number(self.root), Path(target))

    def _write_folder(self, number, target):
        target.mkdir(parents=True, exist_ok=True)
        for name, (entry, is_folder) in self._folders.get(number, {}).items():
            if is_folder:
                self._write_folder(entry, target / name)
            else:
                (target / name).write_bytes(self._contents.get(entry, b""))

    def write_named(self, target):
        """Make a folder with all names as they are now, and of the files only the contents that are durable.

        This is what is left where a file system writes names before contents, as after a rename without an fsync.
        """
        for path in [self.root, *sorted(self.root.rglob("*"))]:
            copy = Path(target) / path.relative_to(self.root)
            if path.is_dir():
                copy.mkdir(parents=True, exist_ok=True)
            else:
                copy.write_bytes(self._contents.get(self._number(path), b""))
