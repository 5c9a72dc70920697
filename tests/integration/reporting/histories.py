"""Histories of deals for tests: built from steps, kept as plain rows, written as the funnel would.

A deal has versions: what was held to be true from one known instant to the next. Each version has
its visits and spans, made by a fold of its own that shares nothing with the services.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

INFINITY = datetime.max.replace(tzinfo=UTC)
EPOCH = datetime(2017, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return EPOCH + timedelta(hours=hours)


@dataclass(frozen=True)
class Step:
    """Something that happens to a deal: it enters a stage, or facts change."""

    time: datetime
    stage: str | None = None
    pipeline: str = "b2b"
    facts: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class VisitRow:
    n: int
    pipeline_id: str
    stage_id: str
    stage_class: str
    entered_at: datetime
    left_at: datetime | None
    exit: str | None = None
    next_stage_id: str | None = None


@dataclass(frozen=True)
class SpanRow:
    valid_from: datetime
    valid_to: datetime
    facts: dict[str, Any]


@dataclass(frozen=True)
class Version:
    known_from: datetime
    visits: tuple[VisitRow, ...]
    spans: tuple[SpanRow, ...]


@dataclass(frozen=True)
class DealPast:
    deal_id: str
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class Pipeline:
    """Stage ids with their classes, in order."""

    pipeline_id: str = "b2b"
    stages: tuple[tuple[str, str], ...] = (
        ("reach", "open"),
        ("offer", "open"),
        ("won", "won"),
        ("lost", "lost"),
        ("late", "open"),
    )
    targets: dict[str, Decimal] = field(default_factory=dict)

    def class_of(self, stage: str) -> str:
        return dict(self.stages)[stage]


def version(known_from: datetime, steps: Sequence[Step], pipeline: Pipeline) -> Version:
    """Fold steps, given in order, into visits and spans."""
    visits: list[VisitRow] = []
    spans: dict[datetime, SpanRow] = {}
    facts: dict[str, Any] = {
        "status": "open", "pipeline_id": pipeline.pipeline_id, "created_at": steps[0].time,
        "attributes": {}, "stage_id": None, "closed_at": None,
    }  # fmt: skip
    for step in steps:
        if step.stage is not None:
            kind = pipeline.class_of(step.stage)
            if visits:
                visits[-1] = _left(visits[-1], step, kind)
            number = len(visits) + 1
            visits.append(VisitRow(number, step.pipeline, step.stage, kind, step.time, None))
            facts = {
                **facts, "pipeline_id": step.pipeline, "stage_id": step.stage, "status": kind,
                "stage_entered_at": step.time, "closed_at": _closed(facts, step.time, kind),
            }  # fmt: skip
        facts = {**facts, **dict(step.facts)}
        spans[step.time] = SpanRow(step.time, INFINITY, facts)
    starts = [*sorted(spans)[1:], INFINITY]
    closed = tuple(
        replace(spans[start], valid_to=end)
        for start, end in zip(sorted(spans), starts, strict=True)
    )
    return Version(known_from, tuple(visits), closed)


def _left(visit: VisitRow, step: Step, kind: str) -> VisitRow:
    how = "left" if kind in ("open", visit.stage_class) else kind
    how = how if step.pipeline == visit.pipeline_id else "moved"
    return replace(visit, left_at=step.time, exit=how, next_stage_id=step.stage)


def _closed(facts: dict[str, Any], now: datetime, kind: str) -> datetime | None:
    """When this life ended: the first entry into the class that it is in."""
    if kind == "open":
        return None
    same = facts["stage_id"] and facts["status"] == kind
    closed: datetime = facts["closed_at"] if same else now
    return closed


async def write_tenant(connection: asyncpg.Connection, tenant: str, **settings: Any) -> None:
    chosen = {
        "timezone": "UTC", "currency": "EUR", "fiscal_year_start_month": 1, "week_start": "monday",
        "sandbox": False, **settings,
    }  # fmt: skip
    await connection.execute(
        "INSERT INTO ingest.tenants VALUES ($1, $1, $2, $3, $4, $5, $6, now())",
        tenant, chosen["timezone"], chosen["currency"], chosen["fiscal_year_start_month"],
        chosen["week_start"], chosen["sandbox"],
    )  # fmt: skip


async def write_pipeline(connection: asyncpg.Connection, tenant: str, pipeline: Pipeline) -> None:
    await connection.executemany(
        """INSERT INTO funnel.stages (tenant_id, pipeline_id, stage_id, state, position, name,
            class, target_conversion) VALUES ($1, $2, $3, 'published', $4, $5, $6, $7)""",
        [
            (tenant, pipeline.pipeline_id, stage, i, stage.title(), kind,
             pipeline.targets.get(stage))
            for i, (stage, kind) in enumerate(pipeline.stages)
        ],
    )  # fmt: skip


async def bump(connection: asyncpg.Connection, tenant: str) -> None:
    """As every batch of the funnel does."""
    await connection.execute(
        """INSERT INTO funnel.changes (tenant_id, writer, counter) VALUES ($1, 'test', 1)
        ON CONFLICT (tenant_id, writer) DO UPDATE SET counter = funnel.changes.counter + 1""",
        tenant,
    )


async def write_generation(connection: asyncpg.Connection, tenant: str) -> None:
    await connection.execute("INSERT INTO funnel.generations VALUES ($1, 1)", tenant)


async def write_deals(
    connection: asyncpg.Connection, tenant: str, deals: Sequence[DealPast]
) -> None:
    """All versions of all deals."""
    visits = [row for deal in deals for row in _visit_rows(tenant, deal)]
    spans = [row for deal in deals for row in _span_rows(tenant, deal)]
    await connection.copy_records_to_table(
        "visits", schema_name="funnel", records=visits, columns=_VISIT_COLUMNS
    )
    await connection.copy_records_to_table(
        "deal_history", schema_name="funnel", records=spans, columns=_SPAN_COLUMNS
    )
    await bump(connection, tenant)


_FACTS = (
    "status", "pipeline_id", "stage_id", "stage_entered_at", "created_at", "closed_at", "name",
    "amount", "currency", "owner_id", "team_id", "region", "lost_reason", "merged_into",
)  # fmt: skip
_VISIT_COLUMNS = (
    "tenant_id", "generation", "deal_id", "n", "pipeline_id", "stage_id", "class", "entered_at",
    "left_at", "exit", "next_stage_id", "event_source", "event_id", "known_from", "known_to",
)  # fmt: skip
_SPAN_COLUMNS = (
    "tenant_id", "generation", "deal_id", "n", "life", "push_count", "attributes", "valid_from",
    "valid_to", "known_from", "known_to", *_FACTS,
)  # fmt: skip


def _known(deal: DealPast) -> list[tuple[Version, datetime]]:
    ends = [*(v.known_from for v in deal.versions[1:]), INFINITY]
    return list(zip(deal.versions, ends, strict=True))


def _visit_rows(tenant: str, deal: DealPast) -> list[tuple[Any, ...]]:
    return [
        (tenant, 1, deal.deal_id, v.n, v.pipeline_id, v.stage_id, v.stage_class, v.entered_at,
         v.left_at, v.exit, v.next_stage_id, "test", f"{deal.deal_id}-{v.n}", held.known_from,
         until)
        for held, until in _known(deal)
        for v in held.visits
    ]  # fmt: skip


def _span_rows(tenant: str, deal: DealPast) -> list[tuple[Any, ...]]:
    return [
        (tenant, 1, deal.deal_id, n, 1, 0, json.dumps(s.facts["attributes"]), s.valid_from,
         s.valid_to, held.known_from, until, *(s.facts.get(name) for name in _FACTS))
        for held, until in _known(deal)
        for n, s in enumerate(held.spans, 1)
    ]  # fmt: skip
