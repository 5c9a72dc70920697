"""How the measures reach their rows through walled views, whatever the statistics say."""

import pytest
from sqlalchemy import text

from libs.common.db.database import Database
from libs.common.measures import conversion as conversion_sql
from libs.common.measures.conversion import Conversion
from libs.common.measures.scope import Instants
from services.reporting.adapters.reads import TransactionReads
from tests.integration.reporting.histories import at

pytestmark = pytest.mark.postgres
QUARTER = Conversion(
    pipeline_id="b2b", first_stage="lead", stages=("lead", "offer"),
    at=Instants(at(100), None), start=at(10), end=at(20),
)  # fmt: skip


async def test_a_cohort_is_reached_by_index_in_every_view(database_url: str) -> None:
    """The array of candidates passes the security barrier; a join would not."""
    sql = conversion_sql.counts(QUARTER)
    database = Database(database_url, "headway_reporting_api")
    try:
        async with database.for_tenant("t", snapshot=True) as tx:
            await TransactionReads(tx).pin_plans()
            await tx.execute(text("SET LOCAL enable_seqscan = off"))
            found = await tx.execute(text(f"EXPLAIN {sql.text}"), sql.parameters)
            plan = "\n".join(found.scalars())
    finally:
        await database.close()
    reached = [line for line in plan.splitlines() if "Index Cond" in line and "ANY" in line]
    assert len(reached) == 3, plan
