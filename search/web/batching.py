"""Questions that arrive together are encoded together, and what was encoded lately is not encoded again."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from search.config import ModelConfig
from search.models.encoder import Encoder, Kind
from search.models.tokens import Text

__all__ = ["MOST_AT_ONCE", "KeepingEncoder", "QuestionBatcher"]

#: Questions of one batch. More wait for the next: the first of them should not wait for all of them.
MOST_AT_ONCE = 32

#: Texts whose vectors are kept: questions, and the sentences of abstracts that evidence was looked for in. That is
#: about fifty pages of results with evidence.
_KEPT = 5_000


class KeepingEncoder(Encoder):
    """An encoder that keeps the vectors of the questions and sentences it encoded last; safe in several threads.

    All the memory for them is taken with the first, and the texts themselves are not kept.
    """

    def __init__(self, model: str | ModelConfig, *, precision: str = "auto", keep: int = _KEPT) -> None:
        super().__init__(model, precision=precision)
        self._rows: OrderedDict[bytes, int] = OrderedDict()
        self._vectors: npt.NDArray[np.float32] | None = None
        self._keep = keep
        self._kept_lock = threading.Lock()
        self.texts_encoded = 0

    def encode(self, texts: Sequence[Text], kind: Kind = "document") -> npt.NDArray[np.float32]:
        """Return the vectors of the texts, from memory where they are kept; see `Encoder.encode`."""
        if not texts:
            return super().encode(texts, kind)
        found = self._find(texts, kind)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            new = dict(zip(missing, super().encode(missing, kind), strict=True))
            self._remember(new, kind)
            found.update(new)
        return np.stack([found[text] for text in texts])

    def _find(self, texts: Sequence[Text], kind: Kind) -> dict[Text, npt.NDArray[np.float32]]:
        found = {}
        with self._kept_lock:
            for text in dict.fromkeys(texts):
                row = self._rows.get(key := _key(text, kind))
                if row is not None and self._vectors is not None:
                    self._rows.move_to_end(key)
                    found[text] = self._vectors[row].copy()
        return found

    def _remember(self, vectors: dict[Text, npt.NDArray[np.float32]], kind: Kind) -> None:
        with self._kept_lock:
            self.texts_encoded += len(vectors)
            for text, vector in vectors.items():
                if self._vectors is None:
                    # Written to, not only asked for: the system gives memory when it is first written to.
                    self._vectors = np.full((self._keep, len(vector)), np.nan, np.float32)
                row = self._rows.pop(key := _key(text, kind), None)
                if row is None:
                    row = len(self._rows) if len(self._rows) < self._keep else self._rows.popitem(last=False)[1]
                self._rows[key] = row
                self._vectors[row] = vector


def _key(text: Text, kind: Kind) -> bytes:
    return hashlib.blake2b(f"{kind} {text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


class QuestionBatcher:
    """Encodes the questions of requests: while one batch is computed, the next gathers. No request waits for a clock.

    `batches` counts the batches by their size.
    """

    def __init__(self, encoder: Encoder, executor: Executor) -> None:
        self._encoder = encoder
        self._executor = executor
        self._waiting: list[tuple[list[str], asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self.batches: OrderedDict[int, int] = OrderedDict()

    async def prepare(self, questions: Sequence[str]) -> None:
        """Return when the encoder keeps the vectors of the questions. Raises what the encoder raises."""
        if not questions:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(questions), done))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._encode(batch)
        finally:
            self._running = None

    async def _encode(self, batch: list[tuple[list[str], asyncio.Future[None]]]) -> None:
        self.batches[len(batch)] = self.batches.get(len(batch), 0) + 1
        texts = [text for questions, _ in batch for text in questions]
        error: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._encoder.encode, texts, "query")
        except Exception as raised:
            error = raised
        for _, done in batch:
            # A request that was given up no longer listens.
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)
