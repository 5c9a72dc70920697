"""What is published: one record per live event in fold order, backfill once per deal and batch."""

import pytest

from libs.common.ids import uuid5
from tests.integration.funnel.write_rig import B2B, Published, Rig, Said, h, rigged, said, stage

pytestmark = pytest.mark.postgres
AT = "2026-03-02T{:02}:00:00Z"


def hour(hours: int) -> str:
    return AT.format(9 + hours)


def causes(records: list[Published]) -> list[str]:
    return [record.value["cause"]["id"] for record in records]


async def test_a_live_event_makes_exactly_one_record_in_fold_order(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(0, "deal.created", stage_id="lead"), stage(2, "offer"), said(3, "deal.won")]
    await rig.deliver(tenant, events[2], events[0], events[1])
    records = await rig.records_of(tenant)
    assert [r.short for r in records] == [("d", n, e.id, None) for n, e in enumerate(events, 1)]
    assert [r.value["state"]["status"] for r in records] == ["open", "open", "won"]
    assert (await rig.deal(tenant))["version"] == 3


async def test_versions_go_on_from_batch_to_batch(rig: Rig) -> None:
    tenant = await rig.tenant()
    for at in range(4):
        await rig.deliver(tenant, said(at, "deal.updated", changes={"amount": str(at)}))
    assert [r.value["version"] for r in await rig.records_of(tenant)] == [1, 2, 3, 4]


async def test_a_record_tells_what_changed_and_why(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, said(0, "deal.created", amount="10"))
    moved = stage(2, "offer", actor_id="u-1", known=3)
    await rig.deliver(tenant, moved)
    record = (await rig.records_of(tenant))[-1]
    assert record.key == f"{tenant}:d".encode()
    assert record.value["changed"] == {
        "stage_id": {"from": "lead", "to": "offer"},
        "stage_name": {"from": "Lead", "to": "Offer"},
        "stage_entered_at": {"from": hour(0), "to": hour(2)},
        "last_event_at": {"from": hour(0), "to": hour(2)},
        "recorded_at": {"from": hour(0), "to": hour(3)},
    }
    assert record.value["cause"] == {
        "id": moved.id, "source": "/crm", "type": "deal.stage_changed", "occurred_at": hour(2),
        "data": {"deal_id": "d", "stage_id": "offer", "actor_id": "u-1"},
    }  # fmt: skip
    assert record.value["state"]["amount"] == {"amount": "10.00", "currency": "EUR"}


