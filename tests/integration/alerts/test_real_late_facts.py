"""Facts that arrive after a real tenant's alert was raised: what its integrator reads of them.

Every event happened in the past and is known from now on; the clock is the database's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.alerts import lived
from tests.integration.alerts.lived import Lived, lives, quiet
from tests.integration.alerts.rig import PATIENCE, Said, Site, called, created, stalled
from tests.integration.alerts.rig import moved as staged
from tests.integration.alerts.rig import told as telling
from tests.integration.alerts.test_real_tenants import ended, started

pytestmark = pytest.mark.postgres
NOW = datetime.now(UTC)
CALL = {"activity": {"kinds": ["call"], "direction": "outbound"}}
MET = stalled(clock={"start": "stage_entered_at", "limit": "P30D", "met_by": CALL})
OFFERED = stalled(10, scope="deal.stage_id == 'offer'")


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def past(event: Said, days: float, **changes: Any) -> Said:
    """The event, so many days ago."""
    return replace(event, at=ago(days), **changes)


async def fires(site: Site, rule: dict[str, Any], *events: Said) -> list[Lived]:
    """A rule and what the deal `D` has done: one alert of it stands."""
    await site.rule("r", rule)
    await site.say(*events)
    (record,) = await lives(site, "D")
    assert (record.type, record.at) == ("fired", record.started_at)
    return [record]


async def test_a_merge_supersedes_and_the_survivor_has_its_own_clock(real: Site) -> None:
    gone, survivor = past(created("D", 0), 40), past(created("S", 0), 35)
    before = await fires(real, stalled(30), gone, survivor)
    await real.say(past(telling("deal.merged", 0, "S", merged_deal_ids=["D"]), 3))
    assert await lives(real, "D") == [
        *before, lived.resolved(gone.id, ago(10), ago(3), "superseded"),
    ]  # fmt: skip
    assert await lives(real, "S") == [lived.fired(survivor.id, ago(5))]


async def test_a_late_merge_supersedes_what_was_cleared_after_it(real: Site) -> None:
    gone = past(created("D", 0), 40)
    before = await fires(real, stalled(30), gone, past(created("S", 0), 2))
    await real.say(past(staged("D", 0, "offer"), 3))
    before += [lived.resolved(gone.id, ago(10), ago(3))]
    assert await lives(real, "D") == before
    await real.say(past(telling("deal.merged", 0, "S", merged_deal_ids=["D"]), 6))
    assert await lives(real, "D") == [
        *before, lived.corrected(gone.id, ago(10), "superseded", ago(6)),
    ]  # fmt: skip


@pytest.mark.parametrize("type_", ["deal.deleted", "deal.lost"])
async def test_what_ends_the_deal_clears_at_its_time(real: Site, type_: str) -> None:
    first = past(created("D", 0), 40)
    before = await fires(real, stalled(30), first)
    await real.say(past(telling(type_, 0, "D"), 4))
    assert await lives(real, "D") == [*before, lived.resolved(first.id, ago(10), ago(4))]


async def test_a_deletion_before_the_alert_began_retracts_it(real: Site) -> None:
    """And restoring within the clock is a stretch of its own."""
    first = past(created("D", 0), 40)
    before = await fires(real, stalled(30), first)
    await real.say(past(telling("deal.deleted", 0, "D"), 12))
    before += [lived.retracted(first.id, ago(10))]
    assert await lives(real, "D") == before
    await real.say(past(telling("deal.restored", 0, "D"), 5))
    assert await lives(real, "D") == [*before, lived.fired(first.id, ago(5))]


async def test_an_earlier_start_moves_the_alert(real: Site) -> None:
    second = past(staged("D", 0, "offer"), 20)
    before = await fires(real, OFFERED, past(created("D", 0), 60), second)
    (alert,) = await real.alerts()
    earlier = past(staged("D", 0, "offer"), 25)
    await real.say(earlier)
    assert await lives(real, "D") == [*before, lived.corrected(earlier.id, ago(15))]
    (after,) = await real.alerts()
    assert (after["id"], after["state"], after["version"]) == (alert["id"], "firing", 2)
    (correction,) = after["corrections"]
    assert correction["start_event_id"] == second.id
    assert correction["evidence"] == alert["evidence"]


async def test_a_late_owner_is_told_and_found(real: Site) -> None:
    """Who asks for the alerts of an owner gets those that began while the deal was theirs."""
    own = past(created("D", 0, owner_id="u1"), 40)
    before = await fires(real, stalled(30), own)
    await real.say(past(telling("deal.updated", 0, "D", changes={"owner_id": "u2"}), 20))
    assert await lives(real, "D") == [*before, lived.corrected(own.id, ago(10))]
    (found,) = await real.alerts(owner_id="u2")
    assert found["evidence"]["facts"]["owner_id"] == "u2"
    assert await real.alerts(owner_id="u1") == []


async def test_an_alert_that_was_over_moves_too(real: Site) -> None:
    second = past(staged("D", 0, "offer"), 20)
    before = await fires(real, OFFERED, past(created("D", 0), 60), second)
    await real.say(past(staged("D", 0, "lead"), 2))
    before += [lived.resolved(second.id, ago(10), ago(2))]
    earlier = past(staged("D", 0, "offer"), 25)
    assert await lives(real, "D") == before
    await real.say(earlier)
    assert await lives(real, "D") == [
        *before, lived.corrected(earlier.id, ago(15), "cleared", ago(2)),
    ]  # fmt: skip


async def test_a_start_that_is_none_and_has_no_successor_retracts(real: Site) -> None:
    """The clock that takes its place was met before it was due."""
    second = past(staged("D", 0, "offer"), 20)
    rule = OFFERED | {"clock": {"start": "stage_entered_at", "limit": "P10D", "met_by": CALL}}
    call = past(called("D", 0), 22)
    before = await fires(real, rule, past(created("D", 0), 60), call, second)
    await real.say(past(staged("D", 0, "offer"), 25))
    assert await lives(real, "D") == [*before, lived.retracted(second.id, ago(10))]


async def test_a_late_move_away_retracts_and_the_next_clock_is_news(real: Site) -> None:
    first, away = past(created("D", 0), 70), past(staged("D", 0, "offer"), 45)
    before = await fires(real, stalled(30), first)
    await real.say(away)
    assert await lives(real, "D") == [
        *before, lived.retracted(first.id, ago(40)), lived.fired(away.id, ago(15)),
    ]  # fmt: skip


@pytest.mark.parametrize("days", [30, 10])
async def test_met_by_its_due_instant_retracts(real: Site, days: float) -> None:
    first = past(created("D", 0), 40)
    before = await fires(real, MET, first)
    await real.say(past(called("D", 0), days))
    assert await lives(real, "D") == [*before, lived.retracted(first.id, ago(10))]


async def test_met_after_it_was_due_clears_at_that_time(real: Site) -> None:
    first = past(created("D", 0), 40)
    before = await fires(real, MET, first)
    await real.say(past(called("D", 0, "email"), 9))
    assert await lives(real, "D") == before
    await real.say(past(called("D", 0), 7))
    before += [lived.resolved(first.id, ago(10), ago(7))]
    assert await lives(real, "D") == before
    await real.say(past(called("D", 0), 8))
    assert await lives(real, "D") == [
        *before, lived.corrected(first.id, ago(10), "cleared", ago(8)),
    ]  # fmt: skip


async def test_said_twice_changes_nothing(real: Site) -> None:
    first, away = past(created("D", 0), 40), past(staged("D", 0, "offer"), 4)
    before = await fires(real, stalled(30), first)
    for _ in range(3):
        await real.say(away, first)
    assert await lives(real, "D") == [*before, lived.resolved(first.id, ago(10), ago(4))]


@asynccontextmanager
async def watermark_held(site: Site) -> AsyncIterator[None]:
    """An ingest process says that it holds an event of now."""
    await site.hand.execute("INSERT INTO ingest.processes VALUES ('p-1', now(), now())")
    try:
        yield
    finally:
        await site.hand.execute("DELETE FROM ingest.processes")


async def test_a_start_moves_only_to_where_facts_are_complete(real: Site) -> None:
    """Until then the alert says what it said, and is neither retracted nor raised anew."""
    first = past(created("D", 0, name="hot"), 40)
    before = await fires(real, stalled(30, scope="deal.name == 'hot'"), first)
    async with watermark_held(real):
        again = telling("deal.updated", 0, "D", changes={"name": "hot"})
        again = replace(again, at=datetime.now(UTC))
        await real.say(again)
        await quiet(real)
        await real.say(past(telling("deal.updated", 0, "D", changes={"name": "cold"}), 20))
        assert await lives(real, "D") == before
    await _told(real, 2)
    assert await lives(real, "D") == [*before, lived.corrected(first.id, again.at)]


async def _told(site: Site, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(await site.raw()) < count:
            await asyncio.sleep(0.05)


async def test_what_an_import_says_too_late_waits_for_its_end(real: Site) -> None:
    first = past(created("D", 0), 40)
    before = await fires(real, stalled(30), first)
    id_ = await started(real)
    await real.say(past(staged("D", 0, "offer"), 4, origin="backfill"))
    assert await lives(real, "D") == before
    await ended(real, id_)
    await _told(real, 2)
    assert await lives(real, "D") == [*before, lived.resolved(first.id, ago(10), ago(4))]
