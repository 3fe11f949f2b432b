"""A language model behind OpenAI's API for chats, as Ollama, llama.cpp, vLLM and others serve it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec

from search.config import LlmConfig
from search.errors import ModelError, TimeLimitError
from search.llm.language_models import MOST_TOKENS, Message, host_beyond
from search.llm.reading import CUT_OFF
from search.pubmed.http import failure, make_client
from search.time_limit import check_time, seconds_left

__all__ = ["OpenAiModel"]

#: An answer of more characters, or a line of more, is not one.
_MOST_CHARACTERS, _MOST_OF_A_LINE = 40_000, 1 << 20

#: So much of a server's error message is shown.
_SHOWN = 300


class OpenAiModel:
    """A model at an address; `host` is None where the address is on this machine."""

    def __init__(self, settings: LlmConfig) -> None:
        self.name = settings.model or ""
        self._url = f"{(settings.url or '').rstrip('/')}/chat/completions"
        self.host = host_beyond(self._url)
        self._where = httpx.URL(self._url).netloc.decode()
        self._timeout = settings.timeout
        key = os.environ.get(settings.key_variable)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield the answer piece by piece, and CUT_OFF last if it did not come to its end.

        Raises ModelError if the server cannot be reached, is silent too long or sends something else.
        """
        body = {
            "model": self.name,
            "messages": list(messages),
            "stream": True,
            "temperature": 0,
            "max_tokens": MOST_TOKENS,
        }
        left = seconds_left()
        timeout = self._timeout if left is None else max(0.1, min(self._timeout, left))
        try:
            # A proxy would see what is meant for this machine alone.
            with (
                make_client(timeout, headers=self._headers, proxies=self.host is not None) as client,
                client.stream("POST", self._url, json=body) as response,
            ):
                if response.status_code != 200:
                    raise ModelError(f"{self._where}: {self._refused(response)}")
                yield from self._pieces(response)
        except httpx.HTTPError as error:
            raise ModelError(f"{self._where}: {failure(error)}; check `language_model: url`") from error

    def _pieces(self, response: httpx.Response) -> Iterator[str]:
        characters = 0
        try:
            for event in self._events(response):
                piece, reason = _piece(event, self._where)
                characters += len(piece)
                if characters > _MOST_CHARACTERS:
                    yield CUT_OFF
                    return
                if piece:
                    yield piece
                if reason is not None:
                    if reason != "stop":
                        yield CUT_OFF
                    return
        except (httpx.RemoteProtocolError, httpx.ReadError):
            if not characters:
                raise
        # The connection ended before the answer did.
        yield CUT_OFF

    def _events(self, response: httpx.Response) -> Iterator[Any]:
        """Yield what the server sends, decoded: events, or all at once where it does not stream."""
        if response.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
            yield self._decoded(b"".join(_limited(response)))
            return
        for line in _lines(response):
            check_time()
            name, _, data = line.partition(b":")
            if name == b"data":
                if data.strip() == b"[DONE]":
                    yield {"choices": [{"finish_reason": "stop"}]}
                    return
                yield self._decoded(data)

    def _decoded(self, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ModelError(f"{self._where}: the answer is not that of a chat server: {_text(data)!r}") from error

    def _refused(self, response: httpx.Response) -> str:
        """Return what a status other than 200 says; 401 and 404 with what to do."""
        status = response.status_code
        advice = {
            401: "; put the key into the environment variable that `key_variable` names",
            404: "; check `language_model: url` and `model`",
        }.get(status, "")
        try:
            said = _message(msgspec.json.decode(b"".join(_limited(response))))
        except (msgspec.DecodeError, UnicodeError, ModelError, httpx.HTTPError):
            said = ""
        return f"HTTP {status}{f': {said}' if said else ''}{advice}"


def _piece(event: Any, where: str) -> tuple[str, str | None]:
    """Return the text of an event, and why the answer ends if it does."""
    if isinstance(event, dict) and "error" in event:
        raise ModelError(f"{where}: {_message(event) or 'the server reports an error'}")
    try:
        # Some servers send events without a choice: what the answer cost, for example.
        choice: Any = next(iter(event["choices"]), {})
        said = choice.get("delta") or choice.get("message") or {}
        content, reason = said.get("content") or "", choice.get("finish_reason")
        if isinstance(content, str) and isinstance(reason, str | None):
            return content, reason
    except (AttributeError, KeyError, TypeError):
        pass
    raise ModelError(f"{where}: the answer is not that of a chat server: {str(event)[:_SHOWN]!r}")


def _message(answer: Any) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return " ".join(said.split())[:_SHOWN] if isinstance(said, str) else ""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()[:_SHOWN]


def _limited(response: httpx.Response) -> Iterator[bytes]:
    size = 0
    for piece in response.iter_bytes():
        if seconds_left() == 0.0:
            raise TimeLimitError("the answer took longer than its time limit")
        size += len(piece)
        if size > _MOST_OF_A_LINE:
            raise ModelError(f"{response.request.url.host}: the answer is too large")
        yield piece


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Yield the lines of an answer; httpx's own iterator ends lines at more characters than line ends."""
    rest = b""
    for piece in response.iter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > _MOST_OF_A_LINE:
            raise ModelError(f"{response.request.url.host}: the answer is too large")
    yield rest
