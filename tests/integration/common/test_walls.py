"""S0: a tenant's rows are behind two walls, and the owner of the views is no superuser."""

import pytest
from sqlalchemy import text

from libs.common.db.database import Database

pytestmark = pytest.mark.postgres


async def test_a_transaction_sees_only_the_tenant_that_it_names(database_url: str) -> None:
    db = Database(database_url, "headway_ingest_api")
    insert = text(
        "INSERT INTO ingest.tenants VALUES (:t, :t, 'UTC', 'EUR', 1, 'monday', false, now())"
    )
    for tenant in ("a", "b"):
        async with db.for_tenant(tenant) as tx:
            await tx.execute(insert, {"t": tenant})
    async with db.for_tenant("a") as tx:
        rows = (await tx.execute(text("SELECT tenant_id FROM ingest.tenants"))).scalars().all()
        views = (await tx.execute(text("SELECT tenant_id FROM ingest_api.tenants_v1"))).scalars()
        assert rows == list(views) == ["a"]
    async with db.across_tenants() as tx:
        assert (await tx.execute(text("SELECT 1 FROM ingest.tenants"))).first() is None
    await db.close()
