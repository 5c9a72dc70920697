"""Records of sandboxes wait here until nothing of theirs is left to judge.

However many subjects are judged at a time, what they tell leaves in order of its instants: a clock
that has moved over months tells January before February.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.db.bulk import transposed
from libs.common.db.outbox import HEADERS, columns
from services.alerts.app.ports import Record

_PARK = f"""INSERT INTO alerts.sandbox_outbox
        (tenant_id, topic, record_key, value, header_names, header_values, subject_id, told_at)
    SELECT tenant_id, topic, record_key, value, {HEADERS}, subject_id, told_at
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bytea[], $6::text[],
        $7::text[], $8::text[], $9::timestamptz[]) WITH ORDINALITY AS t(tenant_id, topic, partition,
        record_key, value, names, contents, subject_id, told_at, place) ORDER BY place"""  # noqa: S608
_RELEASE = """WITH waiting AS (DELETE FROM alerts.sandbox_outbox o WHERE o.tenant_id = $1
            AND NOT EXISTS (SELECT FROM alerts.subjects s
                WHERE s.tenant_id = $1 AND s.pending_at <= $2)
            AND NOT EXISTS (SELECT FROM alerts.timers t WHERE t.tenant_id = $1 AND t.due_at <= $3)
        RETURNING *)
    INSERT INTO alerts.outbox
        (tenant_id, topic, record_key, value, header_names, header_values)
    SELECT tenant_id, topic, record_key, value, header_names, header_values
    FROM (SELECT *, max(told_at) OVER (PARTITION BY subject_id ORDER BY id) AS turn
        FROM waiting) w
    ORDER BY turn, id"""
"""Not while another process judges the last of them. What a subject has told before stays before:
a correction may tell of an earlier instant."""


async def park(conn: Any, records: Sequence[Record]) -> None:
    """Records wait; their subjects are locked."""
    rows = [(told, row) for told, of in records for row in of]
    if rows:
        places = [(told.alert.subject_id, told.at) for told, _ in rows]
        told = columns([row for _, row in rows]) + transposed(places, 2)
        await conn.execute(_PARK, *told)


async def release(conn: Any, tenant_id: str, marked_by: datetime, due_by: datetime) -> None:
    """What waits goes to the outbox, once nothing is left that was marked or due by then."""
    await conn.execute(_RELEASE, tenant_id, marked_by, due_by)
