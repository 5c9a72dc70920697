"""Imports under a mapping: which version reads the file, and whether the file is one for it."""

import asyncio
from dataclasses import dataclass

from libs.common.web.errors import Invalid
from libs.common.web.query import refused
from services.ingest.adapters import mappings as sql
from services.ingest.app.compiling import usable
from services.ingest.app.import_rows import Stored, open_rows
from services.ingest.app.imports import BadUpload, Media, UnusableFile
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.model import Receipt
from services.ingest.entrypoints.state import IngestState

_KINDS: dict[Media, str] = {"csv": "csv", "ndjson": "json"}


@dataclass(frozen=True, slots=True)
class ChosenMapping:
    mapping_id: str
    version: int
    compiled: CompiledMapping


async def mapping_for(
    ingest: IngestState, tenant_id: str, media: Media, mapping_id: str | None
) -> ChosenMapping | None:
    """The latest version of the mapping that is asked for, if it is one for such files."""
    if mapping_id is None:
        return None
    async with ingest.database.for_tenant(tenant_id) as tx:
        found = await sql.one(tx, tenant_id, mapping_id)
    if found is None or found.deleted:
        raise refused("mapping", "no such mapping", code="unknown_mapping")
    if found.definition["kind"] != _KINDS[media]:
        detail = f"this mapping is one for {found.definition['kind']}"
        raise refused("mapping", detail, code="mapping_kind")
    try:
        made = await asyncio.to_thread(usable, found.definition, ingest.expressions)
    except UnusableFile as error:
        raise refused("mapping", str(error), code="unusable_mapping") from None
    return ChosenMapping(mapping_id, found.version, made)


async def refuse_misfit(ingest: IngestState, by: ChosenMapping | None, stored: Stored) -> None:
    """422 for a table whose header is not the one that its mapping reads; nothing of it stays."""
    if by is None or stored.media != "csv":
        return
    try:
        await asyncio.to_thread(_opened, ingest, by, stored)
    except (UnusableFile, BadUpload) as error:
        await asyncio.to_thread(ingest.files.remove, stored.path)
        raise Invalid(str(error), code="header_mismatch") from None


def _opened(ingest: IngestState, by: ChosenMapping, stored: Stored) -> None:
    receipt = Receipt("", ingest.clock.now())
    open_rows(ingest.files, stored, by.compiled, "", receipt).close()
