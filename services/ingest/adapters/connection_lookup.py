"""Connections as deliveries ask for them: by id, remembered, also while PostgreSQL is away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.db.errors import is_transient
from libs.common.expr.port import Expressions
from services.ingest.adapters import mappings
from services.ingest.adapters.sealing import Sealer
from services.ingest.app.compiling import usable_or_none
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.connections import Live, live, mark
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.settings import IngestSettings

FRESH = timedelta(seconds=30)
STALE = timedelta(hours=24)
_LIMIT = 10_000
_LOOKUP = text("""
    SELECT tenant_id, definition, sealed, signature_seen FROM ingest_api.connection_lookup_v1
    WHERE connection_id = :connection_id
""")


@dataclass(frozen=True, slots=True)
class _Seen:
    live: Live
    at: datetime


class ConnectionLookup:
    """`database` is a pool of the API role. A change takes effect within 30 s in every process;
    while PostgreSQL is away, what was there stays good for a day."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        expressions: Expressions,
        clock: Clock,
        settings: IngestSettings,
    ) -> None:
        self._database, self._sealer, self._clock = database, sealer, clock
        self._expressions, self._settings = expressions, settings
        self._seen: dict[str, _Seen] = {}
        self._rests_until = float("-inf")

    async def live(self, connection_id: str) -> Live | None:
        """The connection, `None` if there is none. Raises `IndexUnavailable` where nobody can
        tell, `CannotOpen` where its secrets are of no use."""
        seen, now = self._seen.get(connection_id), self._clock.now()
        if seen is not None and (now - seen.at < FRESH or (self._rests() and _good(seen, now))):
            return seen.live
        try:
            row = await self._row(connection_id)
            mapping = None if row is None else await self._mapping(row)
        except IndexUnavailable:
            self._rests_until = self._clock.monotonic() + self._settings.index_pause
            if seen is not None and _good(seen, now):
                return seen.live
            raise
        return self._remembered(connection_id, row, mapping, now)

    def forget(self, connection_id: str) -> None:
        """It has changed: look at it anew."""
        self._seen.pop(connection_id, None)

    def look_again(self, connection_id: str) -> None:
        """More is known of it: ask at once, and go on with what is there if nobody answers."""
        if seen := self._seen.get(connection_id):
            self._seen[connection_id] = replace(seen, at=seen.at - FRESH)

    def _rests(self) -> bool:
        """Whether PostgreSQL did not answer a moment ago: what is known does not wait for it."""
        return self._clock.monotonic() < self._rests_until

    async def _row(self, connection_id: str) -> Mapping[Any, Any] | None:
        async with self._asking(lambda: self._database.across_tenants()) as tx:
            found = await tx.execute(_LOOKUP, {"connection_id": connection_id})
            return found.mappings().first()

    async def _mapping(self, row: Mapping[Any, Any]) -> CompiledMapping | None:
        """What translates its bodies, if it is `generic`; `None` too where that cannot be used."""
        mapping_id = orjson.loads(row["definition"])["mapping_id"]
        if mapping_id is None:
            return None
        tenant = str(row["tenant_id"])
        async with self._asking(lambda: self._database.for_tenant(tenant)) as tx:
            found = await mappings.one(tx, tenant, mapping_id)
        if found is None or found.deleted:
            return None
        return await asyncio.to_thread(usable_or_none, found.definition, self._expressions)

    @asynccontextmanager
    async def _asking(
        self, begin: Callable[[], AbstractAsyncContextManager[AsyncConnection]]
    ) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(self._settings.lookup_deadline), begin() as tx:
                yield tx
        except Exception as error:
            if is_transient(error):
                raise IndexUnavailable(repr(error)) from error
            raise

    def _remembered(
        self,
        connection_id: str,
        row: Mapping[Any, Any] | None,
        mapping: CompiledMapping | None,
        now: datetime,
    ) -> Live | None:
        self._seen.pop(connection_id, None)
        if row is None:
            return None
        tenant = str(row["tenant_id"])
        secrets = self._sealer.open(tenant, connection_id, row["sealed"])
        marks = [mark(bytes(one)) for one in row["sealed"]]
        definition = orjson.loads(row["definition"])
        seen = row["signature_seen"]
        found = live(tenant, connection_id, definition, secrets, mapping, marks, seen)
        if len(self._seen) >= _LIMIT:
            self._seen.pop(next(iter(self._seen)))
        self._seen[connection_id] = _Seen(found, now)
        return found


def _good(seen: _Seen, now: datetime) -> bool:
    return now - seen.at < STALE
