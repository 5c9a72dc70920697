"""Looks at the database that hold no request up, and what they found."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from libs.common.clock import Clock
from libs.common.db.errors import DatabaseUnavailable, is_transient
from libs.common.web.errors import Unauthorized, Unavailable

FRESH = timedelta(seconds=30)
STALE = timedelta(hours=24)
"""While the database is down, what was good stays good this long."""
LOOKUP_SECONDS = 1.0
"""An answer that takes longer is none: what follows has to fit into a request's 4 s too."""
AWAY = timedelta(seconds=2)
"""After such a silence nobody else waits for one."""
LIMIT = 10_000
V = TypeVar("V")
Look = Callable[[], Awaitable[V | None]]
_UNKNOWN_NOW = "credentials cannot be checked now; try again"


@dataclass(frozen=True, slots=True)
class _Held(Generic[V]):
    value: V
    at: datetime


class Remembered(Generic[V]):
    """Good answers by what was asked; bad ones are asked for again each time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[bytes, _Held[V]] = {}
        self._silent_at: datetime | None = None

    async def get(self, asked: bytes, look: Look[V], fresh: timedelta) -> V:
        """What `look` finds, or found less than `fresh` ago; `Unauthorized` where it is nothing."""
        held, now = self._held.get(asked), self._clock.now()
        if held is not None and now - held.at < fresh:
            return held.value
        try:
            found = await self._answered(look, now)
        except Exception as error:
            if not is_transient(error):
                raise
            if held is not None and now - held.at < STALE:
                return held.value
            code = "database_unavailable"
            raise Unavailable(_UNKNOWN_NOW, retry_after=2, code=code) from error
        return self._kept(asked, found, now)

    async def _answered(self, look: Look[V], now: datetime) -> V | None:
        if self._silent_at is not None and now - self._silent_at < AWAY:
            raise DatabaseUnavailable("PostgreSQL did not answer a moment ago")
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = await look()
        except TimeoutError:
            self._silent_at = self._clock.now()
            raise
        self._silent_at = None
        return found

    def _kept(self, asked: bytes, found: V | None, now: datetime) -> V:
        if found is None:
            self._held.pop(asked, None)
            raise Unauthorized
        if len(self._held) >= LIMIT and asked not in self._held:
            self._held.pop(next(iter(self._held)))
        self._held[asked] = _Held(found, now)
        return found
