"""Questions that come together are encoded together, and give the vectors they would give alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from search.models import Encoder
from search.web.batching import MOST_AT_ONCE, KeepingEncoder, QuestionBatcher

QUESTIONS = [f"does drug {n} help against {'very ' * (7 * n % 31)}high blood pressure?" for n in range(40)]


class SlowEncoder:
    """Notes its batches; the first one lasts until it is told to end."""

    def __init__(self):
        self.batches = []
        self.go_on = threading.Event()

    def encode(self, texts, kind):
        self.batches.append(list(texts))
        assert self.go_on.wait(20)


def test_what_arrives_while_a_batch_is_computed_is_the_next_batch():
    encoder = SlowEncoder()

    async def ask():
        with ThreadPoolExecutor(1) as pool:
            batcher = QuestionBatcher(encoder, pool)
            first = asyncio.create_task(batcher.prepare(["first"]))
            while not encoder.batches:
                await asyncio.sleep(0.001)
            others = [asyncio.create_task(batcher.prepare([text])) for text in QUESTIONS]
            await asyncio.sleep(0)
            encoder.go_on.set()
            await asyncio.gather(first, *others)
            return batcher.batches

    batches = asyncio.run(ask())
    assert encoder.batches == [["first"], QUESTIONS[:MOST_AT_ONCE], QUESTIONS[MOST_AT_ONCE:]]
    assert batches == {1: 1, MOST_AT_ONCE: 1, 40 - MOST_AT_ONCE: 1}


def test_one_that_is_given_up_does_not_disturb_the_others():
    encoder = SlowEncoder()

    async def ask():
        with ThreadPoolExecutor(1) as pool:
            batcher = QuestionBatcher(encoder, pool)
            given_up = asyncio.create_task(batcher.prepare(["first"]))
            other = asyncio.create_task(batcher.prepare(["second"]))
            while not encoder.batches:
                await asyncio.sleep(0.001)
            given_up.cancel()
            encoder.go_on.set()
            await other
            with pytest.raises(asyncio.CancelledError):
                await given_up

    asyncio.run(ask())


def test_vectors_are_to_the_bit_those_of_each_question_alone():
    plain = Encoder("builtin")
    alone = np.concatenate([plain.encode([question], kind="query") for question in QUESTIONS])
    keeping = KeepingEncoder("builtin")
    assert (keeping.encode(QUESTIONS[:7], kind="query") == alone[:7]).all()
    assert (keeping.encode(QUESTIONS[::-1], kind="query") == alone[::-1]).all()
    assert keeping.texts_encoded == len(QUESTIONS)


def test_only_the_last_questions_are_kept():
    encoder = KeepingEncoder("builtin", keep=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        encoder.encode([text], kind="query")
    # b was the one used longest ago when c came.
    assert encoder.texts_encoded == 4
    # A document is not the question of the same words, and is not kept here.
    encoder.encode(["a"])
    encoder.encode(["a"])
    assert encoder.texts_encoded == 6
