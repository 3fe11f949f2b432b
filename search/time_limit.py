"""A time limit on what a thread does: work that may be long asks now and then whether its time has run out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from search.errors import TimeLimitError

__all__ = ["check_time", "has_run_out", "seconds_left", "time_limit"]

_END: ContextVar[float | None] = ContextVar("end", default=None)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let what this thread does within the block take so many seconds; one within another ends with the sooner."""
    end = time.monotonic() + seconds
    outer = _END.get()
    token = _END.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _END.reset(token)


def seconds_left() -> float | None:
    """Return the seconds that are left to this thread, none of them if the time has run out; None without a limit."""
    end = _END.get()
    return None if end is None else max(0.0, end - time.monotonic())


def has_run_out() -> bool:
    """Whether this thread has a time limit that is past."""
    return seconds_left() == 0.0


def check_time() -> None:
    """Raise TimeLimitError if this thread's time has run out."""
    if has_run_out():
        raise TimeLimitError("the answer took longer than its time limit")
