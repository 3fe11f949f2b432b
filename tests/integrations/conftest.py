"""Fixtures of the tests with other frameworks."""

import asyncio

import pytest


@pytest.fixture(autouse=True)
def event_loop_of_this_thread():
    """The loop that `asyncio.get_event_loop` gives to frameworks that ask for one, closed afterwards: they do not."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)
