"""The scheduler over a database whose clock jumps: nothing is judged until it is steady again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import Gauge

from libs.common import metrics
from libs.common.clock import FakeClock
from libs.common.eventlog.port import LogUnavailable
from services.alerts.app.moments import Moments
from services.alerts.app.scheduling import Scheduler
from services.alerts.app.work import Waiting, Work

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Site:
    """A database, a log and work in which a deal is always due; `claims` counts the looks at it."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    ahead: timedelta = timedelta()
    claims: int = 0
    partitions: int = 1
    away: bool = False
    asked: list[int] = field(default_factory=list)
    """Of how many partitions watermarks were asked for."""

    @asynccontextmanager
    async def across_tenants(self) -> AsyncIterator[None]:
        yield

    async def ends(self, _: str) -> Sequence[int]:
        if self.away:
            raise LogUnavailable("away")
        return [0] * self.partitions

    async def now(self) -> datetime:
        return self.clock.now() + self.ahead

    async def watermark(self, partitions: int) -> datetime:
        self.asked.append(partitions)
        return await self.now()

    async def sandboxes(self) -> Sequence[str]:
        return []

    async def pending(self, *_: object) -> Sequence[object]:
        self.claims += 1
        return []

    async def due(self, *_: object) -> Sequence[object]:
        self.claims += 1
        return []

    async def waiting(self, _: object) -> Waiting:
        return Waiting(2, 7.0)

    async def oldest_timer(self, _: object) -> datetime:
        return START - timedelta(seconds=5)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def scheduler(site: Site) -> Scheduler:
    fake: Any = site
    return Scheduler(fake, lambda _: cast(Work, fake), fake, fake, Moments(site.clock))


def value(gauge: Gauge) -> float:
    (family,) = gauge.collect()
    return family.samples[0].value


async def judged(site: Site, scheduler: Scheduler, seconds: float) -> bool:
    """Whether anything is judged at the next turn, `seconds` from now."""
    site.clock.advance(timedelta(seconds=seconds))
    before = site.claims
    await scheduler.judge()
    return site.claims > before


async def test_a_steady_clock_is_believed_after_a_second(site: Site, scheduler: Scheduler) -> None:
    assert [await judged(site, scheduler, s) for s in (0, 0.4, 0.6, 0.1)] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("by", [HOUR, -HOUR, timedelta(days=3)])
async def test_nothing_is_judged_while_the_clock_has_just_jumped(
    site: Site, scheduler: Scheduler, by: timedelta
) -> None:
    await judged(site, scheduler, 0)
    assert await judged(site, scheduler, 1)
    site.ahead = by
    assert [await judged(site, scheduler, s) for s in (0.1, 0.5)] == [False, False]
    assert value(metrics.CLOCK_JUMP) == by.total_seconds()
    site.ahead = timedelta()
    assert [await judged(site, scheduler, s) for s in (0.1, 0.5, 0.6)] == [False, False, True]


async def test_lateness_is_not_told_of_a_clock_in_doubt(site: Site, scheduler: Scheduler) -> None:
    await judged(site, scheduler, 0)
    await judged(site, scheduler, 1)
    await scheduler.look()
    assert value(metrics.ALERTS_TIMER_LATENESS) == 6
    site.ahead = HOUR
    await scheduler.look()
    assert value(metrics.ALERTS_TIMER_LATENESS) == 6


async def test_what_waits_is_told_though_the_clock_is_in_doubt(
    site: Site, scheduler: Scheduler
) -> None:
    await scheduler.look()
    assert (value(metrics.ALERTS_PENDING), value(metrics.ALERTS_PENDING_AGE)) == (2, 7)


async def test_a_partition_that_the_topic_has_grown_by_is_waited_for(
    site: Site, scheduler: Scheduler
) -> None:
    """Its facts count too: without its watermark a clock fires before they are there."""
    await judged(site, scheduler, 0)
    await judged(site, scheduler, 1)
    site.partitions = 3
    await scheduler.look()
    await scheduler.judge()
    assert set(site.asked[-3:]) == {3}


async def test_a_log_that_is_away_hides_no_late_timer(site: Site, scheduler: Scheduler) -> None:
    await judged(site, scheduler, 0)
    await judged(site, scheduler, 1)
    site.away = True
    site.clock.advance(HOUR)
    await scheduler.look()
    assert value(metrics.ALERTS_TIMER_LATENESS) == 6 + HOUR.total_seconds()
