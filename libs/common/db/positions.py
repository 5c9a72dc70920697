"""Reader positions beside the rows that follow from them, fenced by an epoch.

A claim raises the epoch of a partition; only the holder of the newest one can advance it. So a
process that lost its partition without knowing (a zombie) cannot commit: its transaction fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from libs.common.eventlog.port import Partition, TopicChanged

SCHEMAS = ("ingest", "funnel", "alerts", "reporting")


class Fenced(Exception):
    """Another process has claimed a partition of this batch, or it has been advanced already."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to advance one partition from `next_offset` on, while `epoch` is the newest."""

    partition: Partition
    topic_id: str
    next_offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Step:
    """One partition's part of a batch: up to `next_offset`, last appended at `log_time`."""

    claim: Claim
    next_offset: int
    log_time: datetime


_CLAIM = """INSERT INTO {schema}.positions
        (reader_group, topic_id, partition, topic, next_offset, epoch, owner)
    VALUES ($1, $2, $3, $4, $5, 1, $6)
    ON CONFLICT (reader_group, topic_id, partition) DO UPDATE
    SET epoch = {schema}.positions.epoch + 1, owner = EXCLUDED.owner, updated_at = now()
    RETURNING next_offset, epoch"""
_OTHER = """SELECT topic_id FROM {schema}.positions
    WHERE reader_group = $1 AND topic = $2 AND topic_id <> $3 LIMIT 1"""
_ADVANCE = """UPDATE {schema}.positions p
    SET next_offset = k.next_offset, log_time = k.log_time, updated_at = now()
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::timestamptz[]) AS k(topic_id, partition, epoch, expected, next_offset, log_time)
    WHERE p.reader_group = $1 AND p.topic_id = k.topic_id AND p.partition = k.partition
        AND p.epoch = k.epoch AND p.next_offset = k.expected
    RETURNING 1"""
_IDLE = """UPDATE {schema}.positions p SET idle_at = now()
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
        AS k(topic_id, partition, epoch, expected)
    WHERE p.reader_group = $1 AND p.topic_id = k.topic_id AND p.partition = k.partition
        AND p.epoch = k.epoch AND p.next_offset = k.expected"""
_READ = """SELECT topic, partition, topic_id, next_offset, epoch FROM {schema}.positions
    WHERE reader_group = $1"""


def _sql(template: str, schema: str) -> str:
    if schema not in SCHEMAS:
        raise ValueError(f"no positions in schema {schema!r}")
    return template.format(schema=schema)


async def claim(
    tx: AsyncConnection,
    schema: str,
    group: str,
    partition: Partition,
    topic_id: str,
    *,
    start: int,
    owner: str,
) -> Claim:
    """Take a partition over from whoever had it; a new group begins at `start`.

    Raises `TopicChanged` where the group's positions belong to another topic of this name.
    """
    conn = await driver(tx)
    if await conn.fetchval(_sql(_OTHER, schema), group, partition.topic, topic_id):
        raise TopicChanged(f"{partition.topic} is not the topic that {group} has read so far")
    row = await conn.fetchrow(
        _sql(_CLAIM, schema), group, topic_id, partition.number, partition.topic, start, owner
    )
    return Claim(partition, topic_id, row[0], row[1])


async def advance(tx: AsyncConnection, schema: str, group: str, steps: Sequence[Step]) -> None:
    """Move every partition of a batch; raises `Fenced` if one of them is no longer ours."""
    ordered = sorted(steps, key=lambda step: step.claim.partition)
    columns: list[list[Any]] = [
        [step.claim.topic_id for step in ordered],
        [step.claim.partition.number for step in ordered],
        [step.claim.epoch for step in ordered],
        [step.claim.next_offset for step in ordered],
        [step.next_offset for step in ordered],
        [step.log_time for step in ordered],
    ]
    conn = await driver(tx)
    moved = await conn.fetch(_sql(_ADVANCE, schema), group, *columns)
    if len(moved) < len(ordered):
        raise Fenced(f"{group} no longer holds every partition of the batch")


async def mark_idle(tx: AsyncConnection, schema: str, group: str, claims: Sequence[Claim]) -> None:
    """Say that nothing waits in these partitions, as far as they are still ours."""
    ordered = sorted(claims, key=lambda claim: claim.partition)
    columns: list[list[Any]] = [
        [claim.topic_id for claim in ordered],
        [claim.partition.number for claim in ordered],
        [claim.epoch for claim in ordered],
        [claim.next_offset for claim in ordered],
    ]
    if ordered:
        await (await driver(tx)).execute(_sql(_IDLE, schema), group, *columns)


async def read_all(tx: AsyncConnection, schema: str, group: str) -> Mapping[Partition, Claim]:
    """Where a group stands, by partition, whoever holds it."""
    rows = await (await driver(tx)).fetch(_sql(_READ, schema), group)
    found = (Claim(Partition(r[0], r[1]), r[2], r[3], r[4]) for r in rows)
    return {held.partition: held for held in found}
