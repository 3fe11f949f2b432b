"""A language model in a folder or a file, which txtai runs on this machine."""

from __future__ import annotations

import importlib.util
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.errors import ConfigError, ModelError
from search.extras import require
from search.llm.language_models import MOST_TOKENS, Message
from search.llm.reading import CUT_OFF
from search.time_limit import check_time

__all__ = ["TxtaiModel"]

#: How often a time limit is looked at while the model computes.
_TICK_SECONDS = 0.2


class TxtaiModel:
    """A model of transformers (a folder, or a name on the hub) or of llama.cpp (a `.gguf` file), loaded by txtai.

    Never one that txtai would ask for over the network: `host` is always None.
    """

    host: str | None = None

    def __init__(self, path: str) -> None:
        require("txtai", "a language model by its path", "txtai", "torch", "transformers")
        self.name = Path(path).name
        self._is_file = path.endswith(".gguf")
        if self._is_file and importlib.util.find_spec("llama_cpp") is None:
            raise ConfigError(
                f"{path}: a .gguf file needs llama.cpp: pip install llama-cpp-python; or let Ollama or llama.cpp's "
                "server run it, and give its address as `language_model: url`"
            )
        from txtai import LLM

        try:
            self._llm: Any = LLM(path, method="llama.cpp" if self._is_file else "transformers")
        except Exception as error:
            raise ModelError(f"{path} is not a language model that txtai can load: {error}") from error

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield the answer piece by piece, CUT_OFF last if it was too long. Raises ModelError if the model fails."""
        content: Any = list(messages) if self._llm.ischat() else "\n\n".join(one["content"] for one in messages) + "\n"
        if self._is_file:
            yield from self._llm(content, maxlength=MOST_TOKENS, stream=True)
            return
        yield from _Generation(self._llm, content)


class _Generation:
    """A thread that generates, and the pieces it has made; it ends when nobody takes them."""

    def __init__(self, llm: Any, content: Any) -> None:
        self._pieces: queue.Queue[str | Exception | None] = queue.Queue()
        self._stopped = threading.Event()
        self._llm, self._content = llm, content

    def __iter__(self) -> Iterator[str]:
        thread = threading.Thread(target=self._generate, daemon=True)
        thread.start()
        try:
            while True:
                try:
                    piece = self._pieces.get(timeout=_TICK_SECONDS)
                except queue.Empty:
                    check_time()
                    continue
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise ModelError(f"the language model failed: {piece}") from piece
                yield piece
        finally:
            self._stopped.set()
            thread.join()

    def _generate(self) -> None:
        try:
            tokenizer = self._llm.generator.llm.pipeline.tokenizer
            streamer = _streamer(tokenizer, self._pieces, self._stopped)
            role = "user" if isinstance(self._content, list) else "prompt"
            self._llm(
                self._content,
                defaultrole=role,
                streamer=streamer,
                max_new_tokens=MOST_TOKENS,
                max_length=None,
                do_sample=False,
            )
            self._pieces.put(CUT_OFF if streamer.count >= MOST_TOKENS else "")
            self._pieces.put(None)
        except _StoppedError:
            pass
        except Exception as error:
            self._pieces.put(error)


class _StoppedError(Exception):
    """Nobody reads on."""


def _streamer(tokenizer: Any, pieces: queue.Queue[str | Exception | None], stopped: threading.Event) -> Any:
    from transformers import TextStreamer

    class Streamer(TextStreamer):  # type: ignore[misc]
        count = 0

        def put(self, value: Any) -> None:
            if stopped.is_set():
                raise _StoppedError
            self.count += 1
            super().put(value)

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            pieces.put(text)

    return Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
