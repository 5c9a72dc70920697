"""`/v1/api-keys`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from libs.common.web.api_keys import NewKey, new_key
from libs.common.web.auth import Principal, require
from libs.common.web.commands import command, documented, refuse_key
from libs.common.web.errors import Conflict, ErrorItem, Invalid, NotFound
from libs.common.web.pages import Limit, Turn
from libs.common.web.query import duration
from services.ingest.adapters.rotation import Rotation
from services.ingest.app.directory import CannotRotate, KeyInfo, NewKeyRow
from services.ingest.entrypoints.schemas import CreateKey, RotateKey
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["tenants"])
Admin = Annotated[Principal, Depends(require("admin"))]
SHOWN_ONCE = (
    "not taken here: the answer holds a key that is shown once and never stored, so it could not"
    " be given again; list what there is, revoke what is unknown and ask anew"
)
_CANNOT_ROTATE = {
    "key_revoked": "the key is revoked; create another one",
    "key_expired": "the key has expired; create another one",
    "key_replaced": "the key has a successor (the one whose `replaces` names it); rotate that one",
}


@router.post("/v1/api-keys", status_code=201, openapi_extra=documented(CreateKey))
async def create_key(request: Request, principal: Admin) -> dict[str, Any]:
    """A key of the own tenant; `key` is shown this once."""
    refuse_key(request, SHOWN_ONCE)
    ingest, wanted = ingest_of(request), await command(request, CreateKey)
    if wanted.expires_at is not None and wanted.expires_at <= ingest.clock.now():
        item = ErrorItem("must lie in the future", "past", pointer="/expires_at")
        raise Invalid("the key would be expired", errors=[item])
    key = new_key(ingest.pepper)
    row = key_row(ingest, principal.tenant_id, key, wanted)
    await ingest.directory.create_key(row, principal.actor)
    return _shown(row.info) | {"key": key.plain}


@router.get("/v1/api-keys")
async def list_keys(
    request: Request, principal: Admin, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """The tenant's keys without their secrets, revoked ones included.

    `last_used_at` is late by up to a minute; `replaces` names the key whose successor one is.
    """
    turn = Turn.of(request, "api-keys", limit, cursor)
    after = str(turn.after[0]) if turn.after else ""
    keys = await ingest_of(request).directory.list_keys(principal.tenant_id, after, turn.fetch)
    return turn.page(keys, lambda key: [key.key_id], _shown)


@router.post("/v1/api-keys/{key_id}/rotate", status_code=201, openapi_extra=documented(RotateKey))
async def rotate_key(request: Request, principal: Admin, key_id: str) -> dict[str, Any]:
    """A successor with the same name, scopes and expiry; `key` is shown this once.

    The old key ends after the overlap (`replaced_expires_at`), or before if it would have anyway. A
    key that is revoked or expired, or has a successor, is 409.
    """
    refuse_key(request, SHOWN_ONCE)
    ingest, wanted = ingest_of(request), await command(request, RotateKey)
    key, overlap = new_key(ingest.pepper), duration(wanted.overlap)
    rotation = Rotation(ingest.database, ingest.clock)
    try:
        made = await rotation.rotate(principal.tenant_id, key_id, key, overlap, principal.actor)
    except CannotRotate as refused:
        raise Conflict(_CANNOT_ROTATE[refused.code], code=refused.code) from None
    if made is None:
        raise NotFound("no such key")
    old, successor = made
    return _shown(successor) | {"key": key.plain, "replaced_expires_at": old.expires_at}


@router.delete("/v1/api-keys/{key_id}", status_code=204)
async def revoke_key(request: Request, principal: Admin, key_id: str) -> Response:
    """Revoke a key; processes that have it cached refuse it within 30 seconds."""
    directory = ingest_of(request).directory
    if not await directory.revoke_key(principal.tenant_id, key_id, principal.actor):
        raise NotFound("no such key")
    return Response(status_code=204)


def key_row(ingest: IngestState, tenant_id: str, key: NewKey, wanted: CreateKey) -> NewKeyRow:
    info = KeyInfo(
        key_id=key.key_id,
        name=wanted.name,
        scopes=tuple(wanted.scopes),
        created_at=ingest.clock.now(),
        expires_at=wanted.expires_at,
        revoked_at=None,
    )
    return NewKeyRow(tenant_id, info, key.key_hash)


def _shown(key: KeyInfo) -> dict[str, Any]:
    shown = asdict(key)
    return {"id": shown.pop("key_id")} | shown
