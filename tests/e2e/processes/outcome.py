"""What a funnel has made of the log: its rows, its records, its numbers; and what must hold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from libs.common.contracts.topics import CRM_EVENTS, DEALS, dlq
from libs.common.ids import uuid5
from tests.e2e.processes import topics
from tests.e2e.processes.stream import Event
from tests.e2e.processes.topics import Ends, Kept
from tests.integration.funnel.write_rig import rigged

Rows = Mapping[str, list[Any]]
_SETTLED = """SELECT
    NOT EXISTS (SELECT FROM funnel.outbox WHERE published_at IS NULL AND tenant_id <> '_all')
    AND NOT EXISTS (SELECT FROM funnel.refold_queue)"""


@dataclass(frozen=True)
class Since:
    """Where the topics of a run's output ended before it."""

    deals: Ends
    dead: Ends


async def now(server: str) -> Since:
    return Since(await topics.ends(server, DEALS), await topics.ends(server, dlq(CRM_EVENTS)))


async def settled(server: str, database_url: str) -> bool:
    """Whether everything in the log is folded and everything that follows is published."""
    ends = {place.partition: end for place, end in (await topics.ends(server, CRM_EVENTS)).items()}
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT partition, next_offset FROM funnel.positions WHERE topic = $1", CRM_EVENTS
        )
        held = {row[0]: row[1] for row in rows}
        return held == ends and bool(await connection.fetchval(_SETTLED))
    finally:
        await connection.close()


async def folded_to(database_url: str, ends: Ends) -> bool:
    """Whether everything before these ends of the log is folded; more may have come since."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT partition, next_offset FROM funnel.positions WHERE topic = $1", CRM_EVENTS
        )
    finally:
        await connection.close()
    held = {row[0]: row[1] for row in rows}
    return all(held.get(place.partition, 0) >= end for place, end in ends.items())


async def rows(database_url: str, tenants: Sequence[str]) -> Mapping[str, Rows]:
    """Everything in the funnel's tables that follows from the events, by tenant."""
    async with rigged(database_url) as rig:
        return {tenant: await rig.rows(tenant) for tenant in tenants}


def differences(found: Mapping[str, Rows], wanted: Mapping[str, Rows]) -> list[str]:
    """The first rows that differ, told shortly: a diff of thousands of rows helps nobody."""
    told = []
    for tenant, tables in wanted.items():
        for table, expected in tables.items():
            actual = found[tenant][table]
            assert expected, f"nothing in {table}: the comparison would be of nothing"
            pairs = zip(actual, expected, strict=False)
            unlike = [pair for pair in pairs if pair[0] != pair[1]]
            if len(actual) != len(expected) or unlike:
                counts = f"{len(actual)} rows for {len(expected)}, {len(unlike)} differ"
                told.append(f"{tenant}.{table}: {counts}, first {unlike[:1]}")
    return told


async def dead_letters(server: str, since: Since) -> list[Kept]:
    return await topics.read(server, dlq(CRM_EVENTS), since.dead)


def overtaken(records: Sequence[Kept], sent: Mapping[str, Sequence[Event]]) -> list[str]:
    """Deals whose events first appear in the log in another order than that of the senders, whose
    deliveries are by tenant."""
    in_order = sorted(records, key=lambda record: (record.partition, record.offset))
    kept = _by_deal((r.header("ce_tenantid"), r.data, r.header("ce_id")) for r in in_order)
    wanted = _by_deal((tenant, event["data"], event["id"])
                      for tenant, events in sent.items() for event in events)  # fmt: skip
    assert wanted, "nothing was sent"
    return [f"{deal}: {kept.get(deal)} for {ids}" for deal, ids in wanted.items()
            if kept.get(deal) != ids]  # fmt: skip


def _by_deal(told: Iterable[tuple[str, Any, str]]) -> Mapping[tuple[str, str], list[str]]:
    """Ids of events by (tenant, deal), from (tenant, data, id), each once."""
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for tenant, data, name in told:
        if "deal_id" in data:
            found[tenant, data["deal_id"]][name] = None
    return {deal: list(ids) for deal, ids in found.items()}


def judge(tenant: str, deal: str, records: Sequence[Kept], served: Mapping[str, Any]) -> list[str]:
    """What is wrong with one deal's records: versions 1 to n, repeats to the byte, last as served.

    A repeat may come late (a crash between append and mark), so the order is that of first copies.
    """
    if not records:
        return [f"{deal} is served and has no record"]
    first: dict[str, Kept] = {}
    faults = []
    for record in records:
        held = first.setdefault(record.header("ce_id"), record)
        if record.content != held.content:
            faults.append(f"{deal}: {record.header('ce_id')} was repeated with another content")
    versions = [record.data["version"] for record in first.values()]
    if versions != list(range(1, len(versions) + 1)):
        faults.append(f"{deal}: versions are {versions}")
    wanted = [str(uuid5(tenant, deal, str(version))) for version in versions]
    if list(first) != wanted:
        faults.append(f"{deal}: ids do not follow from the versions")
    state = list(first.values())[-1].data["state"]
    if state != served:
        unlike = [name for name in state.keys() | served.keys()
                  if state.get(name) != served.get(name)]  # fmt: skip
        faults.append(f"{deal}: {unlike} differ between the last record and REST")
    return faults
