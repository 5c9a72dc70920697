"""What the calls about connections share: ids in paths, who may call, answers."""

import re
from typing import Annotated

from fastapi import Depends, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, require
from libs.common.web.errors import NotFound
from libs.common.web.etags import strong_etag
from libs.common.web.query import refused
from services.ingest.adapters import (
    connection_counters,
    connection_reads,
    connection_secrets,
    connections,
)
from services.ingest.domain.connections import StoredConnection
from services.ingest.entrypoints.connections_shown import (
    shown,
    shown_numbers,
    shown_refreshes,
    shown_secrets,
    shown_traffic,
)
from services.ingest.entrypoints.state import IngestState

Configurer = Annotated[Principal, Depends(require("config:write"))]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
FIRST = 100
"""Records to be read anew that a connection shows by itself."""


def existing_id(connection_id: str) -> str:
    """An id that a connection may have; others are of none."""
    if not _ID.fullmatch(connection_id):
        raise NotFound("no such connection")
    return connection_id


def new_id(connection_id: str) -> str:
    if not _ID.fullmatch(connection_id):
        detail = "begins with a letter or digit, then at most 99 letters, digits, '_' or '-'"
        raise refused("connection_id", detail)
    return connection_id


NewId = Annotated[str, Depends(new_id)]
ConnectionId = Annotated[str, Depends(existing_id)]


async def existing(tx: AsyncConnection, tenant_id: str, connection_id: str) -> StoredConnection:
    """The connection, or 404."""
    found = await connections.one(tx, tenant_id, connection_id)
    if found is None or found.deleted:
        raise NotFound("no such connection")
    return found


async def answer(
    tx: AsyncConnection, ingest: IngestState, key: tuple[str, str], status: int
) -> Response:
    found = await existing(tx, *key)
    counts = await connection_reads.counts(tx, key[0], [key[1]], ingest.clock.now())
    waiting = await connection_reads.waiting(tx, *key)
    first = await connection_reads.refreshes(tx, *key, connection_reads.Position(), FIRST)
    body = shown(found) | shown_secrets(found, await connection_secrets.of(tx, found))
    counted = await connection_counters.of(tx, key)
    body |= shown_numbers(shown_traffic(counts.get(key[1])), counted)
    body |= shown_refreshes(waiting, first)
    return json_answer(body, status, {"ETag": etag_of(found)})


def etag_of(connection: StoredConnection) -> str:
    return strong_etag("connection", connection.connection_id, connection.version)
