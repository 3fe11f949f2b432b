"""An answer of a language model as server-sent events."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from search.errors import SearchError
from search.llm.answer import WrittenAnswer
from search.web.failures import error_answer

__all__ = ["answer_events"]


def answer_events(answer: WrittenAnswer) -> Generator[bytes, None, None]:
    """Yield `sources`, each `sentence` as it is written, and `end`; or `error` where the model fails."""
    try:
        yield _event("sources", {"question": answer.question, "model": answer.model, "sources": answer.sources})
        for sentence in answer:
            yield _event("sentence", sentence)
        yield _event("end", {"status": answer.status, "dropped": answer.dropped})
    except SearchError as error:
        yield _event("error", error_answer(error))
    finally:
        answer.close()


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
