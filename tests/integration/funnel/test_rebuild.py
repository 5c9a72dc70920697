"""Rebuilds: equal ones switch by themselves and say nothing, others wait for a decision."""

from datetime import timedelta
from typing import Any

import pytest

from services.funnel.app import rebuild
from tests.integration.funnel.test_outbox_records import hour
from tests.integration.funnel.write_rig import B2B, Rig, Said, h, said, stage

pytestmark = pytest.mark.postgres


def story() -> list[Said]:
    """A bit of everything: late events, a merge, a deletion, contexts, the future."""
    a, b, c, d = "abcd"
    return [
        said(-9, "account.upserted", "acc", region="north"),
        said(0, "deal.created", a, account_id="acc", amount="12.50", attributes={"x": [1, 0.5]}),
        said(1, "deal.created", b, expected_close_date="2026-05-01"),
        stage(4, "offer", a), said(9, "deal.won", a), stage(3, "demo", a, known=20),
        said(5, "deal.merged", b, merged_deal_ids=[c]),
        said(2, "activity.logged", c, activity_id="x", kind="call"),
        said(6, "deal.created", d, pipeline_id="other", stage_id="s"), said(7, "deal.deleted", d),
        stage(2000, "signed", b, known=8),
        said(9, "account.upserted", "acc", region="south"),
    ]  # fmt: skip


STORY = story()
TABLES = ("deals", "visits", "deal_history")


async def told(rig: Rig) -> str:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, *STORY)
    await rig.drain()
    return tenant


async def generations(rig: Rig, tenant: str) -> dict[str, set[int]]:
    """By table, the generations that have rows."""
    found = {}
    for table in TABLES:
        rows = await rig.hand.fetch(
            f"SELECT DISTINCT generation FROM funnel.{table} WHERE tenant_id = $1",  # noqa: S608
            tenant,
        )
        found[table] = {row[0] for row in rows}
    return found


async def current(rig: Rig, tenant: str) -> tuple[int, int | None]:
    [row] = await rig.hand.fetch(
        "SELECT current, building FROM funnel.generations WHERE tenant_id = $1", tenant
    )
    return row[0], row[1]


async def versions(rig: Rig, tenant: str) -> dict[str, int]:
    generation, _ = await current(rig, tenant)
    rows = await rig.hand.fetch(
        "SELECT deal_id, version FROM funnel.deals WHERE tenant_id = $1 AND generation = $2",
        tenant, generation,
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}


async def differences(rig: Rig, tenant: str) -> list[tuple[str, bool, bool]]:
    """Deals that differ, whether there was one before, and whether there is one now."""
    rows = await rig.hand.fetch(
        """SELECT deal_id, before IS NOT NULL, after IS NOT NULL FROM funnel.rebuild_differences
        WHERE tenant_id = $1 ORDER BY deal_id""",
        tenant,
    )
    return [tuple(row) for row in rows]


async def tamper(
    rig: Rig, tenant: str, deal: str = "a", sets: str = "stage_id = 'nowhere'"
) -> None:
    await rig.hand.execute(
        f"UPDATE funnel.deals SET {sets} WHERE tenant_id = $1 AND deal_id = $2",  # noqa: S608
        tenant, deal,
    )  # fmt: skip


async def test_an_equal_rebuild_switches_and_says_nothing(rig: Rig) -> None:
    tenant = await told(rig)
    rows, numbers = await rig.rows(tenant), await versions(rig, tenant)
    records = await rig.records_of(tenant)
    assert await rig.rebuild(tenant) == "switched"
    assert await current(rig, tenant) == (2, None)
    assert await rig.rows(tenant) == rows
    assert await versions(rig, tenant) == numbers
    assert await rig.records_of(tenant) == records
    assert await generations(rig, tenant) == {t: {2} for t in TABLES}
    [row] = await rig.hand.fetch("SELECT * FROM funnel.rebuilds WHERE tenant_id = $1", tenant)
    assert (row["done"], row["total"], row["differing"]) == (4, 4, 0)
    assert row["finished_at"] is not None


async def test_what_comes_after_a_rebuild_folds_on_as_before(rig: Rig) -> None:
    tenant, other = await told(rig), await told(rig)
    await rig.rebuild(tenant)
    later = [stage(30, "lead", "a"), stage(31, "offer", "b"), stage(8, "late", "b", known=40)]
    for where in (tenant, other):
        for event in later:
            await rig.deliver(where, event)
    assert await rig.rows(tenant) == await rig.rows(other)
    assert [r.short for r in await rig.records_of(tenant)] == [
        r.short for r in await rig.records_of(other)
    ]


