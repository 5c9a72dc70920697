"""Statements by key reach their rows by the primary key, also before there are any statistics."""

from typing import Any

import pytest

from libs.common.db.database import Database, driver
from services.funnel.adapters import deals, rows
from services.funnel.adapters.store import PLANS
from tests.integration.funnel.write_rig import Rig, said, stage

pytestmark = pytest.mark.postgres
STATEMENTS = {
    "lock deals": (deals.LOCK, "deals", 3),
    "close visits": (rows.CLOSE_VISITS, "visits", 6),
    "close spans": (rows.CLOSE_SPANS, "deal_history", 6),
    "drop visits": (rows.DROP_VISITS, "visits", 6),
    "drop spans": (rows.DROP_SPANS, "deal_history", 6),
    "read visits": (rows.READ_VISITS, "visits", 3),
    "read spans": (rows.READ_SPANS, "deal_history", 3),
}
COLUMNS: list[list[Any]] = [["t"] * 50, [1] * 50, [str(i) for i in range(50)], [1] * 50]


async def _plan(database: Database, statement: str, width: int) -> str:
    async with database.across_tenants() as tx:
        connection = await driver(tx)
        await connection.execute(PLANS)
        now = await connection.fetchval("SELECT now()")
        given = [*COLUMNS, [now] * 50, [now] * 50][:width]
        found = await connection.fetch(f"EXPLAIN {statement}", *given)
    return "\n".join(row[0] for row in found)


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("filled", [False, True])
async def test_rows_are_reached_by_their_key(rig: Rig, name: str, filled: bool) -> None:
    if filled:
        tenant = await rig.tenant()
        events = [said(i, "deal.created", f"d{i}", stage_id="a") for i in range(300)]
        await rig.deliver(tenant, *events)
        await rig.deliver(tenant, *(stage(400 + i, "b", f"d{i}") for i in range(300)))
    statement, table, width = STATEMENTS[name]
    plan = await _plan(rig.database, statement, width)
    assert f"using {table}_pkey on {table}" in plan, plan
    assert "deal_id = k.deal_id" in plan.split("Index Cond:")[1].splitlines()[0], plan
