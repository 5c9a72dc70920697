"""Group commit: merging, isolation of failures, bounds, giving up."""

import asyncio
from collections.abc import Sequence

import pytest

from services.ingest.app.grouped import Grouped, Overloaded


class Store:
    """Doubles numbers; refuses 13; may be held back."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False

    async def run(self, items: Sequence[int]) -> Sequence[int]:
        self.calls.append(list(items))
        await self.gate.wait()
        if self.down:
            raise ConnectionError
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * item for item in items]


def grouped(
    store: Store, *, most: int = 100, group: int = 100, limit: float = 5
) -> Grouped[int, int]:
    return Grouped(
        store.run,
        lambda error: isinstance(error, ConnectionError),
        max_waiting=most,
        max_group=group,
        limit=limit,
    )


async def _busy(store: Store, groups: Grouped[int, int]) -> "asyncio.Task[Sequence[int]]":
    """A call that is under way and holds the others back."""
    store.gate.clear()
    first = asyncio.create_task(groups.submit([0]))
    while not (store.calls or first.done()):
        await asyncio.sleep(0)
    return first


async def test_callers_that_wait_share_one_call_in_their_order() -> None:
    store = Store()
    groups = grouped(store)
    first = await _busy(store, groups)
    others = [asyncio.create_task(groups.submit([n, n + 1])) for n in (1, 3)]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(first, *others) == [[0], [2, 4], [6, 8]]
    assert store.calls == [[0], [1, 2, 3, 4]]


async def test_a_group_is_bounded_but_a_large_caller_is_not_split() -> None:
    store = Store()
    groups = grouped(store, group=3)
    first = await _busy(store, groups)
    others = [asyncio.create_task(groups.submit(items)) for items in ([1, 2], [3, 4, 5, 6], [7])]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.calls == [[0], [1, 2], [3, 4, 5, 6], [7]]


async def test_nobody_fails_for_a_neighbour() -> None:
    store = Store()
    groups = grouped(store)
    first = await _busy(store, groups)
    others = [asyncio.create_task(groups.submit([n])) for n in (1, 13, 2)]
    await asyncio.sleep(0)
    store.gate.set()
    await first
    good, bad, fine = await asyncio.gather(*others, return_exceptions=True)
    assert good == [2]
    assert fine == [4]
    assert isinstance(bad, ValueError)


async def test_a_shared_failure_is_not_repeated_for_each_caller() -> None:
    store = Store()
    groups = grouped(store)
    first = await _busy(store, groups)
    others = [asyncio.create_task(groups.submit([n])) for n in (1, 2)]
    await asyncio.sleep(0)
    store.down = True
    store.gate.set()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert all(isinstance(result, ConnectionError) for result in results)
    assert len(store.calls) == 2


async def test_a_caller_that_gave_up_is_left_out() -> None:
    store = Store()
    groups = grouped(store)
    first = await _busy(store, groups)
    late = asyncio.create_task(groups.submit([1]))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([late])
    stays = asyncio.create_task(groups.submit([2]))
    await asyncio.sleep(0)
    store.gate.set()
    assert list(await asyncio.gather(first, stays)) == [[0], [4]]
    assert store.calls == [[0], [2]]


async def test_too_much_waiting_is_refused_and_forgotten() -> None:
    store = Store()
    groups = grouped(store, most=2)
    first = await _busy(store, groups)
    waiting = asyncio.create_task(groups.submit([1, 2]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await groups.submit([3])
    store.gate.set()
    await asyncio.gather(first, waiting)
    assert groups.waiting == 0
    assert await groups.submit([4]) == [8]


async def test_a_call_that_hangs_is_given_up_and_the_next_one_runs() -> None:
    store = Store()
    groups = grouped(store, limit=0.01)
    store.gate.clear()
    with pytest.raises(TimeoutError):
        await groups.submit([1])
    store.gate.set()
    assert await groups.submit([2]) == [4]


async def test_closing_lets_work_finish_and_is_bounded() -> None:
    store = Store()
    groups = grouped(store)
    first = await _busy(store, groups)
    await groups.close(0.01)
    await asyncio.wait([first])
    assert first.cancelled()
    await groups.close(0.01)


async def test_an_owner_alone_leaves_half_of_the_room_to_others() -> None:
    store = Store()
    groups = grouped(store, most=40)
    first = await _busy(store, groups)
    noisy = [asyncio.create_task(groups.submit([n] * 5, "noisy")) for n in range(8)]
    await asyncio.sleep(0)
    assert [type(task.exception()) for task in noisy if task.done()] == [Overloaded] * 4
    assert groups.waiting == 20
    victims = [asyncio.create_task(groups.submit([n] * 3, f"victim{n}")) for n in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await groups.submit([1], "noisy")
    assert groups.waiting == 32
    store.gate.set()
    assert await asyncio.gather(first, *victims) == [[0], [0] * 3, [2] * 3, [4] * 3, [6] * 3]
    await asyncio.gather(*noisy, return_exceptions=True)
    assert await groups.submit([1] * 20, "noisy") == [2] * 20, "room comes back"


async def test_owners_are_served_in_turn_and_each_in_its_order() -> None:
    store = Store()
    groups = grouped(store, group=4)
    first = await _busy(store, groups)
    asked = [("noisy", [1, 2]), ("noisy", [3]), ("noisy", [4]), ("other", [5]), ("third", [6])]
    tasks = [asyncio.create_task(groups.submit(items, owner)) for owner, items in asked]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *tasks)
    assert store.calls == [[0], [1, 2, 5, 6], [3, 4]]