async def test_the_envelope_follows_from_tenant_deal_and_version(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(1, "deal.created", known=2)
    await rig.deliver(tenant, event)
    [record] = await rig.records_of(tenant)
    assert record.headers == {
        "ce_specversion": "1.0", "content-type": "application/json", "ce_tenantid": tenant,
        "ce_source": "/headway/funnel", "ce_id": str(uuid5(tenant, "d", "1")),
        "ce_type": "deal.state_changed", "ce_time": h(1).isoformat(),
        "ce_recordedtime": h(2).isoformat(), "ce_subject": "d", "ce_origin": "live",
        "ce_timequality": "given", "ce_correlationid": event.id, "ce_causationid": event.id,
    }  # fmt: skip


@pytest.mark.parametrize("origin", ["backfill", "reconcile"])
async def test_backfill_is_one_record_per_deal_and_batch(rig: Rig, origin: str) -> None:
    tenant = await rig.tenant()
    events = [
        said(n, "deal.updated", deal, changes={"amount": str(n)}, origin=origin)
        for deal in ("d1", "d2") for n in range(5)
    ]  # fmt: skip
    await rig.deliver(tenant, *events[:3], *events[5:])
    await rig.deliver(tenant, *events[3:5])
    records = await rig.records_of(tenant)
    assert sorted(r.short[:3] for r in records) == [
        ("d1", 1, events[2].id), ("d1", 2, events[4].id), ("d2", 1, events[9].id),
    ]  # fmt: skip
    assert {r.headers["ce_origin"] for r in records} == {"backfill"}


async def test_live_events_among_backfilled_ones_keep_their_own_records(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(n, "deal.updated", changes={"amount": str(n)},
                   origin="live" if n == 2 else "backfill") for n in range(5)]  # fmt: skip
    await rig.deliver(tenant, *events)
    records = await rig.records_of(tenant)
    assert causes(records) == [events[1].id, events[2].id, events[4].id]
    assert [r.headers["ce_origin"] for r in records] == ["backfill", "live", "backfill"]


async def test_a_late_event_makes_one_corrected_record(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"), stage(10, "offer"))
    late = stage(5, "demo", known=20)
    await rig.deliver(tenant, late)
    record = (await rig.records_of(tenant))[-1]
    assert record.short == ("d", 3, late.id, hour(5))
    assert record.value["corrected"] is True
    assert record.value["state"]["stage_id"] == "offer"


async def test_late_and_new_events_of_one_batch(rig: Rig) -> None:
    """Late ones first, with the state that they lead to; then each one at the head."""
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"), stage(6, "offer"))
    ahead, late = stage(8, "signed"), stage(3, "demo")
    await rig.deliver(tenant, ahead, late)
    assert [r.short for r in await rig.records_of(tenant)][2:] == [
        ("d", 3, late.id, hour(3)), ("d", 4, ahead.id, None),
    ]  # fmt: skip


async def test_activities_travel_in_records(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created"))
    call = said(1, "activity.logged", activity_id="x", kind="call", direction="outbound")
    await rig.deliver(tenant, call)
    record = (await rig.records_of(tenant))[-1]
    assert record.value["cause"]["data"] == call.data
    assert record.value["changed"]["activity_count"] == {"from": 0, "to": 1}


async def test_a_live_event_that_changes_nothing_has_its_record(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"))
    again = stage(1, "lead")
    await rig.deliver(tenant, again)
    assert causes(await rig.records_of(tenant))[-1] == again.id


async def test_context_events_are_forwarded_as_they_came(rig: Rig) -> None:
    tenant = await rig.tenant()
    told = [
        said(0, "account.upserted", "a", region="north"),
        said(0, "user.upserted", "u", team_id="t"),
        said(0, "team.upserted", "t", name="T"),
        said(0, "lead.created", "l", source="fair"),
        Said(0, "usage.recorded", {"account_id": "a", "step": "s"}, 0, "u1"),
        Said(0, "cost.recorded", {"amount": "5", "currency": "EUR"}, 0, "c1"),
        Said(0, "activity.logged", {"activity_id": "x", "lead_id": "l"}, 0, "x1"),
        Said(0, "activity.logged", {"activity_id": "y", "account_id": "a"}, 0, "x2"),
    ]
    await rig.deliver(tenant, *told, said(0, "deal.created"),
                      said(1, "activity.logged", activity_id="z"))  # fmt: skip
    rows = await rig.contexts_of(tenant)
    assert [row[1].decode().removeprefix(f"{tenant}:") for row in rows] == [
        "account:a", "user:u", "team:t", "lead:l", "account:a", "event:c1", "lead:l", "account:a",
    ]  # fmt: skip
    sent = [event.record(tenant) for event in told]
    assert [(row[2], tuple(zip(row[3], row[4], strict=True))) for row in rows] == [
        (record.value, record.headers) for record in sent
    ]
    await rig.deliver(tenant, *told)
    assert len(await rig.contexts_of(tenant)) == len(told)


async def test_records_are_the_same_bytes_after_a_rollback(rig: Rig, database_url: str) -> None:
    """A repeat of the batch, by another process and at a later hour, publishes the same."""
    tenant = await rig.tenant()
    batch = [said(0, "deal.created", stage_id="lead"), stage(2, "offer")]
    async with rig.database.across_tenants() as tx:
        await rig.handler.handle(tx, rig.records(tenant, batch))
        first = await _seen(tx, tenant)
        await tx.rollback()
    async with rigged(database_url, h(2000), "w2") as other:
        await other.deliver(tenant, *batch)
    again = await rig.records_of(tenant)
    assert [(r.key, r.raw, r.headers["ce_id"]) for r in again] == first


async def _seen(tx: object, tenant: str) -> list[tuple[bytes, bytes, str]]:
    from sqlalchemy import text

    rows = await tx.execute(  # type: ignore[attr-defined]
        text("SELECT record_key, value, header_names, header_values FROM funnel.outbox"
             " WHERE tenant_id = :t ORDER BY id"), {"t": tenant})  # fmt: skip
    return [(r[0], r[1], dict(zip(r[2], r[3], strict=True))["ce_id"].decode()) for r in rows]
