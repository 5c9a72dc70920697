"""Deals of very long histories: what is read of them at once is bounded."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.db.database import Database, driver
from services.alerts.adapters import timelines
from services.alerts.adapters.store import PostgresJudging
from services.alerts.app import isolating
from services.alerts.domain.timeline import Facts
from tests.integration.alerts.rig import Site, created, stalled, told
from tests.integration.alerts.test_real_tenants import made, until
from tests.integration.alerts.test_refused import AGO, AT_ONCE, error_of

pytestmark = pytest.mark.postgres
LONG, LARGE = 300, 60_000
"""Spans, and characters of the attributes that stand in each of them."""
_COLUMNS = """SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute
    WHERE attrelid = 'funnel.deal_history'::regclass AND attnum > 0
        AND attname NOT IN ('n', 'attributes', 'valid_from', 'amount')"""
_LENGTHEN = """INSERT INTO funnel.deal_history ({columns}, n, attributes, valid_from, amount)
    SELECT {columns}, n + k, json_build_object('text', repeat('x', $2), 'half', k > $3 / 2),
        valid_from + k * interval '1 minute', k
    FROM funnel.deal_history, generate_series(1, $3::int) AS k WHERE tenant_id = $1"""


class Counting:
    """A connection that counts the characters that it has read."""

    def __init__(self, conn: Any) -> None:
        self._conn, self.read = conn, 0

    async def fetch(self, *asked: Any) -> Any:
        rows = await self._conn.fetch(*asked)
        self.read += sum(len(one) for row in rows for one in row if isinstance(one, str))
        return rows


@pytest.fixture
async def conn(sandbox: Site, database_url: str) -> AsyncIterator[Counting]:
    """Bound to a tenant whose deal has a long history."""
    await sandbox.say(created("D", 0))
    await sandbox.clock(1)
    columns = await sandbox.hand.fetchval(_COLUMNS)
    await sandbox.hand.execute(_LENGTHEN.format(columns=columns), sandbox.tenant, LARGE, LONG)
    database = Database(database_url, "headway_alerts_worker")
    async with database.across_tenants() as tx:
        await tx.execute(text("SELECT set_config('app.tenant', :of, true)"), {"of": sandbox.tenant})
        yield Counting(await driver(tx))
    await database.close()


async def read(conn: Counting, tenant: str, attributes: bool) -> tuple[Facts, int]:
    """The facts of the deal, and the characters read of it; its weight is about these."""
    weights = await timelines.weights_of(conn, tenant, ["D"], attributes)
    conn.read = 0
    facts = await timelines.facts_of(conn, tenant, ["D"], attributes)
    assert conn.read / 3 < weights["D"] < 3 * conn.read
    return facts["D"], conn.read


async def test_attributes_are_read_where_they_change_and_somebody_asks(
    sandbox: Site, conn: Counting
) -> None:
    facts, characters = await read(conn, sandbox.tenant, True)
    assert 2 * LARGE < characters < 10 * LARGE
    held = [span.facts["attributes"] for span in facts.spans]
    assert [held[0], held[1]["half"], held[-1]["half"]] == [{}, False, True]
    assert {len(one["text"]) for one in held[1:]} == {LARGE}
    assert sum(one["half"] for one in held[1:]) == LONG / 2
    facts, characters = await read(conn, sandbox.tenant, False)
    assert characters < 1_000 * LONG
    assert len(facts.spans) == LONG + 1
    assert not any(span.facts["attributes"] for span in facts.spans)


async def test_a_rule_has_the_attributes_it_asks_for(sandbox: Site) -> None:
    await sandbox.rule("r", stalled(10, labels={"tier": "deal.attributes.tier"}))
    await sandbox.say(
        created("D", 0, attributes={"tier": "gold"}),
        told("deal.updated", 1, "D", changes={"name": "Nine"}),
    )
    await sandbox.clock(20)
    assert [alert["labels"] for alert in await sandbox.alerts()] == [{"tier": "gold"}]


async def test_what_does_not_fit_into_a_turn_is_judged_by_the_next(
    real: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, facts = list[int](), PostgresJudging.facts

    async def counted(
        self: PostgresJudging, tenant_id: str, subjects: Collection[str], *more: Any
    ) -> Mapping[str, Facts]:
        sizes.append(len(subjects))
        return await facts(self, tenant_id, subjects, *more)

    monkeypatch.setattr(PostgresJudging, "facts", counted)
    monkeypatch.setattr(isolating, "TURN", 1_100, raising=False)
    await real.rule("r", stalled(**AT_ONCE))
    await real.say(*(made(f"D-{n}", AGO) for n in range(12)))
    assert len(await until(real, 12)) == 12
    assert max(sizes) == 2


async def test_a_history_that_no_memory_holds_is_told_and_keeps_nobody_waiting(
    real: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolating, "LONGEST", 2_000, raising=False)
    await real.rule("r", stalled(**AT_ONCE))
    long = [made("long", AGO), *(told("deal.updated", n, "long", changes={"name": f"n{n}"})
                                 for n in range(9))]  # fmt: skip
    await real.say(*long, made("D", AGO))
    error = await error_of(real)
    assert (error["subject_id"], "too long" in error["detail"]) == ("long", True)
    assert "D" in [one["subject"]["id"] for one in await until(real, 1)]
