"""`/v1/mappings`: which rows of a file, or bodies of a delivery, make which events; in versions."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.concurrency import run_in_threadpool

from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, require
from libs.common.web.commands import command, documented
from libs.common.web.errors import Conflict, ErrorItem, Invalid, NotFound
from libs.common.web.etags import check_if_match, strong_etag
from libs.common.web.pages import BEYOND_VERSIONS, Limit, Turn
from libs.common.web.query import refused
from services.ingest.adapters import mappings as sql
from services.ingest.domain.mapping.compiled import UnusableMapping, compiled
from services.ingest.domain.mapping.document import MappingDocument
from services.ingest.domain.mapping.reading import Fault
from services.ingest.domain.mapping.versions import StoredMapping, deleted, next_version
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["mappings"])
Configurer = Annotated[Principal, Depends(require("config:write"))]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
MOST = 200
MAX_ITEMS = 100


def existing_id(mapping_id: str) -> str:
    if not _ID.fullmatch(mapping_id):
        raise NotFound("no such mapping")
    return mapping_id


def _new_id(mapping_id: str) -> str:
    if not _ID.fullmatch(mapping_id):
        detail = "begins with a letter or digit, then at most 99 letters, digits, '.', '_' or '-'"
        raise refused("mapping_id", detail)
    return mapping_id


NewId = Annotated[str, Depends(_new_id)]
MappingId = Annotated[str, Depends(existing_id)]


@router.put("/v1/mappings/{mapping_id}", openapi_extra=documented(MappingDocument))
async def put_mapping(request: Request, principal: Configurer, mapping_id: NewId) -> Response:
    """Publish a version. Every expression is compiled first; faults are told with their place.
    Imports that run keep their version, connections follow within 30 seconds."""
    wanted, ingest = await command(request, MappingDocument), ingest_of(request)
    await _refuse_unusable(ingest, wanted)
    definition = wanted.model_dump(mode="json", by_alias=True, exclude_unset=True)
    key, actor = (principal.tenant_id, mapping_id), principal.actor
    async with ingest.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, key)
        there = None if held is None or held.deleted else held
        check_if_match(request, _etag(there) if there else None)
        await _refuse_many(tx, there, principal.tenant_id)
        _refuse_other_kind(there, wanted)
        if there is None or there.definition != definition:
            new = next_version(held, key, definition, ingest.clock.now(), actor)
            await sql.publish(tx, ingest.clock, held, new)
        else:
            new = there
    return _answer(new, 200 if there else 201)


@router.get("/v1/mappings")
async def list_mappings(
    request: Request, principal: Configurer, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every mapping, by id."""
    tenant, turn = principal.tenant_id, Turn.of(request, "mappings", limit, cursor)
    (after,) = turn.after or [""]
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        found = await sql.page(tx, tenant, after, turn.fetch)
    return json_answer(turn.page(found, lambda mapping: [mapping.mapping_id], shown))


@router.get("/v1/mappings/{mapping_id}")
async def read_mapping(request: Request, principal: Configurer, mapping_id: MappingId) -> Response:
    """The latest version."""
    async with ingest_of(request).database.for_tenant(principal.tenant_id) as tx:
        found = await existing(tx, principal.tenant_id, mapping_id)
    return _answer(found)


@router.get("/v1/mappings/{mapping_id}/versions")
async def list_mapping_versions(
    request: Request,
    principal: Configurer,
    mapping_id: MappingId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Every version, newest first; that of a deletion included."""
    tenant, turn = principal.tenant_id, Turn.of(request, f"mapping {mapping_id}", limit, cursor)
    (before,) = turn.after or [BEYOND_VERSIONS]
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        found = await sql.versions(tx, tenant, mapping_id, before, turn.fetch)
    if not found and turn.after is None:
        raise NotFound("no such mapping")
    return json_answer(turn.page(found, lambda version: [version.version], _shown_version))


@router.delete("/v1/mappings/{mapping_id}", status_code=204)
async def delete_mapping(
    request: Request, principal: Configurer, mapping_id: MappingId
) -> Response:
    """Delete a mapping that no connection uses; imports that run go on with their version."""
    ingest, tenant, actor = ingest_of(request), principal.tenant_id, principal.actor
    async with ingest.database.for_tenant(tenant) as tx:
        await sql.hold(tx, tenant)
        held = await existing(tx, tenant, mapping_id)
        if users := await sql.users(tx, tenant, mapping_id):
            detail = f"connections are translated by it: {', '.join(users)}"
            raise Conflict(detail, code="in_use")
        await sql.publish(tx, ingest.clock, held, deleted(held, ingest.clock.now(), actor))
    return Response(status_code=204)


async def existing(tx: AsyncConnection, tenant_id: str, mapping_id: str) -> StoredMapping:
    """The mapping, or 404."""
    found = await sql.one(tx, tenant_id, mapping_id)
    if found is None or found.deleted:
        raise NotFound("no such mapping")
    return found


def shown(mapping: StoredMapping) -> dict[str, Any]:
    return {
        "id": mapping.mapping_id,
        "version": mapping.version,
        "published_at": mapping.published_at,
        "published_by": mapping.published_by,
        **mapping.definition,
    }


async def _refuse_unusable(ingest: IngestState, wanted: MappingDocument) -> None:
    """Compiling takes a millisecond an expression, so it is done aside."""
    try:
        await run_in_threadpool(compiled, wanted, ingest.expressions)
    except UnusableMapping as error:
        items = [_item(fault) for fault in error.faults[:MAX_ITEMS]]
        detail = "the mapping cannot be used as it is"
        raise Invalid(detail, code="invalid_mapping", errors=items) from None


def _item(fault: Fault) -> ErrorItem:
    return ErrorItem(fault.detail, fault.code, pointer=fault.pointer)


async def _held(tx: AsyncConnection, key: tuple[str, str]) -> StoredMapping | None:
    await sql.hold(tx, key[0])
    return await sql.one(tx, *key)


async def _refuse_many(tx: AsyncConnection, there: StoredMapping | None, tenant_id: str) -> None:
    if there is None and await sql.count(tx, tenant_id) >= MOST:
        raise Invalid(f"a tenant has at most {MOST} mappings", code="too_many_mappings")


def _refuse_other_kind(there: StoredMapping | None, wanted: MappingDocument) -> None:
    """What uses a mapping counts on its kind."""
    if there is not None and there.definition["kind"] != wanted.kind:
        item = ErrorItem("cannot change: use another id", "invalid_field", pointer="/kind")
        raise Invalid("the kind of a mapping stays", errors=[item])


def _shown_version(version: StoredMapping) -> dict[str, Any]:
    return shown(version) | ({"deleted": True} if version.deleted else {})


def _answer(mapping: StoredMapping, status: int = 200) -> Response:
    return json_answer(shown(mapping), status, {"ETag": _etag(mapping)})


def _etag(mapping: StoredMapping) -> str:
    return strong_etag("mapping", mapping.mapping_id, mapping.version)
