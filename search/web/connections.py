"""Limits on connections: how long one may be silent, and how many there may be."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BACKLOG", "HEADER_SECONDS", "LimitedProtocol", "most_connections"]

#: A request that has begun must have sent its headers after so many seconds.
HEADER_SECONDS = 10.0

#: Connections that are accepted at a time.
BACKLOG = 128


def most_connections() -> int:
    """Return how many connections may be open: half of the files that this process may have open, 1,000 at most."""
    if sys.platform == "win32":
        return 1000  # Sockets are not files there.
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else min(1000, files // 2)


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 on a connection that is closed if a request does not come, or to make room for another.

    Where there are too many, the one that has been without a request for longest goes.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most = most_connections()
        self._idle_since = 0.0
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, and close another one if there are too many."""
        super().connection_made(transport)
        self._become_idle()
        self._start_timer()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come; the headers of a request must follow each other soon."""
        super().data_received(data)
        if not self._is_idle():
            self._stop_timer()
        elif self._header_timer is None:
            self._start_timer()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._become_idle()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _become_idle(self) -> None:
        self._idle_since = self.loop.time()

    def _start_timer(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_too_late)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_too_late(self) -> None:
        self._header_timer = None
        if self._is_idle():
            self.transport.close()

    def _make_room(self) -> None:
        idle = [other for other in self.connections if isinstance(other, LimitedProtocol) and other._is_idle()]
        oldest = min(idle, key=lambda other: other._idle_since)
        self.connections.discard(oldest)
        oldest.transport.close()
