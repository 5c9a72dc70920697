"""Rigs: a loop, a log in memory, a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from libs.common.clock import FakeClock, SystemClock
from tests.integration.common.eventlog.rig import Rig, rigged


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rigged(database_url, SystemClock()) as built:
        yield built


@pytest.fixture
async def timed(database_url: str) -> AsyncIterator[Rig]:
    """Its clock stands still until the test moves it."""
    async with rigged(database_url, FakeClock(datetime(2026, 5, 1, tzinfo=UTC))) as built:
        yield built