@pytest.mark.parametrize(
    ("table", "sets"),
    [
        ("deals", "stage_id = 'nowhere'"),
        ("deals", "amount = 1"),
        ("deals", "activity_count = 9"),
        ("deals", "attributes = '{}'"),
        ("visits", "entered_at = entered_at - interval '1 s'"),
        ("visits", "known_to = '2030-01-01Z'"),
        ("deal_history", "owner_id = 'nobody'"),
        ("deal_history", "known_from = known_from + interval '1 s'"),
    ],
)
async def test_a_difference_is_listed_and_the_old_rows_are_served(
    rig: Rig, table: str, sets: str
) -> None:
    tenant = await told(rig)
    await rig.hand.execute(
        f"UPDATE funnel.{table} SET {sets} WHERE tenant_id = $1 AND deal_id = 'a'",  # noqa: S608
        tenant,
    )
    rows, records = await rig.rows(tenant), await rig.records_of(tenant)
    assert await rig.rebuild(tenant) == "differs"
    assert await differences(rig, tenant) == [("a", True, True)]
    assert await current(rig, tenant) == (1, None)
    assert await rig.rows(tenant) == rows
    assert await rig.records_of(tenant) == records
    assert await generations(rig, tenant) == {t: {1} for t in TABLES}


async def test_an_accepted_difference_is_one_corrected_record(rig: Rig) -> None:
    tenant = await told(rig)
    wanted, before = await rig.rows(tenant), await versions(rig, tenant)
    await tamper(rig, tenant, sets="stage_id = 'nowhere', amount = 1")
    await tamper(rig, tenant, "c", sets="activity_count = 5")
    count = len(await rig.records_of(tenant))
    assert await rig.rebuild(tenant, accept=True) == "switched"
    assert await rig.rows(tenant) == wanted
    records = (await rig.records_of(tenant))[count:]
    assert [(r.short[0], r.short[1], r.value["cause"]["type"]) for r in records] == [
        ("a", before["a"] + 1, "projection.rebuilt"), ("c", before["c"] + 1, "projection.rebuilt"),
    ]  # fmt: skip
    first = records[0].value
    assert first["corrected_from"] == hour(0)
    assert set(first["changed"]) == {"stage_id", "stage_name", "amount"}
    assert first["state"]["amount"] == {"amount": "12.50", "currency": "EUR"}
    assert first["changed"]["amount"]["from"]["amount"] == "1.00"
    assert await versions(rig, tenant) == before | {"a": before["a"] + 1, "c": before["c"] + 1}


async def test_a_differing_rebuild_can_be_accepted_by_another_one(rig: Rig) -> None:
    tenant = await told(rig)
    wanted = await rig.rows(tenant)
    await tamper(rig, tenant)
    assert await rig.rebuild(tenant) == "differs"
    rig.clock.advance(timedelta(seconds=1))
    assert await rig.rebuild(tenant, accept=True) == "switched"
    assert await current(rig, tenant) == (3, None)
    assert await rig.rows(tenant) == wanted


async def test_rows_that_no_event_speaks_of_are_a_difference(rig: Rig) -> None:
    tenant = await told(rig)
    await rig.hand.execute(
        "DELETE FROM funnel.events WHERE tenant_id = $1 AND subject_id = 'd'", tenant
    )
    assert await rig.rebuild(tenant) == "differs"
    assert await differences(rig, tenant) == [("d", True, False)]


