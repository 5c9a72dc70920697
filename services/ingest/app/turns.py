"""Large deliveries take turns, a tenant's few at a time: the others wait as they came.

Were all of them judged at once, each would wait in the middle of its way for all others, until a
deadline ends it and its work is for nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.ingest.app.grouped import Overloaded

MOST = 8
"""Enough to fill the groups of look-up, log and index at the same time."""
LARGE = 32 * 1024
"""Bytes from which on a delivery needs a turn."""
PATIENCE = 0.5
"""Seconds: what the deadlines of credential and acceptance leave of the 4 s of an answer."""


class Turns:
    """Each tenant has its own, so that nobody waits for another's."""

    def __init__(self, most: int = MOST, large: int = LARGE, patience: float = PATIENCE) -> None:
        self._most, self._large, self._patience = most, large, patience
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._users = Counter[str]()

    def __len__(self) -> int:
        """Deliveries that have a turn or wait for one."""
        return self._users.total()

    @asynccontextmanager
    async def of(self, tenant_id: str, size: int, *, insists: bool = False) -> AsyncIterator[None]:
        """Inside, a delivery of `size` bytes may be judged; raises `Overloaded`. A sender that
        `insists`, since a refusal costs it events, waits as long and is judged all the same."""
        if size < self._large:
            yield
            return
        gate = self._gates.setdefault(tenant_id, asyncio.Semaphore(self._most))
        self._users[tenant_id] += 1
        try:
            entered = await self._enter(gate)
            if not (entered or insists):
                raise Overloaded(f"{self._most} large deliveries are being judged")
            try:
                yield
            finally:
                if entered:
                    gate.release()
        finally:
            self._leave(tenant_id)

    async def _enter(self, gate: asyncio.Semaphore) -> bool:
        """Whether it came to its turn in time."""
        try:
            async with asyncio.timeout(self._patience):
                return await gate.acquire()
        except TimeoutError:
            return False

    def _leave(self, tenant_id: str) -> None:
        self._users[tenant_id] -= 1
        if not self._users[tenant_id]:
            del self._users[tenant_id], self._gates[tenant_id]
