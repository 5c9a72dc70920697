"""Every service in one process over a log in memory, as tests of a whole way need them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from libs.common.clock import SystemClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources, run_workers
from libs.common.settings import CommonSettings
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.standalone.composition import composed


class Site:
    """`log` holds what the services exchange."""

    def __init__(self, transport: httpx.ASGITransport, log: MemoryLog, operator: str) -> None:
        self.transport, self.log = transport, log
        self.operator = self.as_(operator)

    def as_(self, key: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(transport=self.transport, base_url="http://all", headers=headers)

    async def tenant(self, tenant_id: str) -> httpx.AsyncClient:
        made = await self.operator.post("/v1/tenants", json={"id": tenant_id})
        return self.as_(made.json()["api_key"])


@asynccontextmanager
async def together(database_url: str, folder: Path) -> AsyncIterator[Site]:
    clock = SystemClock()
    log, stop = MemoryLog(clock), asyncio.Event()
    settings = CommonSettings(data_dir=folder, partitions=2)
    resources = Resources(clock, settings, database_url, log, b"k" * 32, "letters")
    async with composed(resources) as composition:
        app = composition.app
        async with app.router.lifespan_context(app):
            working = asyncio.create_task(run_workers(composition.workers, stop))
            operator = await ensure_operator_key(database_url, resources.key_for("api-keys"), clock)
            assert operator is not None
            try:
                yield Site(httpx.ASGITransport(app, raise_app_exceptions=False), log, operator)
            finally:
                stop.set()
                await working
