"""The funnel's write path on a real PostgreSQL: deliveries in, rows and records out.

`Said` is an event as a source tells it. A `Rig` delivers events in batches, each one transaction,
as the consumer loop does, and shows what came of it through a connection of its own.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import asyncpg
import orjson

from libs.common.clock import FakeClock
from libs.common.contracts.cloudevents import canonical
from libs.common.contracts.deals import StateChanged
from libs.common.contracts.envelope import Envelope, Origin, to_headers
from libs.common.contracts.topics import CONTEXT, CRM_EVENTS, DEALS
from libs.common.db.database import Database, driver
from libs.common.eventlog.loop import Buried
from libs.common.eventlog.port import Record
from services.funnel.adapters.refold_queue import queue_pipeline_refold
from services.funnel.adapters.store import PostgresStore
from services.funnel.app.batch import BatchHandler
from services.funnel.app.projector import Projector
from services.funnel.app.rebuild import Rebuilds
from services.funnel.app.refold import Refolds

ROLE = "headway_funnel_worker"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1000)
B2B = (("lead", "open"), ("offer", "open"), ("signed", "won"), ("gone", "lost"))
_ids = count(1)


def h(hours: float) -> datetime:
    """An instant, in hours from the beginning of every story."""
    return START + timedelta(hours=hours)


@dataclass(frozen=True)
class Said:
    """An event: it happened at `at` and was recorded at `known`, both in hours."""

    at: float
    type: str
    data: dict[str, Any]
    known: float
    id: str
    source: str = "/crm"
    sequence: int | None = None
    origin: Origin = "live"
    time_quality: Literal["given", "assumed"] = "given"

    def record(self, tenant: str, offset: int = 0, partition: int = 0) -> Record:
        envelope = Envelope(
            tenant, self.source, self.id, self.type, h(self.at), h(self.known),
            canonical(self.data), self.sequence, None, self.origin, self.time_quality,
        )  # fmt: skip
        return raw(to_headers(envelope), envelope.data, offset, partition)

    def again(self, **changes: Any) -> "Said":
        return replace(self, **changes)


def raw(
    headers: tuple[tuple[str, bytes], ...], value: bytes | None, offset: int = 0, partition: int = 0
) -> Record:
    return Record(CRM_EVENTS, partition, offset, None, value, headers, START)


def said(at: float, type_: str, subject: str = "d", /, **more: Any) -> Said:
    """`said(3, "deal.won", "d1", amount="5")`; `known`, `id`, `source`, `sequence` and `origin`
    are the event's own, everything else is its data."""
    own = {name: more.pop(name) for name in ("id", "source", "sequence", "origin") if name in more}
    known = more.pop("known", at)
    key = {"acco": "account_id", "user": "user_id", "team": "team_id", "lead": "lead_id"}
    data = {key.get(type_[:4], "deal_id"): subject} | more
    own.setdefault("id", f"e{next(_ids):06d}")
    return Said(at, type_, data, known, **own)


def stage(at: float, stage_id: str, deal: str = "d", /, **more: Any) -> Said:
    return said(at, "deal.stage_changed", deal, stage_id=stage_id, **more)


@dataclass(frozen=True)
class Published:
    """One record of `headway.deals.v1` in the outbox."""

    id: int
    key: bytes
    headers: dict[str, str]
    value: dict[str, Any]
    raw: bytes

    @property
    def short(self) -> tuple[str, int, str, str | None]:
        """Deal, version, cause and where the past was corrected."""
        value = self.value
        at = value["corrected_from"]
        return value["deal_id"], value["version"], value["cause"]["id"], at


