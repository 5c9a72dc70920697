"""Where stages stand today, and what they are called."""

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from services.funnel.domain.exits import StageOrder

_ORDER = """SELECT pipeline_id, stage_id, row_number() OVER (PARTITION BY pipeline_id ORDER BY
        (state <> 'published'), (state <> 'archived'), position, first_occurred_at, stage_id)
    FROM funnel.stages WHERE tenant_id = $1"""


async def stage_order(tx: AsyncConnection, tenant_id: str) -> StageOrder:
    """The order of `funnel_api.stages_v1`."""
    rows = await (await driver(tx)).fetch(_ORDER, tenant_id)
    return {(row[0], row[1]): row[2] for row in rows}
