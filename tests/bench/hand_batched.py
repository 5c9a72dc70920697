"""The hand-batched consumer: 2,000 messages, one transaction, bulk writes over arrays.

As a careful engineer writes it who wants events, deals and plain visits, and nothing else: no two
times, no history, no outbox; positions are Kafka's, so a crash between the two commits repeats.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from libs.common.eventlog.port import EventLog
from tests.bench import plain
from tests.bench.plain import Deal, Event, Visit
from tests.bench.source import Watch, opened

BATCH = 2_000
_Key = tuple[str, str]


def _insert(table: str, columns: dict[str, str]) -> str:
    kinds = ["text" if kind == "json" else kind for kind in columns.values()]
    arrays = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(kinds, 1))
    values = ", ".join(f"{c}::json" if k == "json" else c for c, k in columns.items())
    names = ", ".join(columns)
    return (
        f"INSERT INTO plain.{table} ({names}) "  # noqa: S608  # names are constants
        f"SELECT {values} FROM unnest({arrays}) AS t({names})"
    )


def _replacing(columns: dict[str, str], key: tuple[str, ...]) -> str:
    sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in key)
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


_KEEP = (
    _insert("events", plain.EVENTS)
    + " ON CONFLICT DO NOTHING RETURNING tenant_id, source, event_id"
)
_DEALS = _insert("deals", plain.DEALS) + _replacing(plain.DEALS, ("tenant_id", "deal_id"))
_VISITS = _insert("visits", plain.VISITS) + _replacing(plain.VISITS, ("tenant_id", "deal_id", "n"))
_LOAD = """SELECT d.* FROM unnest($1::text[], $2::text[]) AS k(tenant_id, deal_id)
    JOIN plain.deals d USING (tenant_id, deal_id)"""
_PLANS = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
"""The same care for plans without statistics that the funnel takes."""


async def run(log: EventLog, topic: str, url: str, count: int, group: str) -> float:
    """Seconds for `count` messages of `topic`, from the first fetch to the last commit."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(_PLANS)
        async with opened(log, topic, group, enable_auto_commit=False) as source:
            watch, left = Watch(), count
            while left:
                messages = await source.next(BATCH)
                if messages:
                    await _commit(conn, [plain.decode(message) for message in messages])
                    await source.done()
                left -= len(messages)
            return watch.seconds
    finally:
        await conn.close()


async def _commit(conn: Any, events: Sequence[Event]) -> None:
    async with conn.transaction():
        rows = sorted((event[:8] for event in events), key=lambda row: row[:3])
        kept = {tuple(row) for row in await conn.fetch(_KEEP, *_columns(rows))}
        new = [e for e in events if _take(kept, e)]
        deals, visits = await _load(conn, new), dict[tuple[str, str, int], Visit]()
        for event in new:
            deal = deals.setdefault(_key(event), Deal(event.tenant_id, event.deal_id))
            visits.update((visit[:3], visit) for visit in deal.apply(event))
        if new:
            await conn.execute(_DEALS, *_columns([deals[key].row for key in sorted(deals)]))
        if visits:
            await conn.execute(_VISITS, *_columns([visits[key] for key in sorted(visits)]))


def _take(kept: set[tuple[Any, ...]], event: Event) -> bool:
    """Whether this is the first message of a new event."""
    key = event[:3]
    found = key in kept
    kept.discard(key)
    return found


async def _load(conn: Any, events: Sequence[Event]) -> dict[_Key, Deal]:
    keys = sorted({_key(event) for event in events})
    rows = await conn.fetch(_LOAD, *_columns(keys)) if keys else ()
    return {(row[0], row[1]): Deal(*row) for row in rows}


def _key(event: Event) -> _Key:
    return event.tenant_id, event.deal_id


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
