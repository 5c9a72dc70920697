"""`funnel.deals`: locked, read narrowly for folding, written in bulk."""

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from libs.common.db.bulk import insert, replace, transposed
from services.funnel.adapters.columns import ACTIVITY, FACTS, state_of, state_row
from services.funnel.app.model import DealKey, DealWrite, StoredDeal
from services.funnel.domain.model import DealState

_KEY = ("tenant_id", "generation", "deal_id")
_COLUMNS = {
    "tenant_id": "text", "generation": "int", "deal_id": "text", **FACTS, **ACTIVITY,
    "last_event_at": "timestamptz", "recorded_at": "timestamptz", "version": "int",
    "wake_at": "timestamptz", "accumulator": "bytea",
}  # fmt: skip
_INSERT = insert("funnel.deals", _COLUMNS)
_FRESH = _INSERT + " ON CONFLICT DO NOTHING RETURNING 1"
_REPLACE = _INSERT + replace(_COLUMNS, _KEY)
_FROM_KEYS = """FROM unnest($1::text[], $2::int[], $3::text[]) AS k(tenant_id, generation, deal_id)
    JOIN funnel.deals d USING (tenant_id, generation, deal_id)"""
LOCK = f"""SELECT d.tenant_id, d.deal_id, d.version, d.wake_at, d.accumulator {_FROM_KEYS}
    ORDER BY d.tenant_id, d.deal_id FOR UPDATE OF d"""  # a constant of this module
_STATES = f"""SELECT d.* {_FROM_KEYS} WHERE d.status IS NOT NULL"""  # likewise

RowKey = tuple[str, int, str]
"""`(tenant_id, generation, deal_id)`."""


async def lock_deals(conn: Any, deals: Collection[RowKey]) -> dict[DealKey, StoredDeal]:
    rows = await conn.fetch(LOCK, *transposed(sorted(deals), 3))
    return {(row[0], row[1]): StoredDeal(*tuple(row)[2:]) for row in rows}


async def states_of(conn: Any, deals: Collection[RowKey]) -> dict[DealKey, DealState]:
    rows = await conn.fetch(_STATES, *transposed(sorted(deals), 3))
    return {(row["tenant_id"], row["deal_id"]): state_of(row) for row in rows}


async def write_deals(conn: Any, writes: Sequence[DealWrite]) -> None:
    """Write rows in key order. A fresh row that another writer made first starts us again."""
    ordered = sorted(writes, key=lambda w: (w.tenant_id, w.generation, w.deal_id))
    fresh = [_row(write) for write in ordered if write.fresh]
    known = [_row(write) for write in ordered if not write.fresh]
    if fresh:
        made = await conn.fetch(_FRESH, *transposed(fresh, len(_COLUMNS)))
        if len(made) < len(fresh):
            raise asyncpg.SerializationError("another writer made one of these deals first")
    if known:
        await conn.execute(_REPLACE, *transposed(known, len(_COLUMNS)))


def _row(write: DealWrite) -> tuple[Any, ...]:
    accumulator = write.accumulator.dump() if write.accumulator else None
    key = (write.tenant_id, write.generation, write.deal_id)
    return (*key, *state_row(write.state), write.version, write.wake_at, accumulator)
