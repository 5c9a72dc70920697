"""What waits to be judged, counted for the gauges of a process."""

from collections.abc import Collection
from typing import Any

from services.alerts.adapters.subjects import WAITS
from services.alerts.app.work import Waiting

WAITING = f"""SELECT count(*), COALESCE(extract(epoch FROM now() - min(pending_at)), 0)::float8
    FROM alerts.subjects WHERE {WAITS} AND NOT brought AND tenant_id <> ALL($1)"""  # noqa: S608
"""By the index of what waits: what rests is not read."""


async def waiting(conn: Any, sandboxes: Collection[str]) -> Waiting:
    """Subjects of real tenants, imports' apart; ages are by the clock that has marked them."""
    count, seconds = await conn.fetchrow(WAITING, list(sandboxes))
    return Waiting(count, max(0.0, seconds))
