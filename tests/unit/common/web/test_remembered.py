"""What a look-up found stays good for a while, and a silent database is not waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import FakeClock
from libs.common.db.errors import DatabaseUnavailable
from libs.common.web import remembered
from libs.common.web.errors import Unauthorized, Unavailable
from libs.common.web.remembered import FRESH, STALE, Remembered

Look = Callable[[], Awaitable[str | None]]


class Place:
    """A look-up whose database a test takes away."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 3, 2, tzinfo=UTC))
        self.held = Remembered[str](self.clock)
        self.looks, self.found = 0, "known"
        self.failure: Exception | None = None
        self.silent = asyncio.Event()

    async def look(self) -> str | None:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return self.found or None

    async def nothing(self) -> str | None:
        self.looks += 1
        await self.silent.wait()
        return None

    async def get(self, asked: bytes = b"a", look: Look | None = None) -> str:
        return await self.held.get(asked, look or self.look, FRESH)


async def test_it_is_asked_for_again_when_it_is_no_longer_fresh() -> None:
    place = Place()
    for _ in range(3):
        assert await place.get() == "known"
    assert place.looks == 1
    place.clock.advance(FRESH)
    place.found = "changed"
    assert (await place.get(), place.looks) == ("changed", 2)


async def test_what_is_gone_is_forgotten_and_nothing_is_not_remembered() -> None:
    place = Place()
    await place.get()
    place.clock.advance(FRESH)
    place.found = ""
    for looks in (2, 3):
        with pytest.raises(Unauthorized):
            await place.get()
        assert place.looks == looks
    place.failure = DatabaseUnavailable("away")
    with pytest.raises(Unavailable):
        await place.get()


async def test_while_the_database_is_away_known_ones_go_on_for_a_day() -> None:
    place = Place()
    await place.get()
    place.failure = DatabaseUnavailable("away")
    place.clock.advance(STALE - timedelta(seconds=1))
    assert await place.get() == "known"
    with pytest.raises(Unavailable) as refused:
        await place.get(b"unknown")
    assert (refused.value.code, refused.value.headers["Retry-After"]) == (
        "database_unavailable",
        "2",
    )
    place.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unavailable):
        await place.get()


async def test_a_silent_database_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "LOOKUP_SECONDS", 0.01)
    place = Place()
    await place.get()
    place.clock.advance(FRESH)
    async with asyncio.timeout(30):
        assert await place.get(look=place.nothing) == "known"
        for _ in range(5):
            assert await place.get(look=place.nothing) == "known"
    assert place.looks == 2
    place.clock.advance(remembered.AWAY)
    place.silent.set()
    with pytest.raises(Unauthorized):
        await place.get(look=place.nothing)


async def test_another_fault_is_no_absence() -> None:
    place = Place()
    await place.get()
    place.clock.advance(FRESH)
    place.failure = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await place.get()


async def test_memory_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "LIMIT", 2)
    place = Place()
    for asked in (b"a", b"b", b"b", b"c"):
        await place.get(asked)
    assert place.looks == 3
    await place.get(b"b")
    await place.get(b"c")
    assert place.looks == 3
    await place.get(b"a")
    assert place.looks == 4
