"""Recorded deliveries in SQL: the newest of each connection, for thirty days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.ids import uuid7
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.recording import Kept

MOST = 1_000
"""Of each connection."""
_KEEP = text("""
    INSERT INTO ingest.deliveries (tenant_id, connection_id, delivery_id, received_at, verdict,
        headers, body, events)
    SELECT c.tenant_id, c.connection_id, :delivery_id, :received_at, :verdict,
        CAST(:headers AS json), :body, CAST(:events AS json)
    FROM ingest.connections c
    WHERE c.tenant_id = :tenant_id AND c.connection_id = :connection_id AND NOT c.deleted
        AND CAST(c.definition ->> 'record_until' AS timestamptz) > :received_at
""")
"""Only as long as the connection asks for it, whatever a process remembers of it."""
_ROOM = text("""
    DELETE FROM ingest.deliveries d
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
        AND (received_at, delivery_id) <= (SELECT received_at, delivery_id FROM ingest.deliveries
            WHERE tenant_id = :tenant_id AND connection_id = :connection_id
            ORDER BY received_at DESC, delivery_id DESC OFFSET :most LIMIT 1)
""")
_PRUNE = text("DELETE FROM ingest.deliveries WHERE received_at < :before")
_PAGE = text("""
    SELECT delivery_id, received_at, verdict, headers, body, events FROM ingest.deliveries
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND received_at > :since
        AND (CAST(:before AS timestamptz) IS NULL
            OR (received_at, delivery_id) < (:before, CAST(:delivery_id AS uuid)))
    ORDER BY received_at DESC, delivery_id DESC LIMIT :limit
""")
_FORGET = text("""
    DELETE FROM ingest.deliveries WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")


@dataclass(frozen=True, slots=True)
class Before:
    """The place of the last delivery of a page; nothing begins with the newest."""

    received_at: datetime | None = None
    delivery_id: str | None = None


class SqlRecordings:
    """`Recordings` over PostgreSQL; `database` is a pool of the worker role."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def keep(self, kept: Sequence[Kept]) -> None:
        if not kept:
            return
        ordered = sorted(map(self._row, kept), key=_of)
        async with worker_transaction(self._database) as tx:
            await tx.execute(_KEEP, ordered)
            for tenant_id, connection_id in dict.fromkeys(map(_of, ordered)):
                key = {"tenant_id": tenant_id, "connection_id": connection_id}
                await tx.execute(_ROOM, {**key, "most": MOST})

    async def prune(self, kept_for: timedelta) -> None:
        async with worker_transaction(self._database) as tx:
            await tx.execute(_PRUNE, {"before": self._clock.now() - kept_for})

    def _row(self, one: Kept) -> Mapping[str, Any]:
        recorded = one.recorded
        return {
            "tenant_id": one.taken.live.tenant_id,
            "connection_id": one.taken.live.connection_id,
            "delivery_id": uuid7(self._clock),
            "received_at": one.taken.at,
            "verdict": recorded.verdict,
            "headers": orjson.dumps(dict(recorded.headers)).decode(),
            "body": recorded.body,
            "events": recorded.events,
        }


async def page(
    tx: AsyncConnection, key: tuple[str, str], since: datetime, before: Before, limit: int
) -> Sequence[dict[str, Any]]:
    """Those received since, newest first."""
    values = {
        "tenant_id": key[0], "connection_id": key[1], "since": since, "limit": limit,
        "before": before.received_at, "delivery_id": before.delivery_id,
    }  # fmt: skip
    return [dict(row) for row in (await tx.execute(_PAGE, values)).mappings()]


async def forget(tx: AsyncConnection, key: tuple[str, str]) -> None:
    await tx.execute(_FORGET, {"tenant_id": key[0], "connection_id": key[1]})


def _of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["tenant_id"], row["connection_id"]
