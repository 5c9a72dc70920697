"""The first operator key of an installation: it creates tenants, and nobody else can."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.ids import uuid7
from libs.common.web.auth import OPERATOR_TENANT, NewKey, new_key

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('headway.operator_key'))")
_EXISTS = text("""
    SELECT EXISTS (
        SELECT FROM ingest.api_keys
        WHERE tenant_id = :tenant_id AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > :now))
""")
_INSERT = text("""
    INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)
    VALUES (:tenant_id, :key_id, :key_hash, 'operator', ARRAY['operator'], :now)
""")
_AUDIT = text("""
    INSERT INTO ingest.audit (tenant_id, audit_id, at, actor, action, object)
    VALUES (:tenant_id, :audit_id, :now, 'system', 'api_key.created', :key_id)
""")


@dataclass(frozen=True, slots=True)
class _Operator:
    key: NewKey
    now: datetime


async def ensure_operator_key(database_url: str, pepper: bytes, clock: Clock) -> str | None:
    """Make an operator key where no usable one exists; answers it in plain, this once."""
    database = Database(database_url, "headway_ingest_worker", pool_size=1)
    try:
        async with database.across_tenants() as tx:
            await tx.execute(_ONE_AT_A_TIME)
            now = clock.now()
            if await tx.scalar(_EXISTS, {"tenant_id": OPERATOR_TENANT, "now": now}):
                return None
            key = new_key(pepper)
            await _store(tx, _Operator(key, now), clock)
            plain: str = key.plain
            return plain
    finally:
        await database.close()


async def _store(tx: AsyncConnection, operator: _Operator, clock: Clock) -> None:
    values = {
        "tenant_id": OPERATOR_TENANT,
        "key_id": operator.key.key_id,
        "now": operator.now,
    }
    await tx.execute(_INSERT, values | {"key_hash": operator.key.key_hash})
    await tx.execute(_AUDIT, values | {"audit_id": uuid7(clock)})
