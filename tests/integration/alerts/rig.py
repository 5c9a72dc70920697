"""Funnel and alerts in one process over a log in memory, as integrators and clients see them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import httpx
import orjson

from libs.common.clock import SystemClock
from libs.common.contracts.cloudevents import canonical
from libs.common.contracts.envelope import Envelope, Origin, from_headers, to_headers
from libs.common.contracts.topics import ALERT_EVENTS, CRM_EVENTS
from libs.common.db.database import Database
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord, Record
from libs.common.runtime import Resources, run_workers
from libs.common.settings import CommonSettings
from libs.common.web.auth import Authenticator, new_key
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from services.alerts import bootstrap as alerts
from services.alerts.settings import AlertsSettings
from services.funnel import bootstrap as funnel
from services.funnel.settings import FunnelSettings

PEPPER = b"p" * 32
PATIENCE = 30.0
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
_ids = count(1)


def day(days: float) -> datetime:
    """An instant, in days from the beginning of every story."""
    return START + timedelta(days=days)


@dataclass(frozen=True)
class Said:
    """An event of a CRM: what happened at `at`."""

    type: str
    at: datetime
    data: dict[str, Any]
    origin: Origin = "live"
    id: str = field(default_factory=lambda: f"e-{next(_ids)}")
    known: datetime | None = None
    """Since when we know it; now, if not told otherwise."""

    def record(self, tenant: str) -> NewRecord:
        body, known = canonical(self.data), self.known or datetime.now(UTC)
        envelope = Envelope(
            tenant_id=tenant, source="/crm", id=self.id, type=self.type, occurred_at=self.at,
            recorded_at=known, data=body, subject=self.data.get("deal_id"),
            origin=self.origin,
        )  # fmt: skip
        key = self.data.get("deal_id", self.id)
        return NewRecord(f"{tenant}:{key}".encode(), body, to_headers(envelope))


def created(deal: str, days: float, stage: str = "lead", **fields: Any) -> Said:
    data = {"deal_id": deal, "pipeline_id": "b2b", "stage_id": stage, **fields}
    return Said("deal.created", day(days), data)


def moved(deal: str, days: float, stage: str) -> Said:
    return Said("deal.stage_changed", day(days), {"deal_id": deal, "stage_id": stage})


def told(type_: str, days: float, deal: str, **data: Any) -> Said:
    return Said(type_, day(days), {"deal_id": deal, **data})


def called(deal: str, days: float, kind: str = "call", **data: Any) -> Said:
    fields = {"activity_id": f"a-{next(_ids)}", "kind": kind, "direction": "outbound", **data}
    return told("activity.logged", days, deal, **fields)


def stalled(days: int = 30, **changes: Any) -> dict[str, Any]:
    """The rule of most stories: an open deal too long in its stage, told late if need be."""
    rule = {
        "name": f"Over {days} days in a stage",
        "scope": "deal.status == 'open'",
        "clock": {"start": "stage_entered_at", "limit": f"P{days}D"},
        "catch_up": "fire_late",
    }
    return rule | changes


@dataclass
class Site:
    """A tenant's view; `records` is what an integrator reads of the alerts' topic."""

    tenant: str
    key: str
    sandbox: bool
    log: MemoryLog
    hand: asyncpg.Connection
    transport: httpx.ASGITransport

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        async with httpx.AsyncClient(transport=self.transport, base_url="http://site") as client:
            return await client.request(method, path, headers=headers, **options)

    async def ok(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.call(method, path, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def rule(self, rule_id: str, definition: dict[str, Any], **headers: str) -> Any:
        return await self.ok("PUT", f"/v1/rules/{rule_id}", json=definition, headers=headers)

    async def say(self, *events: Said) -> None:
        await self.log.append(CRM_EVENTS, [event.record(self.tenant) for event in events])

    async def clock(self, days: float) -> None:
        """Move the sandbox's clock and wait until all is settled."""
        await self.ok("POST", "/v1/sandbox/clock", json={"now": day(days).isoformat()})
        await self.settled()

    async def settled(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await self.ok("GET", "/v1/sandbox/clock"))["settled"]:
                await asyncio.sleep(0.02)

    async def alerts(self, **params: Any) -> list[dict[str, Any]]:
        """Oldest first."""
        found = await self.ok("GET", "/v1/alerts", params={"limit": 500, **params})
        items: list[dict[str, Any]] = found["items"]
        return items[::-1]

    async def records(self) -> list[tuple[str, str, str, datetime]]:
        """`(subject, clock-start event, type, instant)` in the order of each subject's key."""
        return [_read(record) for record in await self.raw() if record.value is not None]

    async def raw(self, topic: str = ALERT_EVENTS) -> Sequence[Record]:
        found = [r for of in self.log.topic(topic).records for r in of]
        mine = f"{self.tenant}:".encode()
        return [record for record in found if (record.key or b"").startswith(mine)]


def _read(record: Record) -> tuple[str, str, str, datetime]:
    envelope = from_headers(record.headers, record.value)
    alert = orjson.loads(envelope.data)["alert"]
    start = alert["evidence"]["clock"]["start_event_id"]
    return alert["subject"]["id"], start, envelope.type, envelope.occurred_at


@asynccontextmanager
async def sites(url: str) -> AsyncIterator["Sites"]:
    """Funnel and alerts with their workers."""
    clock = SystemClock()
    log = MemoryLog(clock)
    settings = CommonSettings(partitions=3)
    resources = Resources(clock, settings, url, log, b"k" * 32, f"p-{secrets.token_hex(3)}")
    services = [
        funnel.build(resources, FunnelSettings(poll=0.05)),
        alerts.build(resources, AlertsSettings(poll=0.02)),
    ]
    keys = Database(url, "headway_alerts_api", pool_size=2)
    app = create_app(
        services,
        authenticator=Authenticator(keys, PEPPER, clock),
        cursors=Cursors(b"c" * 32),
        clock=clock,
    )
    hand, stop = await asyncpg.connect(url), asyncio.Event()
    await hand.execute("DELETE FROM funnel.positions; DELETE FROM alerts.positions")
    await hand.execute("DELETE FROM funnel.watermarks; DELETE FROM alerts.watermarks")
    async with app.router.lifespan_context(app):
        workers = [worker for service in services for worker in service.workers]
        task = asyncio.create_task(run_workers(workers, stop))
        try:
            yield Sites(log, hand, httpx.ASGITransport(app, raise_app_exceptions=False))
        finally:
            stop.set()
            await task
            await hand.close()
    await keys.close()


@dataclass
class Sites:
    """Makes tenants."""

    log: MemoryLog
    hand: asyncpg.Connection
    transport: httpx.ASGITransport

    async def new(self, *, sandbox: bool = True, scopes: Sequence[str] = ("admin",)) -> Site:
        name = f"t-{secrets.token_hex(4)}"
        await self.hand.execute(
            "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', $2, now())",
            name, sandbox,
        )  # fmt: skip
        key = await self.key(name, scopes)
        return Site(name, key, sandbox, self.log, self.hand, self.transport)

    async def key(self, tenant: str, scopes: Sequence[str]) -> str:
        made = new_key(PEPPER)
        await self.hand.execute(
            """INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)
            VALUES ($1, $2, $3, 'test', $4, now())""",
            tenant, made.key_id, made.key_hash, list(scopes),
        )  # fmt: skip
        return made.plain
