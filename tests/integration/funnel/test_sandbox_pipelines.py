"""A pipeline that changes while a sandbox's clock stands before ours: configuration counts at once.

Clocks of sandboxes and of publications are in hours; whoever publishes does it long after.
"""

from datetime import datetime

import pytest

from tests.integration.funnel.test_outbox_records import hour
from tests.integration.funnel.write_rig import B2B, Published, Rig, h, said, stage

pytestmark = pytest.mark.postgres
CLOCK, PUT = 10, 500
SOLD = (("lead", "open"), ("offer", "won"), ("signed", "won"), ("gone", "lost"))


async def sandbox(rig: Rig, hours: float = CLOCK) -> str:
    tenant = await rig.tenant()
    await rig.hand.execute("UPDATE ingest.tenants SET sandbox = true WHERE tenant_id = $1", tenant)
    await move(rig, tenant, hours)
    return tenant


async def move(rig: Rig, tenant: str, hours: float) -> None:
    """Move the sandbox's clock, and publish what it has passed."""
    await rig.hand.execute(
        """INSERT INTO alerts.clock VALUES ($1, $2, now())
        ON CONFLICT (tenant_id) DO UPDATE SET now = EXCLUDED.now""",
        tenant, h(hours),
    )  # fmt: skip
    await rig.wake()


def at(record: Published) -> datetime:
    """The instant of a record."""
    return datetime.fromisoformat(record.headers["ce_time"])


async def redefined(rig: Rig, tenant: str) -> Published:
    """The one record that another class of `offer` makes of the deal in it."""
    before = len(await rig.records_of(tenant))
    await rig.pipeline(tenant, *SOLD, at=PUT, version=2)
    await rig.drain()
    (told,) = (await rig.records_of(tenant))[before:]
    return told


async def in_offer(rig: Rig, tenant: str) -> None:
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, said(0, "deal.created"), stage(2, "offer"))


async def test_another_class_of_a_stage_is_told_as_of_the_sandbox_s_clock(rig: Rig) -> None:
    tenant = await sandbox(rig)
    await in_offer(rig, tenant)
    told = await redefined(rig, tenant)
    assert (told.value["version"], told.value["corrected_from"]) == (3, hour(0))
    assert told.value["changed"]["status"] == {"from": "open", "to": "won"}
    cause = told.value["cause"]
    assert (cause["type"], cause["occurred_at"]) == ("pipeline.published", hour(CLOCK))
    assert at(told) == h(CLOCK)
    assert (await rig.deal(tenant))["version"] == 3


async def test_a_discovered_stage_that_is_published_as_lost_is_told(rig: Rig) -> None:
    tenant = await sandbox(rig)
    await rig.deliver(tenant, said(0, "deal.created", stage_id="gone"))
    await rig.pipeline(tenant, *B2B, at=PUT)
    await rig.drain()
    told = (await rig.records_of(tenant))[-1]
    assert told.value["changed"]["status"] == {"from": "open", "to": "lost"}
    assert (told.value["version"], at(told)) == (2, h(CLOCK))


async def test_a_class_that_alters_the_past_alone_is_told(rig: Rig) -> None:
    tenant = await sandbox(rig)
    await in_offer(rig, tenant)
    await rig.deliver(tenant, stage(4, "lead"))
    told = await redefined(rig, tenant)
    assert (told.value["state"]["status"], told.value["corrected_from"]) == ("open", hour(0))


async def test_nothing_is_told_again_when_the_clock_passes_the_publication(rig: Rig) -> None:
    tenant = await sandbox(rig)
    await in_offer(rig, tenant)
    await redefined(rig, tenant)
    told = await rig.records_of(tenant)
    for hours in (PUT - 1, PUT, PUT + 1):
        await move(rig, tenant, hours)
        await rig.drain()
    assert await rig.records_of(tenant) == told


async def test_what_lies_ahead_is_still_told_when_it_comes(rig: Rig) -> None:
    """A deal that is not there yet has no record; one with a future has it then, told once."""
    tenant = await sandbox(rig)
    await in_offer(rig, tenant)
    await rig.deliver(tenant, said(20, "deal.created", "later", stage_id="offer", known=2),
                      stage(20, "gone", known=2))  # fmt: skip
    assert (await redefined(rig, tenant)).value["deal_id"] == "d"
    before = len(await rig.records_of(tenant))
    await move(rig, tenant, 30)
    told = (await rig.records_of(tenant))[before:]
    assert sorted((r.value["deal_id"], r.value["state"]["status"]) for r in told) == [
        ("d", "lost"), ("later", "won"),
    ]  # fmt: skip
    assert {at(r) for r in told} == {h(20)}


async def test_an_account_s_change_that_lies_ahead_waits_for_the_clock(rig: Rig) -> None:
    """Also if the same drain folds the deal anew for a pipeline that counts at once."""
    tenant = await sandbox(rig)
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, said(0, "deal.created", stage_id="offer", account_id="a"))
    moved = said(20, "account.upserted", "a", region="south", known=2)
    await rig.deliver(tenant, moved)
    told = await redefined(rig, tenant)
    assert (told.value["state"]["status"], told.value["state"]["region"]) == ("won", None)
    await move(rig, tenant, 30)
    last = (await rig.records_of(tenant))[-1]
    assert last.short == ("d", 3, moved.id, None)
    assert last.value["changed"] == {"region": {"from": None, "to": "south"}}


async def test_the_quick_path_after_it_equals_a_whole_fold(rig: Rig) -> None:
    tenant = await sandbox(rig)
    await in_offer(rig, tenant)
    await redefined(rig, tenant)
    await rig.deliver(tenant, stage(5, "lead", known=PUT + 1))
    await rig.deliver(tenant, stage(6, "offer", known=PUT + 2))
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["closed_at"], deal["version"]) == ("won", h(6), 5)
    served = await rig.rows(tenant)
    assert await rig.rebuild(tenant) == "switched"
    assert await rig.rows(tenant) == served
