"""Mappings of connections: each of the kind `generic` names one, no other does."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.web.errors import ErrorItem, Invalid
from services.ingest.adapters import mappings
from services.ingest.app.compiling import usable_or_none
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.entrypoints.connection_bodies import PutConnection
from services.ingest.entrypoints.state import IngestState

_WHERE = "/mapping_id"


async def refuse_unmapped(tx: AsyncConnection, wanted: PutConnection, tenant_id: str) -> None:
    """422 where the mapping is missing, of no use here, or not there; one that is there stays so
    until the transaction ends."""
    if fault := await _fault(tx, wanted, tenant_id):
        raise Invalid(fault.detail, code=fault.code, errors=[fault])


async def mapping_of(
    tx: AsyncConnection, ingest: IngestState, tenant_id: str, mapping_id: str | None
) -> CompiledMapping | None:
    """The mapping as deliveries are translated by it."""
    found = None if mapping_id is None else await mappings.one(tx, tenant_id, mapping_id)
    if found is None or found.deleted:
        return None
    return await asyncio.to_thread(usable_or_none, found.definition, ingest.expressions)


async def _fault(tx: AsyncConnection, wanted: PutConnection, tenant_id: str) -> ErrorItem | None:
    if wanted.kind != "generic":
        only = ErrorItem("only generic is translated by one", "invalid_field", pointer=_WHERE)
        return None if wanted.mapping_id is None else only
    if wanted.mapping_id is None:
        return ErrorItem("generic needs a mapping", "missing_field", pointer=_WHERE)
    await mappings.hold(tx, tenant_id)
    found = await mappings.one(tx, tenant_id, wanted.mapping_id)
    if found is None or found.deleted:
        return ErrorItem("no such mapping", "unknown_mapping", pointer=_WHERE)
    if found.definition["kind"] != "json":
        return ErrorItem("a mapping for files, not for bodies", "mapping_kind", pointer=_WHERE)
    return None