@dataclass
class Rig:
    """One database, one worker; `hand` is a connection that row-level security does not bind."""

    database: Database
    hand: asyncpg.Connection
    clock: FakeClock
    handler: BatchHandler
    refolds: Refolds
    rebuilds: Rebuilds
    offsets: count = field(default_factory=count)  # type: ignore[type-arg]  # ints

    async def tenant(self, name: str | None = None) -> str:
        name = name or f"t-{secrets.token_hex(4)}"
        await self.hand.execute(
            "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', false, now())",
            name,
        )
        return name

    async def pipeline(
        self,
        tenant: str,
        *stages: tuple[str, str],
        pipeline_id: str = "default",
        at: float = 0,
        version: int = 1,
    ) -> int:
        """Publish a version, as the API does; how many deals have to be folded anew."""
        listed = [{"id": id_, "name": id_.title(), "class": class_} for id_, class_ in stages]
        async with self.database.across_tenants() as tx:
            await (await driver(tx)).execute(
                """INSERT INTO funnel.pipelines VALUES ($1, $2, $3, $2, $4::json, $5, 'admin')""",
                tenant, pipeline_id, version, orjson.dumps(listed).decode(), h(at),
            )  # fmt: skip
            return await queue_pipeline_refold(tx, tenant, pipeline_id)

    def records(self, tenant: str, events: Sequence[Said]) -> list[Record]:
        return [event.record(tenant, next(self.offsets)) for event in events]

    async def deliver(self, tenant: str, *events: Said) -> Sequence[Buried]:
        """One batch."""
        return await self.handle(self.records(tenant, events))

    async def handle(self, records: Sequence[Record]) -> Sequence[Buried]:
        async with self.database.across_tenants() as tx:
            return await self.handler.handle(tx, records)

    async def deliver_cut(self, tenant: str, events: Sequence[Said], size: int) -> None:
        for i in range(0, len(events), size):
            await self.deliver(tenant, *events[i : i + size])

    async def drain(self) -> None:
        """Until nothing waits for a refold."""
        while await self.refolds.drain():
            pass

    async def wake(self) -> None:
        while await self.refolds.wake():
            pass

    async def ask_rebuild(self, tenant: str, *, accept: bool = False) -> str:
        """A new rebuild, as the API writes it."""
        return str(
            await self.hand.fetchval(
                """INSERT INTO funnel.rebuilds
                    (tenant_id, rebuild_id, generation, state, accept, started_at)
                SELECT $1, gen_random_uuid(), 1 + greatest(g.current, coalesce((
                    SELECT max(r.generation) FROM funnel.rebuilds r WHERE r.tenant_id = $1), 0)),
                    'building', $2, $3
                FROM funnel.generations g WHERE g.tenant_id = $1 RETURNING rebuild_id""",
                tenant, accept, self.clock.now(),
            )
        )  # fmt: skip

    async def rebuild(self, tenant: str, *, accept: bool = False) -> str:
        """A rebuild to its end; its state."""
        rebuild_id = await self.ask_rebuild(tenant, accept=accept)
        while await self.rebuilds.step():
            pass
        return await self.rebuild_state(rebuild_id)

    async def rebuild_state(self, rebuild_id: str) -> str:
        state: str = await self.hand.fetchval(
            "SELECT state FROM funnel.rebuilds WHERE rebuild_id = $1::uuid", rebuild_id
        )
        return state

    async def records_of(self, tenant: str, deal: str | None = None) -> list[Published]:
        """What was published of deals, in order; each record obeys the contract."""
        rows = await self.outbox(tenant, DEALS)
        found = [
            Published(row[0], row[1], _headers(row), orjson.loads(row[2]), row[2]) for row in rows
        ]
        for record in found:
            StateChanged.model_validate_json(record.raw)
        return [r for r in found if deal is None or r.value["deal_id"] == deal]

    async def contexts_of(self, tenant: str) -> list[Any]:
        return await self.outbox(tenant, CONTEXT)

    async def outbox(self, tenant: str, topic: str) -> list[Any]:
        return await self.hand.fetch(
            """SELECT id, record_key, value, header_names, header_values FROM funnel.outbox
            WHERE tenant_id = $1 AND topic = $2 ORDER BY id""",
            tenant, topic,
        )  # fmt: skip

    async def deal(self, tenant: str, deal_id: str = "d") -> Any:
        """The served row; `None` if there is none."""
        return await self.hand.fetchrow(
            """SELECT d.* FROM funnel.deals d JOIN funnel.generations g
                ON g.tenant_id = d.tenant_id AND g.current = d.generation
            WHERE d.tenant_id = $1 AND d.deal_id = $2""",
            tenant, deal_id,
        )  # fmt: skip

    async def rows(self, tenant: str, generation: int | None = None) -> dict[str, list[Any]]:
        """Everything that follows from the events: the same for every way to the same events."""
        if generation is None:
            generation = await self.hand.fetchval(
                "SELECT current FROM funnel.generations WHERE tenant_id = $1", tenant
            )
        return {
            name: [tuple(r) for r in await self.hand.fetch(select, tenant, *given(generation, n))]
            for name, (n, select) in _ROWS.items()
        }


