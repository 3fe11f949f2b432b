"""Language models that write an answer: a server with OpenAI's API, or a local model that txtai runs."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, Protocol, TypedDict
from urllib.parse import urlsplit

from search.config import LlmConfig

__all__ = ["LanguageModel", "Message", "describe_llm", "host_beyond", "say_where"]

#: Says once what leaves the machine; without a handler of the program's own, Python writes it to standard error.
log = logging.getLogger("search.llm")

#: So many words and parts of words an answer has at most.
MOST_TOKENS = 700


class Message(TypedDict):
    """One message of a conversation with a model."""

    role: Literal["system", "user"]
    content: str


class LanguageModel(Protocol):
    """A model that continues a conversation.

    `name` is what it is called; `host` is where messages are sent, None if they stay on this machine.
    """

    name: str
    host: str | None

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield the answer piece by piece; the last may be `search.llm.reading.CUT_OFF`. Raises ModelError."""
        ...


def host_beyond(url: str) -> str | None:
    """Return the host of a URL if it is another machine, None for this one.

    >>> host_beyond("http://localhost:11434/v1"), host_beyond("https://llm.example.org/v1")
    (None, 'llm.example.org')
    """
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return None
    try:
        return None if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host


def describe_llm(settings: LlmConfig) -> tuple[str, str | None]:
    """Return the name of a configured model, and the host that questions are sent to (None: this machine)."""
    if settings.path is not None:
        return settings.path, None
    return settings.model or "", host_beyond(settings.url or "")


@cache
def say_where(host: str) -> None:
    """Say, once for each host, that the question and the quoted sentences are sent to it."""
    log.warning(
        "the question and the sentences that are quoted as sources are sent to %s (`language_model: url`)",
        host,
    )
