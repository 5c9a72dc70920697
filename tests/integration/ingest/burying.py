"""Dead letters as readers write them, over a log in memory, and ingest that reads them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from libs.common.clock import SystemClock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog import dead_letter
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord, Record, TopicConfig
from libs.common.runtime import Service, run_workers
from services.ingest.app.letters_read import READ
from tests.integration.ingest.conftest import SETTINGS, operator_key, resources, running

FAILED_AT = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


@dataclass
class Graveyard:
    """One running ingest over a log in memory; `client` has the tenant's admin key."""

    url: str
    service: Service
    log: MemoryLog
    transport: httpx.ASGITransport
    operator: httpx.AsyncClient
    client: httpx.AsyncClient
    tenant: str

    def with_key(self, key: str | None) -> httpx.AsyncClient:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(
            transport=self.transport, base_url="http://ingest", headers=headers
        )

    async def new_tenant(self, tenant_id: str) -> httpx.AsyncClient:
        answer = await self.operator.post("/v1/tenants", json={"id": tenant_id})
        assert answer.status_code == 201, answer.text
        return self.with_key(answer.json()["api_key"])

    async def accepted(self, *events: Any) -> list[Record]:
        """The records of events that enter by the door."""
        answer = await self.client.post("/v1/events", json=list(events))
        assert answer.status_code == 202, answer.text
        return self.records()[-len(events) :]

    def records(self, topic: str = CRM_EVENTS) -> list[Record]:
        held = [record for part in self.log.topic(topic).records for record in part]
        return sorted(held, key=lambda record: record.appended_at)

    async def bury(
        self,
        record: Record,
        code: str = "bug",
        detail: str = "KeyError: 'x'",
        group: str = "funnel",
        at: datetime = FAILED_AT,
    ) -> None:
        """As the consumer loop and the relay do it."""
        (row,) = dead_letter.rows([Buried(record, code, detail)], group, at, 3)
        await self.put(row.topic, NewRecord(row.key, row.value, row.headers, row.partition))

    async def put(self, topic: str, record: NewRecord) -> None:
        await self.log.append(topic, [record])

    async def listed(self, who: httpx.AsyncClient | None = None, **query: Any) -> list[Any]:
        answer = await (who or self.client).get("/v1/dead-letters", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def whole(self, letter_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/dead-letters/{letter_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def redrive(self, **body: Any) -> dict[str, Any]:
        answer = await self.client.post("/v1/dead-letters/redrive", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def state_of(self, event_id: str) -> tuple[str, str | None]:
        told = (await self.client.get(f"/v1/events/{event_id}")).json()
        return told["state"], told["reason"]

    async def read(self) -> None:
        """Run the reader of dead letters until it has read all there is."""
        (worker,) = [one for one in self.service.workers if one.name == "ingest-loop"]
        stop = asyncio.Event()
        working = asyncio.create_task(run_workers([worker], stop))
        try:
            await until(self._all_read)
        finally:
            stop.set()
            await working

    async def _all_read(self) -> bool:
        connection = await asyncpg.connect(self.url)
        rows = await connection.fetch("SELECT topic, partition, next_offset FROM ingest.positions")
        await connection.close()
        held = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        return bool(held) and all(
            offset == self.log.topic(topic).ends(number).end
            for (topic, number), offset in held.items()
        )


async def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def graveyard(url: str, folder: Path, tenant: str) -> AsyncIterator[Graveyard]:
    connection = await asyncpg.connect(url)
    await connection.execute("TRUNCATE ingest.positions")  # of another test's log
    await connection.close()
    log = MemoryLog(SystemClock())
    await log.create_topics([TopicConfig(topic) for topic in READ])
    async with running(resources(url, folder, log), SETTINGS) as (service, transport):
        here = Graveyard(url, service, log, transport, None, None, tenant)  # type: ignore[arg-type]
        here.operator = here.with_key(await operator_key(url))
        here.client = await here.new_tenant(tenant)
        yield here
