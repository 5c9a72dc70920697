"""Long work leaves turns to others, by the time that it takes and not by the count of its items."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from libs.common.slices import in_slices

ITEMS = range(1_000)


@contextmanager
def others() -> Iterator[list[int]]:
    """Inside, another task counts its turns."""
    turns = [0]

    async def take() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(take())
    try:
        yield turns
    finally:
        task.cancel()


async def test_short_work_is_done_in_one_go() -> None:
    with others() as turns:
        assert [item async for item in in_slices(ITEMS, 3_600)] == list(ITEMS)
    assert turns == [0]


async def test_others_have_a_turn_whenever_a_slice_is_over() -> None:
    with others() as turns:
        assert [item async for item in in_slices(ITEMS, 0)] == list(ITEMS)
    assert turns[0] >= len(ITEMS)


@pytest.mark.parametrize("seconds", [0.0, 3_600])
async def test_no_items_are_no_work(seconds: float) -> None:
    nothing: list[int] = []
    assert [item async for item in in_slices(nothing, seconds)] == []
