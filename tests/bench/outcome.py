"""What a contestant left behind, to compare: everybody has to end with the same deals."""

from typing import Any, NamedTuple

import asyncpg

from tests.bench.stream import TENANT


class Outcome(NamedTuple):
    """`stages`: by deal, its status and stage."""

    events: int
    stages: dict[str, tuple[str, str]]


async def funnel(url: str) -> Outcome:
    """As `GET /v1/deals` would show it; also that nothing of the work was left out."""
    conn: Any = await asyncpg.connect(url)
    try:
        outcome = await _read(conn, "funnel")
        rows = await conn.fetchrow(
            """SELECT (SELECT count(*) FROM funnel.outbox), (SELECT count(*) FROM funnel.visits),
                (SELECT count(*) FROM funnel.deal_history), (SELECT sum(version) FROM funnel.deals)
            """
        )
    finally:
        await conn.close()
    published, visits, spans, versions = rows
    if published != versions or min(published, visits, spans) < len(outcome.stages):
        raise AssertionError(f"the funnel left something out: {dict(rows)}")
    return outcome


async def plain(url: str) -> Outcome:
    conn = await asyncpg.connect(url)
    try:
        return await _read(conn, "plain")
    finally:
        await conn.close()


async def copied(url: str) -> int:
    """Events in the table that was copied into."""
    conn = await asyncpg.connect(url)
    try:
        return int(await conn.fetchval("SELECT count(*) FROM limits.events"))
    finally:
        await conn.close()


async def _read(conn: Any, schema: str) -> Outcome:
    events = await conn.fetchval(f"SELECT count(*) FROM {schema}.events")  # noqa: S608  # ours
    rows = await conn.fetch(
        f"SELECT deal_id, status, stage_id FROM {schema}.deals WHERE tenant_id = $1",  # noqa: S608
        TENANT,
    )
    return Outcome(events, {row[0]: (row[1], row[2]) for row in rows})


def assert_same(name: str, outcome: Outcome, funnel: Outcome) -> None:
    """Raises `AssertionError` with the first difference."""
    if outcome == funnel:
        return
    keys = outcome.stages.keys() | funnel.stages.keys()
    different = {k: (outcome.stages.get(k), funnel.stages.get(k)) for k in keys
                 if outcome.stages.get(k) != funnel.stages.get(k)}  # fmt: skip
    first = next(iter(different.items()), None)
    raise AssertionError(
        f"{name} differs from the funnel: {outcome.events} and {funnel.events} events,"
        f" {len(different)} different deals, the first is {first}"
    )
