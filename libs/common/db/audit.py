"""The audit trail: a row in the transaction of the change that it tells about."""

import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.ids import uuid7

SCHEMAS = ("ingest", "funnel", "alerts", "reporting")
_INSERTS = {
    schema: text(f"""
        INSERT INTO {schema}.audit (tenant_id, audit_id, at, actor, action, object, before, after)
        VALUES (:tenant_id, :audit_id, :at, :actor, :action, :object, CAST(:before AS json),
            CAST(:after AS json))
    """)  # noqa: S608  # a constant of this module
    for schema in SCHEMAS
}


async def record(
    tx: AsyncConnection,
    schema: str,
    clock: Clock,
    tenant_id: str,
    actor: str,
    action: str,
    obj: str,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    """Who did what to which thing; values must not hold secrets."""
    values = {
        "tenant_id": tenant_id,
        "audit_id": uuid7(clock),
        "at": clock.now(),
        "actor": actor,
        "action": action,
        "object": obj,
        "before": _json(before),
        "after": _json(after),
    }
    await tx.execute(_INSERTS[schema], values)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str)
