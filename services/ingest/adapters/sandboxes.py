"""Which tenants live by a clock of their own. That never changes, so each is asked for once."""

from sqlalchemy import text

from libs.common.db.database import Database
from services.ingest.adapters.transactions import worker_transaction

_SANDBOX = text("SELECT sandbox FROM ingest.tenants WHERE tenant_id = :tenant_id")


class SqlSandboxes:
    """`Sandboxes` over PostgreSQL; `database` is a pool of the worker role."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, bool] = {}

    async def has(self, tenant_id: str) -> bool:
        if tenant_id not in self._known:
            async with worker_transaction(self._database) as tx:
                found = await tx.scalar(_SANDBOX, {"tenant_id": tenant_id})
            self._known[tenant_id] = bool(found)
        return self._known[tenant_id]
