"""What the routes share: the service, the threads that it runs in, and the limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from search.messages import left_out
from search.retrieval.request import questions_of
from search.time_limit import check_time, time_limit
from search.web.batching import QuestionBatcher
from search.web.metrics import Metrics
from search.web.service import Service

__all__ = ["Application"]

#: Separate threads for quick and slow requests: an export or evidence does not delay the others.
_QUICK, _SLOW = 2, 2

#: Questions of so many characters together are read in a few milliseconds, and a request of so many bytes lists no
#: thousands of values.
_QUICKLY_READ, _QUICKLY_ANSWERED = 2_000, 16_000

#: How long the check of the server's health waits for the index, and how long the server's end does.
_HEALTH_SECONDS, _CLOSING_SECONDS = 1.0, 3.0

#: How many answers a language model writes at a time, and how many seconds it may take for one.
_ANSWERS, _ANSWER_SECONDS = 2, 600.0

_Result = TypeVar("_Result")


class Application(Collector):
    """The service with its threads; requests that come together are encoded together."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.settings = service.config.serve
        self._encoding = ThreadPoolExecutor(1, "encode")
        self._quick = ThreadPoolExecutor(_QUICK, "quick")
        self._slow = ThreadPoolExecutor(_SLOW, "slow")
        self._writing = ThreadPoolExecutor(_ANSWERS, "answers")
        # Always available, whatever the others do: reading requests and answering `/health`.
        self._reading = ThreadPoolExecutor(1, "reading")
        self._health = ThreadPoolExecutor(1, "health")
        self.metrics = Metrics()
        self.metrics.registry.register(self)
        self.batcher = QuestionBatcher(service.encoder, self._encoding)
        self._busy = 0

    def close(self) -> None:
        """Close the index; a thread whose request was abandoned ends at its time limit."""
        for executor in (self._quick, self._slow, self._writing, self._reading, self._health, self._encoding):
            executor.shutdown(wait=False, cancel_futures=True)
        # Closing waits for whoever reads at this moment.
        closing = threading.Thread(target=self.service.close, daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)

    async def answer(
        self,
        request: Request,
        work: Callable[[], bytes],
        body: msgspec.Struct | None = None,
        *,
        slow: bool = False,
        media_type: str = "application/json",
    ) -> Response:
        """Encode the questions of a body together with those of other requests, work in a thread, and answer.

        Raises HTTPException: 503 if too many requests are waiting, 504 after the time that a request may take.
        """
        result, damaged = await self._admitted(request, body, lambda: (work(), self.service.index.damaged), slow)
        headers = {"warning": f'199 search "{left_out(damaged)}"'} if damaged else {}
        return Response(result, media_type=media_type, headers=headers)

    async def _admitted(
        self, request: Request, body: msgspec.Struct | None, work: Callable[[], _Result], slow: bool
    ) -> _Result:
        """Encode the questions and work as one of the requests at a time. Raises HTTPException: 503 or 504."""
        if self._busy >= self.settings.requests:
            raise HTTPException(503, "too many requests at once: try again", {"retry-after": "1"})
        slow = slow or len(await request.body()) > _QUICKLY_ANSWERED
        request.scope["questions"] = questions_of(body) if body is not None else []
        self._busy += 1
        try:
            return await asyncio.wait_for(self._prepare_and_run(body, work, slow), self.settings.seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10 has two of that name
            raise HTTPException(504, f"the answer took longer than {self.settings.seconds:g} s") from None
        finally:
            self._busy -= 1

    async def _prepare_and_run(self, body: msgspec.Struct | None, work: Callable[[], _Result], slow: bool) -> _Result:
        end = time.monotonic() + self.settings.seconds
        if body is not None:
            if sum(map(len, questions_of(body))) <= _QUICKLY_READ:
                texts = self.service.to_encode(body)
            else:
                texts = await self._in(self._reading, lambda: self.service.to_encode(body), end)
            await self.batcher.prepare(texts)
        return await self._in(self._slow if slow else self._quick, work, end)

    async def stream(
        self, request: Request, begin: Callable[[], Generator[bytes, None, None]], body: msgspec.Struct
    ) -> StreamingResponse:
        """Answer with server-sent events: `begin` gives them, in a thread; what it raises is answered as an error.

        Raises HTTPException: 503 if too many requests are waiting, 504 if the sources are not found in time.
        """
        events = await self._admitted(request, body, begin, True)
        return StreamingResponse(self._events(events), media_type="text/event-stream")

    async def _events(self, events: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
        end = time.monotonic() + _ANSWER_SECONDS
        lock = threading.Lock()

        def step() -> bytes:
            with lock:
                return next(events, b"")

        def stop() -> None:
            with lock:
                events.close()

        self._busy += 1
        try:
            while event := await self._in(self._writing, step, end):
                yield event
        finally:
            self._busy -= 1
            # If the reader has gone, the model stops at its next sentence.
            self._slow.submit(stop)

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do some quick work in a thread."""
        return await self._in(self._quick, work, time.monotonic() + self.settings.seconds)

    async def is_well(self) -> bool:
        """Whether the index can be read at this moment; False if it does not answer soon, with other work to do."""
        try:
            await asyncio.wait_for(
                self._in(self._health, self.service.look, time.monotonic() + _HEALTH_SECONDS), _HEALTH_SECONDS
            )
        except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10 has two of that name
            return False
        return True

    async def _in(self, executor: ThreadPoolExecutor, work: Callable[[], _Result], end: float) -> _Result:
        """Do some work in a thread of an executor, which gives it up at its end (`time.monotonic`)."""

        def limited() -> _Result:
            with time_limit(end - time.monotonic()):
                check_time()
                return work()

        return await asyncio.get_running_loop().run_in_executor(executor, limited)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the index and the encoder, for Prometheus."""
        status = self.service.index.status()
        batches = self.batcher.batches
        requests_encoded = sum(size * count for size, count in batches.items())
        for name, description, value in (
            ("search_articles", "Articles in the index.", status.articles),
            ("search_change_number", "Number of the last change of the index.", status.change),
            ("search_unmerged", "Articles that the vector index does not hold yet.", status.unmerged),
        ):
            yield GaugeMetricFamily(name, description, value=value)
        for name, description, value in (
            ("search_encoding_batches", "Batches of questions encoded.", sum(batches.values())),
            ("search_encoding_batch_requests", "Requests in these batches.", requests_encoded),
            ("search_texts_encoded", "Questions and sentences encoded.", self.service.encoder.texts_encoded),
        ):
            yield CounterMetricFamily(name, description, value=value)
