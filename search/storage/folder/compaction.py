"""Make one large segment of several in a thread with its own view of the store, while the writer continues."""

from __future__ import annotations

import threading
from pathlib import Path

from search.storage.folder.folder_manifest import DATABASE, Kind, VectorSegment
from search.storage.folder.segments import write_segment
from search.storage.folder.sqlite_reader import StoreReader

__all__ = ["Compaction"]


class Compaction:
    """Builds the segment that replaces several neighbours; the writer makes it active when it is ready."""

    def __init__(self, folder: Path, number: int, kind: Kind, replaced: tuple[VectorSegment, ...]) -> None:
        self.number = number
        self.kind = kind
        self.replaced = replaced
        self._folder = folder
        self._stop = threading.Event()
        self._result: VectorSegment | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="compaction", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it has come to an end."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End it without a result; its files are left over and removed by the next writer."""
        self._stop.set()
        self._thread.join()

    def result(self) -> VectorSegment | None:
        """Wait for the segment; None if nothing is left to hold. Raises what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            store = StoreReader(self._folder / DATABASE)
            try:
                with store.snapshot():
                    since, change = self.replaced[0].since, self.replaced[-1].change
                    self._result = write_segment(
                        self._folder, self.number, store, self.kind, since, change, stopped=self._stop.is_set
                    )
            finally:
                store.close()
        except BaseException as error:
            self._error = error
