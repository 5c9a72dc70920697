"""A slow reader and a greedy tenant cost a bounded amount."""

import asyncio
from collections.abc import Callable

import pytest

from services.reporting.app.stream_inbox import MOST_CHARACTERS, MOST_EVENTS, Inbox
from services.reporting.app.stream_limits import Limits, ProcessIsFull, TenantIsFull
from services.reporting.domain.stream import Event


def event(offset: int, size: int = 2) -> Event:
    return Event("deals", 0, offset, "deal.state_changed", "x" * size)


async def test_an_inbox_keeps_the_order_and_is_empty_in_the_end() -> None:
    inbox = Inbox()
    for n in range(3):
        inbox.put(event(n))
    assert not inbox.is_empty
    assert [inbox.next() for _ in range(4)] == [event(0), event(1), event(2), None]
    assert inbox.is_empty


@pytest.mark.parametrize(
    ("count", "size"), [(MOST_EVENTS, 1), (4, MOST_CHARACTERS // 4)], ids=["events", "characters"]
)
async def test_one_too_many_and_all_are_lost_until_that_is_told(count: int, size: int) -> None:
    inbox = Inbox()
    for n in range(count):
        inbox.put(event(n, size))
    before = inbox.lost
    inbox.put(event(count, size))
    assert [before, inbox.lost, inbox.next()] == [None, "slow_reader", None]
    assert not inbox.is_empty
    inbox.put(event(count + 1))
    assert inbox.next() is None
    inbox.lost = None
    inbox.put(event(count + 2))
    assert inbox.next() == event(count + 2)


@pytest.mark.parametrize(
    "wake", [lambda i: i.put(event(1)), lambda i: i.lose("import"), lambda i: i.close()]
)
async def test_whoever_waits_is_woken(wake: Callable[[Inbox], None]) -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.wait(3600))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    wake(inbox)
    async with asyncio.timeout(10):
        await waiting


def test_streams_are_counted_and_given_back() -> None:
    limits = Limits(in_all=3, per_tenant=2)
    with limits.admitted("a"), limits.admitted("a"):
        with pytest.raises(TenantIsFull), limits.admitted("a"):
            pass
        with limits.admitted("b"), pytest.raises(ProcessIsFull), limits.admitted("c"):
            pass
        with limits.admitted("c"):
            pass
    with limits.admitted("a"), limits.admitted("a"), limits.admitted("b"):
        pass
