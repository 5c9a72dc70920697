"""A connection as it translates now, read in the transaction that asks; of no use for proofs."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.expr.port import Expressions
from services.ingest.adapters import connections, mappings
from services.ingest.app.compiling import usable_or_none
from services.ingest.domain.connections import Live, live
from services.ingest.domain.mapping.compiled import CompiledMapping


async def translating(
    tx: AsyncConnection, tenant_id: str, connection_id: str, expressions: Expressions | None
) -> Live | None:
    """Without secrets, which translations do not need; `None` if it is not there or deleted."""
    found = await connections.one(tx, tenant_id, connection_id)
    if found is None or found.deleted:
        return None
    mapping = await _mapping(tx, tenant_id, found.definition["mapping_id"], expressions)
    return live(tenant_id, connection_id, found.definition, (), mapping)


async def _mapping(
    tx: AsyncConnection, tenant_id: str, mapping_id: str | None, expressions: Expressions | None
) -> CompiledMapping | None:
    if mapping_id is None or expressions is None:
        return None
    found = await mappings.one(tx, tenant_id, mapping_id)
    if found is None or found.deleted:
        return None
    return await asyncio.to_thread(usable_or_none, found.definition, expressions)
