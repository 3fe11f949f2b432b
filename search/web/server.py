"""Running the server: its socket, its log, and its end."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from search.config import Config, ServeConfig
from search.errors import ConfigError
from search.web.app import make_app
from search.web.connections import BACKLOG, LimitedProtocol
from search.web.guard import is_loopback, is_open
from search.web.service import Service

__all__ = ["run", "serve"]

#: So long the end of the server waits for threads whose requests have been answered or given up.
_LAST_SECONDS = 2.0


def serve(address: str | Path, config: Config, started: Callable[[str, str], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; requests in progress are finished.

    `started` is called with the name of the index and the address of the server when it is ready. Raises ConfigError
    where others could reach the server or it may write and there is no token, or the address is not available.
    """

    def make() -> tuple[str, ASGIApp]:
        service = Service(address, config)
        return service.index.name, make_app(service)

    run(make, config.serve, started)


def run(make: Callable[[], tuple[str, ASGIApp]], settings: ServeConfig, started: Callable[[str, str], None]) -> None:
    """Run an application at an address; `make` creates it, with a name for it, once the address is bound."""
    _check_tokens(settings)
    listener = _listen(settings.host, settings.port)
    try:
        name, app = make()
    except BaseException:
        listener.close()
        raise
    _start_log()
    # A request passes from thread to thread: one that computes must not hold up the others five milliseconds each time.
    sys.setswitchinterval(0.0005)
    options = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        # Every request has a time limit, so none is cut off when the server stops.
        timeout_graceful_shutdown=math.ceil(settings.seconds) + 1,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=65_536,
        http=LimitedProtocol,
        ws="none",
        loop="asyncio",
        backlog=BACKLOG,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    port = listener.getsockname()[1]
    started(name, f"http://{'localhost' if is_loopback(settings.host) else host}:{port}/")
    try:
        uvicorn.Server(options).run(sockets=[listener])
    finally:
        _leave_what_does_not_end()


def _leave_what_does_not_end() -> None:
    """End the process if an abandoned request still runs in a thread: the interpreter would wait for it."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(_LAST_SECONDS / len(others))
    if any(thread.is_alive() for thread in others):
        logging.getLogger("search.web").warning("work that did not end in its time was left")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _check_tokens(settings: ServeConfig) -> None:
    if not settings.tokens and not is_open(settings):
        raise ConfigError(
            f"other machines could reach the server at {settings.host}: make a token with `search token` and put "
            "its hash into `serve: tokens` of the configuration"
        )


def _listen(host: str, port: int) -> socket.socket:
    """Bind the address. Raises ConfigError if that fails."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{host}: {error.strerror or error}") from error
    try:
        # On Windows that would take the address from a server that has it.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{host} port {port}: {error.strerror}; `--port` takes another") from error
    return listener


def _start_log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    log = logging.getLogger("search.web")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
