"""`funnel.aliases`: the deals that merges connect."""

from collections.abc import Collection, Mapping
from typing import Any

from libs.common.db.bulk import transposed
from services.funnel.app.model import DealKey


async def groups_of(conn: Any, deals: Collection[DealKey]) -> dict[DealKey, str]:
    rows = await conn.fetch(
        """SELECT a.tenant_id, a.deal_id, a.group_id FROM funnel.aliases a
        JOIN (SELECT DISTINCT b.tenant_id, b.group_id
            FROM unnest($1::text[], $2::text[]) AS k(tenant_id, deal_id)
            JOIN funnel.aliases b USING (tenant_id, deal_id)) g USING (tenant_id, group_id)""",
        *transposed(sorted(deals), 2),
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def join_groups(conn: Any, groups: Mapping[DealKey, str]) -> None:
    await conn.execute(
        """INSERT INTO funnel.aliases (tenant_id, deal_id, group_id)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
        ON CONFLICT (tenant_id, deal_id) DO UPDATE SET group_id = EXCLUDED.group_id""",
        *transposed([(*key, group) for key, group in sorted(groups.items())], 3),
    )
