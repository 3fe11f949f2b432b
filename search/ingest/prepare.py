"""Read records and prepare them for the store, in worker processes for long sources; their order is kept."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from search.article import Article, Deletion, from_json, to_json
from search.errors import SearchError, SourceError
from search.files import available_cores
from search.formats.base import LeftOut, Record, Rejection
from search.storage.rows import ArticleRow, prepare

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["NotOfPart", "Prepared", "Preparer"]

#: Parts of a source that are read here before processes are started, which takes longer than reading so much.
_PARTS_READ_HERE = 3


class NotOfPart(msgspec.Struct, frozen=True, gc=False):
    """An article that does not belong to the part of PubMed that is kept; most are looked at no further."""

    pmid: int
    document: bytes

    def row(self) -> ArticleRow:
        """Return the article prepared for the store."""
        return prepare(from_json(self.document))


Prepared = ArticleRow | NotOfPart | Deletion | Rejection | LeftOut

#: The records of a part of a source up to its end, or up to an error and that error's message.
_PartRead = tuple[list[Prepared], str | None]


class Preparer:
    """Reads sources and prepares their records, with up to so many processes.

    `part` decides which articles are kept.

    Processes are started when a source turns out to be long, and ended by `close`.
    """

    def __init__(self, part: Callable[[Article], bool] | None = None, processes: int | None = None) -> None:
        self._part = part
        self._processes = available_cores() if processes is None else processes
        self._executor: Executor | None = None

    def close(self) -> None:
        """End the processes, at once."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
            self._executor = None

    def read(self, source: Iterable[Record]) -> Iterator[Prepared]:
        """Yield the records of a source in its order; raises what the source raises, after what came before."""
        parts = getattr(source, "parts", None)
        if parts is None or self._processes < 2:
            yield from _prepared(source, self._part)
            return
        ahead = parts()
        for part in islice(ahead, _PARTS_READ_HERE if self._executor is None else 0):
            yield from _prepared(part(), self._part)
        yield from self._read_elsewhere(ahead)

    def _read_elsewhere(self, parts: Iterator[Callable[[], Iterable[Record]]]) -> Iterator[Prepared]:
        """Read parts in the processes, some ahead of need."""
        waiting: deque[Future[_PartRead]] = deque()
        problem: SourceError | None = None
        while True:
            while problem is None and len(waiting) <= 2 * self._processes:
                try:
                    part = next(parts)
                except StopIteration:
                    break
                except SourceError as error:
                    problem = error
                    break
                waiting.append(self._pool().submit(_read_part, part, self._part))
            if not waiting:
                break
            records, message = _result(waiting.popleft())
            yield from records
            if message is not None:
                raise SourceError(message)
        if problem is not None:
            raise problem

    def _pool(self) -> Executor:
        if self._executor is None:
            # Unlike the standard library's, its processes do not run the script that called us again.
            from loky import ProcessPoolExecutor

            self._executor = ProcessPoolExecutor(self._processes, timeout=10, initializer=_leave_interrupts)
        return self._executor


def _result(future: Future[_PartRead]) -> _PartRead:
    try:
        return future.result()
    except BrokenExecutor as error:
        raise SearchError(
            "a process that read records was ended from outside, most likely for want of memory; what was committed "
            "stays, and the same command resumes from there"
        ) from error


def _prepared(records: Iterable[Record], part: Callable[[Article], bool] | None) -> Iterator[Prepared]:
    for record in records:
        if not isinstance(record, Article):
            yield record
        elif part is None or part(record):
            yield prepare(record)
        else:
            yield NotOfPart(record.pmid, to_json(record))


def _read_part(part: Callable[[], Iterable[Record]], belongs: Callable[[Article], bool] | None) -> _PartRead:
    """Return what a part of a source says up to its end, or to an error, and that error's message."""
    records: list[Prepared] = []
    try:
        for record in _prepared(part(), belongs):
            records.append(record)  # noqa: PERF402 - a list that keeps what came before an error
    except SourceError as error:
        return records, str(error)
    return records, None


def _leave_interrupts() -> None:
    """Let Ctrl-C be the business of the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
