"""When keys were used last: noted in memory, written once a minute, behind the requests."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable

WRITE_SECONDS = 60.0
LAST_SECONDS = 2.0
"""For what is still to be written when the process ends."""
LIMIT = 10_000
"""Keys noted at most; of more, some appear unused for a while."""
_WRITE = text(
    """SELECT ingest_api.keys_used_v1(
        CAST(:keys AS text[]), CAST(:times AS timestamptz[]))"""
)
_FAILURES = (DatabaseUnavailable, DBAPIError, TimeoutError)
_log = structlog.get_logger()


class KeyUses:
    """Ingest owns the keys; its published function takes the times from every service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._noted: dict[tuple[str, str], datetime] = {}

    def note(self, tenant_id: str, key_id: str) -> None:
        """The key was used now."""
        key = (tenant_id, key_id)
        if key in self._noted or len(self._noted) < LIMIT:
            self._noted[key] = self._clock.now()

    @asynccontextmanager
    async def written(self) -> AsyncIterator[None]:
        """Writes until the end, and then what is left."""
        writing = asyncio.create_task(self._repeat(), name="key-uses")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait({writing})
            await self._try(LAST_SECONDS)

    async def write(self) -> None:
        """Tenant by tenant: each transaction sees one's keys only."""
        noted, self._noted = self._noted, {}
        by_tenant: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        for (tenant_id, key_id), at in noted.items():
            by_tenant[tenant_id][key_id] = at
        try:
            for tenant_id in list(by_tenant):
                await self._write_one(tenant_id, by_tenant[tenant_id])
                del by_tenant[tenant_id]
        finally:
            for tenant_id, used in by_tenant.items():
                for key_id, at in used.items():
                    self._noted.setdefault((tenant_id, key_id), at)

    async def _write_one(self, tenant_id: str, used: Mapping[str, datetime]) -> None:
        values = {"keys": list(used), "times": list(used.values())}
        async with self._database.for_tenant(tenant_id) as tx:
            await tx.execute(_WRITE, values)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._try(WRITE_SECONDS)

    async def _try(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.write()
        except _FAILURES as error:
            _log.warning("key_uses_not_written", error=error, keys=len(self._noted))
