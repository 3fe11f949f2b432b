"""Asking a web service that may be slow, busy or broken for a while: retries, and what an error may say."""

from __future__ import annotations

import functools
import logging
import math
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec

from search.errors import SourceError

__all__ = ["Patience", "TransientError", "ask", "check_status", "failure", "make_client", "persist"]

_Result = TypeVar("_Result")

#: Reports what the program waits for; without a handler, Python writes it to standard error.
log = logging.getLogger("search.pubmed")

#: Nobody waits longer than so many seconds without a word, and no longer for a connection.
_SILENCE = 10.0

_USER_AGENT = "pubmed-semantic-search"

#: No answer to `ask` comes near this size, uncompressed.
_MOST_BYTES = 1 << 27


class TransientError(SourceError):
    """A failure that may be gone in a moment; `after` is how many seconds the service asks to wait.

    `progressed` tells that something was gained in the attempt, so that a long download over a line that breaks often
    is not given up.
    """

    def __init__(self, reason: str, after: float = 0.0, *, progressed: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.progressed = progressed


class Patience(msgspec.Struct, frozen=True):
    """How often to try, and how long to wait: `first` seconds, then twice as long each time up to `longest`.

    A wait is shortened by up to a half at random, so that processes which failed together do not come back together.
    """

    attempts: int = 9
    first: float = 1.0
    longest: float = 60.0
    #: A service that asks for a longer pause than this many seconds ends the command with an error.
    longest_asked: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait(self, what: str, reason: str, failures: int, asked: float) -> None:
        """Wait before the next attempt, after so many failures in a row, and say so."""
        pause = min(self.first * 2 ** (failures - 1), self.longest) * (1 - self.jitter() / 2)
        pause = max(pause, asked)
        log.warning(
            "%s: %s; retrying (%d of %d) in %.0f s", what, reason, failures + 1, self.attempts, math.ceil(pause)
        )
        while pause > _SILENCE:
            self.sleep(_SILENCE)
            pause -= _SILENCE
            log.warning("%s: retrying (%d of %d) in %.0f s", what, failures + 1, self.attempts, math.ceil(pause))
        self.sleep(pause)


def make_client(
    timeout: float, *, headers: Mapping[str, str] | None = None, redirects: bool = False, proxies: bool = True
) -> httpx.Client:
    """Return a client that names this program, and waits `timeout` seconds at most for each sign of life.

    Without `proxies` those of the environment are passed by.
    """
    return httpx.Client(
        timeout=httpx.Timeout(timeout, connect=min(timeout, _SILENCE)),
        follow_redirects=redirects,
        trust_env=proxies,
        headers={"User-Agent": _USER_AGENT, **(headers or {})},
        verify=_certificates(),
    )


def ask(client: httpx.Client, method: str, url: str, data: Mapping[str, str] | None = None) -> httpx.Response:
    """Send a request and return the answer, read and unpacked. Raises SourceError if it is larger than any is."""
    body = bytearray()
    with _heard(httpx.URL(url).host), client.stream(method, url, data=data) as response:
        for piece in response.iter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                host = response.request.url.host
                raise SourceError(f"{host}: the answer is over {_MOST_BYTES >> 20} MB and was not read to its end")
    packing = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in packing]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


@contextmanager
def _heard(host: str) -> Iterator[None]:
    """Say every ten seconds that an answer is waited for."""
    answered = threading.Event()

    def tell() -> None:
        while not answered.wait(_SILENCE):
            log.warning("%s: waiting for an answer", host)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        answered.set()
        thread.join()


@functools.cache
def _certificates() -> ssl.SSLContext:
    # Reading them takes a tenth of a second.
    return httpx.create_ssl_context()


def persist(what: str, attempt: Callable[[], _Result], patience: Patience) -> _Result:
    """Call `attempt` until it does not raise TransientError or a network error of httpx.

    Raises SourceError, which names `what` and the last reason, when patience is at its end. Messages of httpx and the
    URL never reach the error: they may hold a key.
    """
    failures = 0
    while True:
        try:
            return attempt()
        except TransientError as error:
            if _is_unknown_name(error):
                raise SourceError(f"{what}: {error}") from error
            reason, after, progressed = str(error), error.after, error.progressed
        except httpx.HTTPError as error:
            if _is_unknown_name(error):
                raise SourceError(f"{what}: {failure(error)}") from error
            reason, after, progressed = failure(error), 0.0, False
        failures = 1 if progressed else failures + 1
        if after > patience.longest_asked:
            raise SourceError(f"{what}: {reason}, and asks to wait {after:.0f} s; try again later")
        if failures >= patience.attempts:
            raise SourceError(f"{what}: {reason} ({failures} attempts); try again later, what was done is kept")
        patience.wait(what, reason, failures, after)


def _is_unknown_name(error: BaseException | None) -> bool:
    """Whether a connection failed because the name of the server could not be resolved."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return True
        error = error.__cause__ or error.__context__
    return False


def failure(error: httpx.HTTPError) -> str:
    """Return a message of our own for what went wrong on the network."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection broke off in the middle of the answer"
    if _is_unknown_name(error):
        return "the name of the server cannot be resolved (is the network there, is the URL in config.yml right?)"
    if isinstance(error, httpx.ConnectError):
        return "no connection to the server (is the network there, is the URL in config.yml right?)"
    return f"the network failed ({type(error).__name__})"


def check_status(response: httpx.Response, *expected: int) -> None:
    """Raise TransientError for 429 and 5xx, SourceError for any other status that is not expected."""
    status = response.status_code
    if status in (expected or (200,)):
        return
    if status == 429:
        raise TransientError("the server says there are too many requests (HTTP 429)", _retry_after(response))
    if status >= 500 or status == 408:
        raise TransientError(f"the server failed (HTTP {status})", _retry_after(response))
    advice = "; check the URL in config.yml" if status in (301, 302, 307, 308, 404) else ""
    raise SourceError(f"{response.request.url.host}{response.request.url.path}: HTTP {status}{advice}")


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds of a Retry-After header, which holds a number or a date; 0 without one."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
