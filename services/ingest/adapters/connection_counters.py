"""What sources have counted, in SQL: one row for each connection that has a counter."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.app.connection_counts import Key, Numbers
from services.ingest.domain.counters import Counted, excused, taken
from services.ingest.domain.ranges import Ranges, size

_BEGIN = text("""
    INSERT INTO ingest.connection_counters (tenant_id, connection_id, pointer, received, excused)
    SELECT c.tenant_id, c.connection_id, c.definition ->> 'counter', '[]', '[]'
    FROM ingest.connections c
    WHERE c.tenant_id = :tenant_id AND c.connection_id = :connection_id AND NOT c.deleted
        AND c.definition ->> 'counter' = :pointer
    ON CONFLICT (tenant_id, connection_id) DO NOTHING
""")
_COLUMNS = "k.received, k.excused, k.given_up, k.restarts, k.restarted_at"
_HOLD = text(f"""
    SELECT k.pointer = :pointer AS same, {_COLUMNS} FROM ingest.connection_counters k
    JOIN ingest.connections c USING (tenant_id, connection_id)
    WHERE k.tenant_id = :tenant_id AND k.connection_id = :connection_id
        AND c.definition ->> 'counter' = :pointer
    FOR UPDATE OF k
""")  # noqa: S608  constants only
_READ = text(f"""
    SELECT {_COLUMNS} FROM ingest.connection_counters k
    JOIN ingest.connections c USING (tenant_id, connection_id)
    WHERE k.tenant_id = :tenant_id AND k.connection_id = :connection_id
        AND c.definition ->> 'counter' = k.pointer
""")  # noqa: S608
_HOLD_SAME = text(_READ.text + " FOR UPDATE OF k")
_WRITE = text("""
    UPDATE ingest.connection_counters SET received = CAST(:received AS json),
        excused = CAST(:excused AS json), missing = :missing, given_up = :given_up,
        restarts = :restarts, restarted_at = :restarted_at,
        pointer = coalesce(CAST(:pointer AS text), pointer)
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
_MISSING = text("""
    SELECT count(*) FROM ingest.connection_counters k
    JOIN ingest.connections c USING (tenant_id, connection_id)
    WHERE k.missing > 0 AND c.definition ->> 'counter' = k.pointer
""")
_log = structlog.get_logger(__name__)


async def write(tx: AsyncConnection, key: Key, told: Mapping[str, Numbers], now: datetime) -> None:
    """Add what was counted since. What an earlier pointer of the connection showed is of no use."""
    for pointer, numbers in told.items():
        place = {"tenant_id": key[0], "connection_id": key[1], "pointer": pointer}
        await tx.execute(_BEGIN, place)
        row = (await tx.execute(_HOLD, place)).mappings().first()
        if row is None:
            continue
        held = _counted(row) if row["same"] else Counted()
        after = taken(held, numbers.fresh, numbers.again, now)
        await tx.execute(_WRITE, {**place, **_written(after)})
        if after.restarts > held.restarts:
            _log.warning(
                "source_counter_restarted", connection=key[1], forgotten=size(held.missing)
            )


async def fill(tx: AsyncConnection, key: Key, filled: Ranges) -> int:
    """No longer miss these numbers; how many of them were missing."""
    place = {"tenant_id": key[0], "connection_id": key[1]}
    row = (await tx.execute(_HOLD_SAME, place)).mappings().first()
    if row is None:
        return 0
    held = _counted(row)
    after = excused(held, filled)
    await tx.execute(_WRITE, {**place, "pointer": None, **_written(after)})
    return size(held.missing) - size(after.missing)


async def of(tx: AsyncConnection, key: Key) -> Counted | None:
    """What the source has counted, by the pointer that the connection has now."""
    place = {"tenant_id": key[0], "connection_id": key[1]}
    row = (await tx.execute(_READ, place)).mappings().first()
    return None if row is None else _counted(row)


async def missing(tx: AsyncConnection) -> int:
    """How many connections miss numbers."""
    return int((await tx.execute(_MISSING)).scalar_one())


def _counted(row: RowMapping) -> Counted:
    return Counted(
        received=_ranges(row["received"]),
        excused=_ranges(row["excused"]),
        given_up=row["given_up"],
        restarts=row["restarts"],
        restarted_at=row["restarted_at"],
    )


def _ranges(stored: Any) -> Ranges:
    return tuple((first, last) for first, last in orjson.loads(stored))


def _written(counted: Counted) -> dict[str, Any]:
    return asdict(counted) | {
        "received": orjson.dumps(counted.received).decode(),
        "excused": orjson.dumps(counted.excused).decode(),
        "missing": size(counted.missing),
    }
