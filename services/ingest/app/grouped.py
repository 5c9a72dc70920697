"""Group commit: one call at a time, over everything that waits when the previous one is done."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Overloaded(Exception):
    """More is waiting than this process, or one owner in it, may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[T, R]):
    owner: Hashable
    items: Sequence[T]
    answer: "asyncio.Future[Sequence[R]]"


class Grouped(Generic[T, R]):
    """Merges the items of concurrent callers into one call of `run`, an owner's in their order.

    Owners share fairly: they are served in turn, and none may hold more than is left free for the
    others, so alone at most half of the room, and whoever comes new finds some.

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
        self._waiting: dict[Hashable, deque[_Waiting[T, R]]] = {}
        self._held, self._count = Counter[Hashable](), 0
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items that wait for their group to start."""
        return self._count

    async def submit(self, items: Sequence[T], owner: Hashable = None) -> Sequence[R]:
        """Results of `items`, once the group that they fell into is done."""
        free = self._max_waiting - self._count
        if self._held[owner] + len(items) > free:
            raise Overloaded(f"{self._count} items are waiting, {self._held[owner]} of this owner")
        entry: _Waiting[T, R] = _Waiting(owner, items, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(owner, deque()).append(entry)
        self._held[owner] += len(items)
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
            for entries in self._waiting.values():
                for entry in entries:
                    entry.answer.cancel()

    def _next_group(self) -> list[_Waiting[T, R]]:
        group: list[_Waiting[T, R]] = []
        size = 0
        for entry in self._in_turn():
            if group and size + len(entry.items) > self._max_group:
                break
            self._leaves(entry)
            if not entry.answer.done():
                group.append(entry)
                size += len(entry.items)
        return group

    def _in_turn(self) -> Iterator[_Waiting[T, R]]:
        """The first that waits of each owner, again and again; whoever was served goes last."""
        while self._waiting:
            yield next(iter(self._waiting.values()))[0]

    def _leaves(self, entry: _Waiting[T, R]) -> None:
        entries = self._waiting.pop(entry.owner)
        entries.popleft()
        self._held[entry.owner] -= len(entry.items)
        self._count -= len(entry.items)
        if entries:
            self._waiting[entry.owner] = entries
        else:
            del self._held[entry.owner]

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
