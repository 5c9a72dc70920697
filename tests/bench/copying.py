"""The limit: one COPY of the same events, decoded beforehand, into a table like `funnel.events`."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from libs.common.contracts.cloudevents import body_hash
from tests.bench.source import Watch
from tests.bench.stream import Told

_COLUMNS = ("tenant_id", "source", "event_id", "subject_kind", "subject_id", "type", "occurred_at",
            "sequence", "recorded_at", "origin", "time_quality", "correlation_id", "body_hash",
            "data", "partition", "offset")  # fmt: skip


async def run(url: str, told: Sequence[Told]) -> float:
    """Seconds for one COPY and its commit; records that come twice are left out before."""
    rows = list({event.envelope.id: _row(n, event) for n, event in enumerate(told)}.values())
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("CREATE SCHEMA limits")
        await conn.execute("CREATE TABLE limits.events (LIKE funnel.events INCLUDING ALL)")
        watch = Watch()
        await conn.copy_records_to_table(
            "events", schema_name="limits", columns=_COLUMNS, records=rows
        )
        return watch.seconds
    finally:
        await conn.close()


def _row(n: int, told: Told) -> tuple[Any, ...]:
    e = told.envelope
    hashed = body_hash(e.type, e.occurred_at, e.sequence, e.data)
    return (
        e.tenant_id, e.source, e.id, "deal", told.deal_id, e.type, e.occurred_at, e.sequence,
        e.recorded_at, e.origin, e.time_quality, e.correlation_id, hashed, e.data.decode(), 0, n,
    )  # fmt: skip