def given(generation: int | None, parameters: int) -> tuple[int | None, ...]:
    return (generation,) if parameters == 2 else ()


_STATE = """status, pipeline_id, stage_id, stage_class, stage_entered_at, created_at, closed_at,
    life, name, amount, currency, owner_id, team_id, account_id, region, product_line,
    customer_type, industry, source, channel_partner_id, expected_close_date, renewal_date,
    push_count, lost_reason, merged_into, attributes::text"""
# Statements of constants of this module.
_ROWS: dict[str, tuple[int, str]] = {
    "events": (1, """SELECT source, event_id, type, subject_kind, subject_id, occurred_at,
        recorded_at, sequence, origin, data::text FROM funnel.events WHERE tenant_id = $1
        ORDER BY 1, 2"""),
    "deals": (2, f"""SELECT deal_id, {_STATE}, first_activity_at, last_activity_at,
        last_activity_kind, last_customer_touch_at, next_planned_at, activity_count, last_event_at,
        recorded_at, wake_at FROM funnel.deals WHERE tenant_id = $1 AND generation = $2
        ORDER BY deal_id"""),  # noqa: S608
    "visits": (2, """SELECT deal_id, n, pipeline_id, stage_id, class, entered_at, left_at, exit,
        next_stage_id, actor_id, event_source, event_id, known_from, known_to::text
        FROM funnel.visits WHERE tenant_id = $1 AND generation = $2
        ORDER BY deal_id, n, known_from"""),
    "history": (2, f"""SELECT deal_id, n, {_STATE}, valid_from, valid_to::text, known_from,
        known_to::text FROM funnel.deal_history WHERE tenant_id = $1 AND generation = $2
        ORDER BY deal_id, n, known_from"""),  # noqa: S608
    "contexts": (1, """SELECT kind, id, n, valid_from, valid_to::text, known_from, known_to::text,
        data::text FROM funnel.context_history WHERE tenant_id = $1
        ORDER BY 1, 2, 3, known_from"""),
    "stages": (1, """SELECT pipeline_id, stage_id, state, name, class, first_occurred_at
        FROM funnel.stages WHERE tenant_id = $1 ORDER BY 1, 2"""),
    "references": (1, """SELECT kind, id, deal_id FROM funnel.deal_references
        WHERE tenant_id = $1 ORDER BY 1, 2, 3"""),
    "groups": (1, """SELECT deal_id, group_id FROM funnel.aliases WHERE tenant_id = $1
        ORDER BY 1"""),
}  # fmt: skip


def _headers(row: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in zip(row[3], row[4], strict=True)}


@asynccontextmanager
async def rigged(url: str, now: datetime = NOW, writer: str = "w1") -> AsyncIterator[Rig]:
    database = Database(url, ROLE, pool_size=6)
    hand = await asyncpg.connect(url)
    clock = FakeClock(now)
    projector = Projector(writer)
    try:
        yield Rig(
            database,
            hand,
            clock,
            BatchHandler(PostgresStore, projector, clock),
            Refolds(database, PostgresStore, projector, clock),
            Rebuilds(database, PostgresStore, clock),
        )
    finally:
        await hand.close()
        await database.close()
