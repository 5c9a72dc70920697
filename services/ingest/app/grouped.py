"""Group commit: one call at a time, over everything that waits when the previous one is done."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Overloaded(Exception):
    """More is waiting than this process may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[T, R]):
    items: Sequence[T]
    answer: "asyncio.Future[Sequence[R]]"


class Grouped(Generic[T, R]):
    """Merges the items of concurrent callers into one call of `run`, in their order.

    `run` answers one result per item. `shared(error)` tells whether a failure is everybody's; any
    other one is pinned to its caller by running the group again caller by caller, so that nobody
    fails for a neighbour. A caller who gives up before its group starts is left out of it.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        shared: Callable[[Exception], bool],
        *,
        max_waiting: int,
        max_group: int,
        limit: float,
    ) -> None:
        self._run, self._shared = run, shared
        self._max_waiting, self._max_group, self._limit = max_waiting, max_group, limit
        self._waiting: list[_Waiting[T, R]] = []
        self._count = 0
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items that wait for their group to start."""
        return self._count

    async def submit(self, items: Sequence[T]) -> Sequence[R]:
        """Results of `items`, once the group that they fell into is done."""
        if self._count + len(items) > self._max_waiting:
            raise Overloaded(f"{self._count} items are waiting")
        entry: _Waiting[T, R] = _Waiting(items, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._count += len(items)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._drain(), name="grouped")
        return await entry.answer

    async def close(self, seconds: float) -> None:
        """Let what waits finish for a bounded time, then give it up."""
        if self._runner is None or self._runner.done():
            return
        _, pending = await asyncio.wait([self._runner], timeout=seconds)
        for task in pending:
            task.cancel()
            await asyncio.wait([task])

    async def _drain(self) -> None:
        try:
            while group := self._next_group():
                await self._settle(group)
        finally:
            for entry in self._waiting:
                entry.answer.cancel()

    def _next_group(self) -> list[_Waiting[T, R]]:
        group: list[_Waiting[T, R]] = []
        size = taken = 0
        for entry in self._waiting:
            if group and size + len(entry.items) > self._max_group:
                break
            taken += 1
            self._count -= len(entry.items)
            if not entry.answer.done():
                group.append(entry)
                size += len(entry.items)
        del self._waiting[:taken]
        return group

    async def _settle(self, group: list[_Waiting[T, R]]) -> None:
        try:
            results = await self._call([item for entry in group for item in entry.items])
        except Exception as error:  # noqa: BLE001  every failure is handed to those it belongs to
            await self._fail(group, error)
        else:
            self._answer(group, results)
        finally:
            for entry in group:
                entry.answer.cancel()  # nothing to do, unless this very call is being cancelled

    def _answer(self, group: list[_Waiting[T, R]], results: Sequence[R]) -> None:
        start = 0
        for entry in group:
            end = start + len(entry.items)
            if not entry.answer.done():
                entry.answer.set_result(results[start:end])
            start = end

    async def _fail(self, group: list[_Waiting[T, R]], error: Exception) -> None:
        if len(group) > 1 and not self._shared(error):
            for entry in group:
                await self._settle([entry])
            return
        for entry in group:
            if not entry.answer.done():
                entry.answer.set_exception(error)

    async def _call(self, items: Sequence[T]) -> Sequence[R]:
        async with asyncio.timeout(self._limit):
            return await self._run(items)
