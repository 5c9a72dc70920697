"""The whole funnel of one process: its HTTP surface and its workers over a log in memory."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from libs.common.clock import SystemClock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord
from libs.common.runtime import Resources, Service, run_workers
from libs.common.settings import CommonSettings
from libs.common.web.auth import OPERATOR, OPERATOR_TENANT, Authenticator, new_key
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from services.funnel.bootstrap import build
from services.funnel.settings import FunnelSettings
from tests.integration.funnel.write_rig import Said

PEPPER = b"p" * 32
PATIENCE = 30.0


@dataclass
class Served:
    """`client` speaks as `operator` or with an admin key of a tenant made by `tenant`."""

    service: Service
    log: MemoryLog
    hand: asyncpg.Connection
    transport: httpx.ASGITransport
    keys: dict[str, str] = field(default_factory=dict)

    async def tenant(self, *scopes: str) -> str:
        name = f"t-{secrets.token_hex(4)}"
        await self.hand.execute(
            "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', false, now())",
            name,
        )
        self.keys[name] = await self.key(name, *(scopes or ("admin",)))
        return name

    async def key(self, tenant: str, *scopes: str) -> str:
        made = new_key(PEPPER)
        await self.hand.execute(
            """INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)
            VALUES ($1, $2, $3, 'test', $4, now())""",
            tenant, made.key_id, made.key_hash, list(scopes),
        )  # fmt: skip
        return made.plain

    async def operator(self) -> str:
        """The name under which `call` speaks as an operator."""
        if OPERATOR not in self.keys:
            self.keys[OPERATOR] = await self.key(OPERATOR_TENANT, OPERATOR)
        return OPERATOR

    async def call(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}", **options.pop("headers", {})}
        async with httpx.AsyncClient(transport=self.transport, base_url="http://funnel") as client:
            return await client.request(method, path, headers=headers, **options)

    async def get(self, who: str, path: str, **params: Any) -> Any:
        answer = await self.call(who, "GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def say(self, tenant: str, *events: Said) -> None:
        """Append to the log, as ingest does."""
        records = [event.record(tenant) for event in events]
        keyed = [NewRecord(f"{tenant}:{e.id}".encode(), r.value, r.headers)
                 for e, r in zip(events, records, strict=True)]  # fmt: skip
        await self.log.append(CRM_EVENTS, keyed)

    async def caught_up(self, tenant: str) -> Any:
        """The projection's answer once it has caught up."""
        async with asyncio.timeout(PATIENCE):
            while not (state := await self.get(tenant, "/v1/projection"))["caught_up"]:
                await asyncio.sleep(0.02)
        return state


@asynccontextmanager
async def served(url: str, *, working: bool = True) -> AsyncIterator[Served]:
    """Started; with its workers running unless told otherwise."""
    clock = SystemClock()
    log = MemoryLog(clock)
    settings = CommonSettings(partitions=3)
    resources = Resources(clock, settings, url, log, b"k" * 32, f"p-{secrets.token_hex(3)}")
    service = build(resources, FunnelSettings(poll=0.05))
    keys = Database(url, "headway_funnel_api", pool_size=2)
    app = create_app(
        [service],
        authenticator=Authenticator(keys, PEPPER, clock),
        cursors=Cursors(b"c" * 32),
        clock=clock,
    )
    hand, stop = await asyncpg.connect(url), asyncio.Event()
    await hand.execute("DELETE FROM funnel.positions")  # a new log has nothing of an earlier one
    async with app.router.lifespan_context(app):
        workers = service.workers if working else ()
        task = asyncio.create_task(run_workers(workers, stop))
        try:
            yield Served(service, log, hand, httpx.ASGITransport(app, raise_app_exceptions=False))
        finally:
            stop.set()
            await task
            await hand.close()
    await keys.close()
