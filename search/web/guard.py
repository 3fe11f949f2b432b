"""ASGI middleware: host, token and size checks before a request; security headers, logging and metrics after it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import re
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.config import ServeConfig
from search.web.access_tokens import is_known
from search.web.failures import failure
from search.web.metrics import Metrics

__all__ = ["Guard", "check_write", "is_loopback", "is_open", "may_write", "token_refusal"]

log = logging.getLogger("search.web")

_NAMES_OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

#: What brings files of references.
_FILES = re.compile(r"/api/(?:check|dedupe|saved/[^/]+/report)")

#: Nothing is loaded from elsewhere, nothing inline runs, and no other page may frame or read this one.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_open(settings: ServeConfig) -> bool:
    """Whether reading needs no token: only this machine can ask, under its own names."""
    return is_loopback(settings.host) and not settings.hosts


def may_write(settings: ServeConfig) -> bool:
    """Whether searches may be saved, by whom `check_write` lets through."""
    return is_open(settings) if settings.write is None else settings.write


def check_write(headers: Headers, settings: ServeConfig) -> None:
    """Raise HTTPException for a request that may not write.

    A request with a known token may. Without tokens only this machine can ask, under its own names: then programs may
    write, and of pages this server's own.
    """
    if not may_write(settings):
        raise HTTPException(403, "this server only reads; `serve: write: true` in its configuration changes that")
    if settings.write and settings.tokens:
        if token_refusal(headers, settings) is not None:
            message = "writing needs a token: send it as `Authorization: Bearer TOKEN`"
            raise HTTPException(401, message, {"www-authenticate": "Bearer"})
        return
    origin = headers.get("origin")
    is_own = origin is None or origin.partition("://")[2] == headers.get("host")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or not is_own:
        raise HTTPException(403, "only this server's own page may write")


class Guard:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, settings: ServeConfig, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self._hosts = _names_of(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        answer: dict[str, Any] = {"status": 500, "bytes": 0}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store" if _is_api(scope["path"]) else "no-cache")
            elif message["type"] == "http.response.body":
                answer["bytes"] += len(message.get("body", b""))
            await send(message)

        self.metrics.in_flight += 1
        try:
            refused = self._refusal(scope)
            await (refused or self.app)(scope, self._limited(receive, self._most(scope)), watched)
        except asyncio.CancelledError:
            answer["status"] = 499
            raise
        finally:
            self.metrics.in_flight -= 1
            self._note(scope, answer, time.perf_counter() - begun)

    def _most(self, scope: Scope) -> int:
        """Return how many bytes a request may bring."""
        return self.settings.files if _FILES.fullmatch(scope["path"]) else self.settings.body

    def _limited(self, receive: Receive, most: int) -> Receive:
        """Return a `receive` that refuses a body that grows too large or arrives too late."""
        size = 0
        end = asyncio.get_running_loop().time() + self.settings.seconds
        whole = False

        async def limited() -> Message:
            nonlocal size, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - asyncio.get_running_loop().time()))
            except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10 has two of that name
                raise HTTPException(408, f"the request did not come within {self.settings.seconds:g} s") from None
            whole = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413, _too_large(most))
            return message

        return limited

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._hosts is not None and _host_name(headers.get("host", "")) not in self._hosts:
            return failure(421, "this server does not go by that name; `serve: hosts` in its configuration lists names")
        if not _is_api(scope["path"]) or scope["method"] == "OPTIONS":
            return None
        origin = headers.get("origin")
        if headers.get("sec-fetch-site") == "cross-site" and origin not in self.settings.origins:
            return failure(403, "pages of other sites may not ask; `serve: origins` in the configuration lists those")
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > self._most(scope):
            return failure(413, _too_large(self._most(scope)))
        refusal = _feed_refusal if scope["path"].startswith("/feeds/") else token_refusal
        return None if is_open(self.settings) else refusal(headers, self.settings)

    def _note(self, scope: Scope, answer: dict[str, Any], seconds: float) -> None:
        # The name of a route, not the requested path: that may contain anything.
        route = getattr(scope.get("route"), "path", None) or ("other" if _is_api(scope["path"]) else "page")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.observe(route, method, answer["status"], seconds)
        questions = scope.get("questions") if self.settings.log_questions else None
        log.info(
            "%s %s %d %.1f ms %d bytes%s",
            method,
            route,
            answer["status"],
            seconds * 1000,
            answer["bytes"],
            f" {questions!r}" if questions else "",
        )


def _feed_refusal(headers: Headers, settings: ServeConfig) -> Response | None:
    """Return the answer to a request for a feed without a token; readers of feeds send one as a password."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            password = base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            password = ""
        if is_known(password, settings.tokens):
            return None
    refused = token_refusal(headers, settings)
    if refused is not None:
        refused.headers["www-authenticate"] = 'Basic realm="search", Bearer'
    return refused


def token_refusal(headers: Headers, settings: ServeConfig) -> Response | None:
    """Return the answer to a request that brings no token this server knows; None if it does."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_known(token.strip(), settings.tokens):
        return None
    return failure(401, "a token is needed: send it as `Authorization: Bearer TOKEN`", {"www-authenticate": "Bearer"})


def _names_of(settings: ServeConfig) -> frozenset[str] | None:
    """Return the names this server may be called by; None for any, where a token is needed whatever the name.

    Without this, a page elsewhere could have its own name point at this machine, and read what it answers.
    """
    if is_loopback(settings.host):
        return _NAMES_OF_THIS_MACHINE | {settings.host, *settings.hosts}
    return frozenset({*settings.hosts, *_NAMES_OF_THIS_MACHINE, settings.host}) if settings.hosts else None


def _host_name(host: str) -> str:
    """Return the name in a Host header, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _too_large(most: int) -> str:
    return f"the request is too large: at most {most:,} bytes"


def _is_api(path: str) -> bool:
    return path.startswith(("/api/", "/feeds/")) or path in ("/mcp", "/metrics", "/openapi.json")
