"""`/v1/imports`: files in, how far they are, what was rejected."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from libs.common.ids import uuid7
from libs.common.web.auth import Principal, require
from libs.common.web.commands import refuse_key
from libs.common.web.cursors import Cursors
from libs.common.web.errors import (
    BadRequest,
    NotFound,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from libs.common.web.pages import Limit
from libs.common.web.query import refused
from libs.common.web.refusals import RequestTimeout
from libs.common.web.unhurried import unhurried
from services.ingest.adapters import imports as sql
from services.ingest.app.import_rows import Stored
from services.ingest.app.imports import (
    ERRORS_KEPT_FOR,
    BadUpload,
    Encoding,
    FolderFull,
    Media,
    NewImport,
    UploadTooLarge,
)
from services.ingest.domain.model import Recorded
from services.ingest.domain.rows import RowError
from services.ingest.entrypoints.bodies_documented import IMPORTS
from services.ingest.entrypoints.events import NDJSON
from services.ingest.entrypoints.import_quota import refuse_too_many
from services.ingest.entrypoints.imports_mapped import mapping_for, refuse_misfit
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["imports"])
Writer = Annotated[Principal, Depends(require("events:write"))]
_ENCODINGS: Mapping[str, Encoding] = {"identity": "identity", "": "identity", "gzip": "gzip"}
_FULL_RETRY = 60
_SENT_AGAIN = (
    "not taken here: events are known by source and id, so a file that is sent again adds nothing"
)


@router.post("/v1/imports", status_code=202, openapi_extra=IMPORTS)
async def start_import(
    request: Request,
    principal: Writer,
    origin: Literal["backfill", "reconcile"] = "backfill",
    recorded: Recorded = "now",
    dry_run: bool = False,
    mapping: str | None = None,
) -> dict[str, Any]:
    """Store a file durably, then work it off behind this answer. At most 2 GiB, also inflated;
    gzip may inflate at most 100:1. Of a table, or of lines under a mapping, `mapping` names the
    mapping; its latest version is kept for the whole file. No import has the origin `live`: alerts
    hold what it brings until its end, and the stream leaves it out."""
    refuse_key(request, _SENT_AGAIN)
    media, encoding = _media(request, mapping), _encoding(request)
    ingest = ingest_of(request)
    await refuse_too_many(ingest, principal.tenant_id)
    by = await mapping_for(ingest, principal.tenant_id, media, mapping)
    unhurried(request.scope)
    import_id = uuid7(ingest.clock)
    with ExitStack() as until_known:
        path, size = await _receive(request, ingest, import_id, encoding, until_known)
        await refuse_misfit(ingest, by, Stored(path, encoding, media))
        job = NewImport(
            tenant_id=principal.tenant_id,
            import_id=import_id,
            origin=origin,
            recorded=recorded,
            dry_run=dry_run,
            encoding=encoding,
            path=path,
            size=size,
            actor=principal.actor,
            started_at=ingest.clock.now(),
            media=media,
            mapping=None if by is None else (by.mapping_id, by.version),
        )
        await _create(ingest, job)
    ingest.imports.wake()
    return {"import_id": str(import_id), "state": "running", "dry_run": dry_run, "bytes": size}


@router.get("/v1/imports")
async def list_imports(
    request: Request, principal: Writer, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Imports, latest first."""
    ingest, cursors = ingest_of(request), request.app.state.cursors
    before = _before(cursors, cursor)
    rows = await ingest.reads.imports(principal.tenant_id, before, limit + 1)
    items = [_shown(row) for row in rows[:limit]]
    more = len(rows) > limit
    following = cursors.seal([items[-1]["import_id"]], "imports") if more else None
    return {"items": items, "next_cursor": following, "has_more": more}


@router.get("/v1/imports/{import_id}")
async def read_import(request: Request, principal: Writer, import_id: str) -> dict[str, Any]:
    """How far an import is."""
    return _shown(await _existing(request, principal, import_id))


