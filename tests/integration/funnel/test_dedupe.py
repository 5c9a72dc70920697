"""Each event once: repetitions are nothing, contradictions are put aside, the first one wins."""

import pytest

from tests.integration.funnel.write_rig import Rig, h, said, stage

pytestmark = pytest.mark.postgres


async def test_a_repetition_changes_nothing_and_publishes_nothing(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(0, "deal.created", stage_id="lead"), stage(1, "offer"),
              said(0, "account.upserted", "a", region="north")]  # fmt: skip
    await rig.deliver(tenant, *events)
    before = await rig.rows(tenant), await rig.records_of(tenant), await rig.contexts_of(tenant)
    assert not await rig.deliver(tenant, *(e.again(known=e.known + 9) for e in events))
    assert (
        await rig.rows(tenant), await rig.records_of(tenant), await rig.contexts_of(tenant)
    ) == before  # fmt: skip


async def test_a_repetition_inside_one_batch_is_nothing_either(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(0, "deal.created", stage_id="lead", known=5)
    assert not await rig.deliver(tenant, event, event.again(known=3), event.again(known=4))
    assert [r.short[1] for r in await rig.records_of(tenant)] == [1]
    assert [row[6] for row in (await rig.rows(tenant))["events"]] == [h(3)]


async def test_the_smallest_recorded_time_counts_and_moves_known_history(rig: Rig) -> None:
    tenant = await rig.tenant()
    created, moved = said(0, "deal.created", stage_id="lead"), stage(2, "offer", known=8)
    await rig.deliver(tenant, created, moved)
    await rig.deliver(tenant, moved.again(known=3))
    rows = await rig.rows(tenant)
    assert [row[6] for row in rows["events"]] == [h(0), h(3)]
    assert [row[12] for row in rows["visits"] if row[3] == "offer"] == [h(3)]


async def test_what_was_reconciled_and_then_told_is_told_whichever_came_first(rig: Rig) -> None:
    """Else the number of activities would depend on the order of arrival."""
    call = said(1, "activity.logged", activity_id="x")
    first = said(2, "activity.completed", activity_id="x", origin="reconcile")
    for cut in ([[call], [first], [first.again(origin="live")]],
                [[call], [first.again(origin="live")], [first]],
                [[first, first.again(origin="live")], [call]]):  # fmt: skip
        tenant = await rig.tenant()
        for batch in cut:
            assert not await rig.deliver(tenant, *batch)
        assert (await rig.deal(tenant))["activity_count"] == 2
        assert [row[8] for row in (await rig.rows(tenant))["events"]] == ["live"] * 2
    tenant = await rig.tenant()
    await rig.deliver(tenant, call, first)
    assert (await rig.deal(tenant))["activity_count"] == 1


async def test_another_body_under_the_same_id_is_a_conflict_and_the_first_wins(rig: Rig) -> None:
    tenant = await rig.tenant()
    first = said(0, "deal.created", stage_id="lead")
    await rig.deliver(tenant, first)
    for other in (
        first.again(data={"deal_id": "d", "stage_id": "offer"}),
        first.again(at=1),
        first.again(sequence=7),
        first.again(type="deal.deleted", data={"deal_id": "d"}),
    ):
        [buried] = await rig.deliver(tenant, other)
        assert buried.code == "conflict"
        assert dict(buried.record.headers)["ce_id"] == first.id.encode()
    assert (await rig.deal(tenant))["stage_id"] == "lead"
    assert len(await rig.records_of(tenant)) == 1


async def test_a_conflict_inside_one_batch_leaves_the_first(rig: Rig) -> None:
    tenant = await rig.tenant()
    first = said(0, "deal.created", stage_id="lead")
    other = first.again(data={"deal_id": "d", "stage_id": "offer"})
    assert [b.code for b in await rig.deliver(tenant, first, other, first)] == ["conflict"]
    assert (await rig.deal(tenant))["stage_id"] == "lead"


async def test_an_assumed_time_is_no_part_of_the_body(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(0, "deal.created").again(time_quality="assumed")
    await rig.deliver(tenant, event)
    assert not await rig.deliver(tenant, event.again(at=4, known=4))
    assert (await rig.deal(tenant))["created_at"] == h(0)


async def test_the_same_id_of_another_source_is_another_event(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(0, "deal.created", stage_id="lead")
    assert not await rig.deliver(tenant, event, event.again(source="/other"))
    assert len((await rig.rows(tenant))["events"]) == 2


async def test_an_unknown_tenant_is_buried_and_its_neighbours_live_on(rig: Rig) -> None:
    tenant = await rig.tenant()
    records = [*rig.records("nobody", [said(0, "deal.created")]),
               *rig.records(tenant, [said(0, "deal.created")])]  # fmt: skip
    assert [b.code for b in await rig.handle(records)] == ["unknown_tenant"]
    assert (await rig.deal(tenant))["status"] == "open"
    assert not await rig.hand.fetchval(
        "SELECT count(*) FROM funnel.events WHERE tenant_id = 'nobody'"
    )


async def test_unknown_types_are_kept_forwarded_and_skipped(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(0, "weather.changed", "d", id="w", wind=5)
    assert not await rig.deliver(tenant, event, event)
    rows = await rig.rows(tenant)
    assert [row[1:5] for row in rows["events"]] == [("w", "weather.changed", "event", "w")]
    assert rows["deals"] == []
    assert [row[1] for row in await rig.contexts_of(tenant)] == [f"{tenant}:event:w".encode()]


async def test_an_unknown_type_of_a_deal_is_kept_and_no_context(rig: Rig) -> None:
    tenant = await rig.tenant()
    assert not await rig.deliver(tenant, said(0, "deal.scored", id="s", score=5))
    assert len((await rig.rows(tenant))["events"]) == 1
    assert await rig.contexts_of(tenant) == []
