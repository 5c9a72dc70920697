"""Which signals tell a process to stop, and what the later ones do."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from libs.common.runtime import STOPPING, stop_on_signals


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Each has its default effect at first, also where these tests run under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_the_first_one_stops_and_each_later_one_is_told() -> None:
    stop, told = asyncio.Event(), asyncio.Queue[str]()
    stop_on_signals(stop, lambda: told.put_nowait("stop"), lambda: told.put_nowait("again"))
    for number, expected in zip(STOPPING, ("stop", "again", "again"), strict=True):
        os.kill(os.getpid(), number)
        assert await asyncio.wait_for(told.get(), 5) == expected
        assert stop.is_set()


async def test_without_an_answer_to_later_ones_they_have_their_default_effect() -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 5)
    assert {signal.getsignal(number) for number in STOPPING} == {signal.SIG_DFL}


async def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop_on_signals(asyncio.Event())
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