@router.get("/v1/imports/{import_id}/errors")
async def read_errors(request: Request, principal: Writer, import_id: str) -> Response:
    """Rejected rows as NDJSON, in order: one line each, however many they are. They are kept for
    thirty days from the end of their import on; then the answer is 404 `errors_expired`."""
    row, ingest = await _existing(request, principal, import_id), ingest_of(request)
    if row["rejected"] and _expired(row["finished_at"], ingest.clock.now()):
        detail = f"rejected rows are kept for {ERRORS_KEPT_FOR.days} days after their import"
        raise NotFound(detail, code="errors_expired")
    pages = ingest.reads.import_errors(principal.tenant_id, row["import_id"])
    return StreamingResponse(_errors(pages), media_type=NDJSON)


def _media(request: Request, mapping: str | None) -> Media:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/csv":
        if mapping is None:
            raise refused("mapping", "a table needs a mapping, which says what its rows mean")
        return "csv"
    if kind not in (NDJSON, "application/ndjson", "application/jsonl"):
        raise UnsupportedMedia(f"send {NDJSON}, one structured event a line, or text/csv")
    return "ndjson"


def _encoding(request: Request) -> Encoding:
    encoding = _ENCODINGS.get(request.headers.get("content-encoding", "").strip().lower())
    if encoding is None:
        raise UnsupportedMedia("the body may be plain or gzip")
    return encoding


async def _receive(
    request: Request, ingest: IngestState, import_id: UUID, encoding: Encoding, until: ExitStack
) -> tuple[str, int]:
    declared = request.headers.get("content-length", "")
    if (
        declared.isascii()
        and declared.isdigit()
        and int(declared) > ingest.settings.max_import_bytes
    ):
        raise TooLarge(f"an import must not exceed {ingest.settings.max_import_bytes} bytes")
    stream = _patient(request, ingest.settings.import_idle)
    try:
        return await ingest.files.receive(import_id, stream, encoding, until)
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from None
    except BadUpload as error:
        raise BadRequest(str(error), code="invalid_encoding") from None
    except FolderFull as error:
        raise Unavailable(str(error), code="imports_full", retry_after=_FULL_RETRY) from None
    except TimeoutError:
        raise RequestTimeout("nothing came for too long") from None
    except ClientDisconnect:
        raise BadRequest("the body ended early", code="incomplete_body") from None


async def _patient(request: Request, idle: float) -> AsyncIterator[bytes]:
    """The body, as long as something comes: a limit on silence, not on the whole."""
    stream = request.stream()
    while True:
        async with asyncio.timeout(idle):
            piece = await anext(stream, None)
        if piece is None:
            return
        yield piece


async def _create(ingest: IngestState, job: NewImport) -> None:
    """Make the import known. On failure the body stays for the sweep: a commit whose answer was
    lost may have happened, and its worker needs the file."""
    async with ingest.database.for_tenant(job.tenant_id) as tx:
        await sql.create(tx, job)


async def _existing(request: Request, principal: Principal, import_id: str) -> Mapping[Any, Any]:
    try:
        wanted = UUID(import_id)
    except ValueError:
        raise NotFound("no such import") from None
    row = await ingest_of(request).reads.import_(principal.tenant_id, wanted)
    if row is None:
        raise NotFound("no such import")
    return row


def _expired(finished_at: datetime | None, now: datetime) -> bool:
    """As the worker that throws them away has it, whether it came to them yet or not."""
    return finished_at is not None and finished_at < now - ERRORS_KEPT_FOR


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    sample = None if row["sample"] is None else orjson.loads(row["sample"])
    return dict(row) | {"import_id": str(row["import_id"]), "sample": sample}


def _before(cursors: Cursors, cursor: str | None) -> UUID | None:
    return None if cursor is None else UUID(cursors.open(cursor, "imports")[0])


async def _errors(pages: AsyncIterator[Sequence[RowError]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(orjson.dumps(error) + b"\n" for error in page)
