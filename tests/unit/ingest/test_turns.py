"""Large deliveries take turns within their tenant; nobody else waits."""

import asyncio

import pytest

from services.ingest.app.grouped import Overloaded
from services.ingest.app.turns import Turns

LARGE = 100


def turns(patience: float = 10) -> Turns:
    return Turns(most=1, large=LARGE, patience=patience)


async def test_a_second_large_delivery_waits_until_the_first_is_done() -> None:
    taken, entered = turns(), asyncio.Event()

    async def second() -> None:
        async with taken.of("acme", LARGE):
            entered.set()

    async with taken.of("acme", LARGE):
        waiting = asyncio.create_task(second())
        while len(taken) < 2:
            await asyncio.sleep(0)
        assert not entered.is_set()
    await waiting
    assert entered.is_set()
    assert len(taken) == 0


async def test_who_waits_too_long_is_asked_to_come_again() -> None:
    taken = turns(patience=0.01)
    async with taken.of("acme", LARGE):
        with pytest.raises(Overloaded):
            async with taken.of("acme", LARGE):
                raise AssertionError("there was no turn")
        assert len(taken) == 1
    async with taken.of("acme", LARGE):
        assert len(taken) == 1


async def test_small_deliveries_and_other_tenants_do_not_wait() -> None:
    taken = turns(patience=0)
    async with (
        taken.of("acme", LARGE),
        taken.of("acme", LARGE - 1),
        taken.of("umbra", LARGE),
    ):
        assert len(taken) == 2


async def test_a_failed_delivery_gives_its_turn_back() -> None:
    taken = turns(patience=0.01)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with taken.of("acme", LARGE):
                raise ValueError("broken")
    assert len(taken) == 0


async def test_a_sender_that_takes_no_refusal_waits_and_is_judged_all_the_same() -> None:
    taken = turns(patience=0.01)
    async with taken.of("acme", LARGE):
        async with taken.of("acme", LARGE, insists=True):
            assert len(taken) == 2
        with pytest.raises(Overloaded):
            async with taken.of("acme", LARGE):
                raise AssertionError("the turn was not its own to give back")
    assert len(taken) == 0