async def test_a_deal_that_exists_only_by_its_merge_is_compared_too(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.merged", "s", merged_deal_ids=["m"]))
    await tamper(rig, tenant, "m", "merged_into = 'elsewhere'")
    assert await rig.rebuild(tenant) == "differs"
    assert await differences(rig, tenant) == [("m", True, True)]


async def test_a_deal_that_is_missing_is_a_difference(rig: Rig) -> None:
    tenant = await told(rig)
    for table in TABLES:
        await rig.hand.execute(
            f"DELETE FROM funnel.{table} WHERE tenant_id = $1 AND deal_id = 'a'",  # noqa: S608
            tenant,
        )
    assert await rig.rebuild(tenant) == "differs"
    assert await differences(rig, tenant) == [("a", False, True)]


async def test_batches_in_the_middle_write_both_generations(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, at and behind the cursor, deals old and new, late events and a merge across it."""
    monkeypatch.setattr(rebuild, "CHUNK", 2)
    tenant, other = await told(rig), await told(rig)
    await rig.ask_rebuild(tenant)
    await rig.rebuilds.step()
    assert await current(rig, tenant) == (1, 2)
    during = [
        [stage(40, "lead", "a"), said(41, "deal.created", "aa", account_id="acc")],
        [stage(42, "lead", "d"), stage(2, "late", "d", known=43)],
        [said(44, "deal.created", "z"), said(45, "deal.merged", "a", merged_deal_ids=["z"])],
        [said(46, "account.upserted", "acc", region="west")],
    ]
    for batch in during:
        await rig.deliver(tenant, *batch)
        await rig.deliver(other, *batch)
        await rig.drain()
        await rig.rebuilds.step()
    while await rig.rebuilds.step():
        pass
    assert await current(rig, tenant) == (2, None)
    assert await rig.rows(tenant) == await rig.rows(other)
    assert await versions(rig, tenant) == await versions(rig, other)
    assert [r.short for r in await rig.records_of(tenant)] == [
        r.short for r in await rig.records_of(other)
    ]


async def test_a_step_that_dies_is_taken_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every step that is committed, one that is not."""
    monkeypatch.setattr(rebuild, "CHUNK", 1)
    tenant = await told(rig)
    await tamper(rig, tenant)
    count, wanted = len(await rig.records_of(tenant)), await told(rig)
    await rig.ask_rebuild(tenant, accept=True)
    rolled_back = 0
    while await _dying_step(rig, tenant):
        rolled_back += 1
        assert await rig.rebuilds.step()
    while await rig.rebuilds.step():
        pass
    assert rolled_back > 5
    assert await rig.rows(tenant) == await rig.rows(wanted)
    assert len(await rig.records_of(tenant)) == count + 1


async def _dying_step(rig: Rig, tenant: str) -> bool:
    """A step whose transaction is dropped at its very end; whether it was not the last one."""

    class Dies(Exception):
        pass

    class Database:
        def across_tenants(self) -> Any:
            return Dropped(rig, Dies)

    steps = rebuild.Rebuilds(Database(), rig.rebuilds._store_of, rig.clock)  # type: ignore[arg-type]
    try:
        more = await steps.step()
    except Dies:
        more = True
    finished = await rig.hand.fetchval(
        """SELECT state <> 'building' AND NOT EXISTS (SELECT FROM funnel.rebuild_differences d
            WHERE d.tenant_id = r.tenant_id AND NOT published)
        FROM funnel.rebuilds r WHERE tenant_id = $1""",
        tenant,
    )
    return more and not finished


class Dropped:
    """A transaction that is lost at its end."""

    def __init__(self, rig: Rig, error: type[Exception]) -> None:
        self._inner, self._error = rig.database.across_tenants(), error

    async def __aenter__(self) -> Any:
        return await self._inner.__aenter__()

    async def __aexit__(self, *raised: Any) -> None:
        error = self._error()
        await self._inner.__aexit__(type(error), error, None)


async def test_an_alarm_that_rings_after_the_switch_is_heard(rig: Rig) -> None:
    """It was overdue while the rebuild folded the deal: nobody had told the event yet."""
    tenant = await rig.tenant()
    due = stage(1001, "offer", known=1000)
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"), due)
    rig.clock.advance(timedelta(hours=5))
    assert await rig.rebuild(tenant) == "switched"
    await rig.wake()
    record = (await rig.records_of(tenant))[-1]
    assert record.short == ("d", 2, due.id, None)
    assert record.value["changed"]["stage_id"] == {"from": "lead", "to": "offer"}
    assert (await rig.deal(tenant))["stage_entered_at"] == h(1001)


async def test_a_rebuild_waits_for_refolds_so_that_their_records_are_not_lost(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    moved = said(5, "account.upserted", "a", region="north")
    await rig.deliver(tenant, moved)
    rebuild_id = await rig.ask_rebuild(tenant)
    assert not await rig.rebuilds.step()
    assert await rig.rebuild_state(rebuild_id) == "building"
    await rig.drain()
    while await rig.rebuilds.step():
        pass
    assert await rig.rebuild_state(rebuild_id) == "switched"
    await rig.drain()
    assert [r.short for r in await rig.records_of(tenant)][-1] == ("d", 2, moved.id, None)


async def test_a_tenant_without_deals_is_rebuilt(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "something.unknown"))
    assert await rig.rebuild(tenant) == "switched"


async def test_another_tenant_is_not_touched(rig: Rig) -> None:
    one, two = await told(rig), await told(rig)
    rows = await rig.rows(two)
    await rig.rebuild(one)
    assert await current(rig, two) == (1, None)
    assert await rig.rows(two) == rows
