"""`funnel.events`: every event once, and the ways to read them back."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.common.contracts.catalogue import parse
from libs.common.contracts.envelope import Origin
from libs.common.db.bulk import insert, transposed
from services.funnel.app.model import DealKey, EventKey, Held, Incoming, Kept, RefKey
from services.funnel.domain.context import describes
from services.funnel.domain.model import FoldEvent

_COLUMNS = {
    "tenant_id": "text", "source": "text", "event_id": "text", "subject_kind": "text",
    "subject_id": "text", "type": "text", "occurred_at": "timestamptz", "sequence": "bigint",
    "recorded_at": "timestamptz", "origin": "text", "time_quality": "text",
    "correlation_id": "text", "body_hash": "bytea", "data": "json", "partition": "int",
    "offset": "bigint",
}  # fmt: skip
_INSERT = (
    insert("funnel.events", _COLUMNS)
    + " ON CONFLICT (tenant_id, source, event_id) DO NOTHING"
    + " RETURNING tenant_id, source, event_id"
)


def _row(item: Incoming) -> tuple[Any, ...]:
    envelope = item.envelope
    return (
        *item.key,
        item.kind,
        item.subject,
        envelope.type,
        envelope.occurred_at,
        envelope.sequence,
        envelope.recorded_at,
        envelope.origin,
        envelope.time_quality,
        envelope.correlation_id,
        item.body_hash,
        envelope.data.decode(),
        item.record.partition,
        item.record.offset,
    )


async def insert_events(conn: Any, events: Sequence[Incoming]) -> set[EventKey]:
    """Keep the events whose key is new, in key order; return those keys."""
    if not events:
        return set()
    rows = sorted((_row(item) for item in events), key=lambda row: row[:3])
    returned = await conn.fetch(_INSERT, *transposed(rows, len(_COLUMNS)))
    return {tuple(row) for row in returned}


async def held(conn: Any, keys: Collection[EventKey]) -> dict[EventKey, Held]:
    rows = await conn.fetch(
        """SELECT e.tenant_id, e.source, e.event_id, e.body_hash, e.recorded_at, e.subject_kind,
            e.subject_id, e.origin
        FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, source, event_id)
        JOIN funnel.events e USING (tenant_id, source, event_id)""",
        *transposed(list(keys), 3),
    )
    return {tuple(row)[:3]: Held(*tuple(row)[3:]) for row in rows}


async def know_earlier(conn: Any, known: Mapping[EventKey, tuple[datetime, Origin]]) -> None:
    """The smallest recorded time, and an origin other than `reconcile` if there is one."""
    if known:
        await conn.execute(
            """UPDATE funnel.events e SET recorded_at = least(e.recorded_at, k.recorded_at),
                origin = CASE e.origin WHEN 'reconcile' THEN k.origin ELSE e.origin END
            FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
                AS k(tenant_id, source, event_id, recorded_at, origin)
            WHERE e.tenant_id = k.tenant_id AND e.source = k.source AND e.event_id = k.event_id""",
            *transposed([(*key, *told) for key, told in sorted(known.items())], 5),
        )


_SUBJECTS = """SELECT e.tenant_id, e.subject_kind, e.subject_id, e.type, e.source, e.event_id,
        e.occurred_at, e.recorded_at, e.sequence, e.data, e.origin, e.correlation_id
    FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, subject_kind, subject_id)
    JOIN funnel.events e USING (tenant_id, subject_kind, subject_id)"""


async def subject_events(conn: Any, subjects: Collection[RefKey]) -> dict[RefKey, list[Kept]]:
    """All events of known types about each `(tenant_id, kind, id)`."""
    found: dict[RefKey, list[Kept]] = defaultdict(list)
    for kept in _kept(await conn.fetch(_SUBJECTS, *transposed(sorted(subjects), 3))):
        found[kept.ref].append(kept)
    return found


async def describing_events(conn: Any, refs: Collection[RefKey]) -> dict[RefKey, list[Kept]]:
    """What says what accounts and users are; not what was done with them, such as a call."""
    found = await subject_events(conn, refs)
    return {ref: [k for k in kept if describes(k.event)] for ref, kept in found.items()}


async def deal_events(conn: Any, deals: Collection[DealKey]) -> dict[DealKey, list[Kept]]:
    found = await subject_events(conn, [(tenant, "deal", deal) for tenant, deal in deals])
    return {(tenant, deal): kept for (tenant, _, deal), kept in found.items()}


def _kept(rows: Iterable[Any]) -> Iterable[Kept]:
    for row in rows:
        tenant_id, kind, subject, type_, source, id_, at, recorded_at, sequence, *rest = row
        text, origin, correlation_id = rest
        data = text.encode()
        parsed = parse(type_, data, strict=False)
        if parsed is not None:
            event = FoldEvent(
                subject, type_, source, id_, at, recorded_at, sequence, parsed,
                origin == "reconcile",
            )  # fmt: skip
            yield Kept(tenant_id, kind, event, data, origin, correlation_id)
