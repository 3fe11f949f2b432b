"""Questions that arrive together are encoded together, and what was encoded lately is not encoded again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np
import numpy.typing as npt

from search.config import ModelConfig
from search.models.encoder import Encoder, Kind
from search.models.kept_vectors import KeptVectors
from search.models.tokens import Text

__all__ = ["MOST_AT_ONCE", "KeepingEncoder", "QuestionBatcher"]

#: Questions of one batch. More wait for the next: the first of them should not wait for all of them.
MOST_AT_ONCE = 32

#: Questions whose vectors are kept.
_KEPT = 2_000


class KeepingEncoder(Encoder):
    """An encoder that keeps the vectors of the questions it encoded last; safe in several threads."""

    def __init__(self, model: str | ModelConfig, *, precision: str = "auto", keep: int = _KEPT) -> None:
        super().__init__(model, precision=precision)
        self._questions = KeptVectors(partial(super().encode, kind="query"), keep)
        self._documents_encoded = 0

    @property
    def texts_encoded(self) -> int:
        """How many texts were encoded: questions that were not kept, and documents."""
        return self._questions.texts_encoded + self._documents_encoded

    def encode(self, texts: Sequence[Text], kind: Kind = "document") -> npt.NDArray[np.float32]:
        """Return the vectors of the texts, those of questions from memory where they are kept; see `Encoder.encode`."""
        if kind == "query" and texts:
            return self._questions(texts)
        self._documents_encoded += len(texts)
        return super().encode(texts, kind)


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
