"""The outbox: records written with the rows that they tell of, published afterwards, in id order.

Ids are drawn before commits, so a smaller one may become visible later: the relay asks for rows
by state (`published_at IS NULL`), never for ids beyond the last one seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.bulk import transposed
from libs.common.db.database import driver
from libs.common.eventlog.port import Headers, NewRecord

SCHEMAS = ("funnel", "alerts")
KEEP_DAYS = 3
"""Days for which published rows stay, for looking into what was sent."""
AHEAD_DAYS = 7
"""Days for which partitions are made in advance; later rows go to the default partition."""
_UNFIT = str.maketrans("", "", "\0\x1f")
"""What a header's name loses: PostgreSQL has no NUL in texts, and U+001F separates names here."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record to publish; `partition` only where the key must not choose it."""

    tenant_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """An unpublished row, as the relay appends it."""

    day: date
    id: int
    created_at: datetime
    topic: str
    record: NewRecord


HEADERS = """string_to_array(names, chr(31)),
        ARRAY(SELECT v::bytea FROM unnest(string_to_array(contents, ',')) AS v)"""
"""The headers of a row as `columns` gives them, as they are stored."""
_PUT = f"""INSERT INTO {{schema}}.outbox
        (tenant_id, topic, partition, record_key, value, header_names, header_values)
    SELECT tenant_id, topic, partition, record_key, value, {HEADERS}
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bytea[], $6::text[],
        $7::text[]) AS t(tenant_id, topic, partition, record_key, value, names, contents)"""  # noqa: S608
CLAIM_BYTES = 4 * 1024 * 1024
"""What one append carries. The log has seconds for it: what takes longer is appended again and
again, and the outbox stands still."""
_CLAIM = """SELECT day, id, created_at, topic, partition, record_key, value,
        header_names, header_values
    FROM (SELECT *, sum(octet_length(value)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS upto
        FROM (SELECT day, id, created_at, topic, partition, record_key, value, header_names,
                header_values
            FROM {schema}.outbox WHERE published_at IS NULL ORDER BY id LIMIT $1) o) o
    WHERE coalesce(upto, 0) - coalesce(octet_length(value), 0) < $2 ORDER BY id"""
_MARK = """UPDATE {schema}.outbox o SET published_at = now()
    FROM unnest($1::date[], $2::bigint[]) AS k(day, id)
    WHERE o.day = k.day AND o.id = k.id AND o.published_at IS NULL"""
_NEWEST = "SELECT max(id) FROM {schema}.outbox WHERE published_at IS NULL"
_UP_TO = """SELECT EXISTS (SELECT FROM {schema}.outbox WHERE published_at IS NULL AND id <= $1)"""
_KEEP = "SELECT {schema}.keep_outbox($1, $2)"
_OLDEST = """SELECT created_at FROM {schema}.outbox WHERE published_at IS NULL
    ORDER BY id LIMIT 1"""


def _sql(template: str, schema: str) -> str:
    if schema not in SCHEMAS:
        raise ValueError(f"no outbox in schema {schema!r}")
    return template.format(schema=schema)


async def put(tx: AsyncConnection, schema: str, rows: Sequence[OutboxRow]) -> None:
    """Write rows; their ids follow their order."""
    if not rows:
        return
    conn = await driver(tx)
    await conn.execute(_sql(_PUT, schema), *columns(rows))


def columns(rows: Sequence[OutboxRow]) -> list[list[Any]]:
    """Tenants, topics, partitions, keys, values, and headers: their names, their contents."""
    return transposed([_columns(row) for row in rows], 7)


def _columns(row: OutboxRow) -> tuple[Any, ...]:
    """Headers travel as two texts: arrays of arrays would have to be of one length."""
    names = "\x1f".join(name.translate(_UNFIT) for name, _ in row.headers)
    contents = ",".join(rf"\x{content.hex()}" for _, content in row.headers)
    return (row.tenant_id, row.topic, row.partition, row.key, row.value, names, contents)


async def claim(
    tx: AsyncConnection, schema: str, limit: int, limit_bytes: int = CLAIM_BYTES
) -> Sequence[Pending]:
    """The oldest unpublished rows, in id order: no more once their values exceed so many bytes."""
    rows = await (await driver(tx)).fetch(_sql(_CLAIM, schema), limit, limit_bytes)
    return [_pending(row) for row in rows]


def _pending(row: Any) -> Pending:
    day, id_, created_at, topic, partition, key, value, names, contents = row
    headers = tuple(zip(names, contents, strict=True))
    return Pending(day, id_, created_at, topic, NewRecord(key, value, headers, partition))


async def mark_published(tx: AsyncConnection, schema: str, rows: Sequence[Pending]) -> None:
    conn = await driver(tx)
    await conn.execute(_sql(_MARK, schema), [row.day for row in rows], [row.id for row in rows])


async def newest_pending(tx: AsyncConnection, schema: str) -> int | None:
    """The greatest id that is visible and not published; `None` if all are."""
    found: int | None = await (await driver(tx)).fetchval(_sql(_NEWEST, schema))
    return found


async def pending_up_to(tx: AsyncConnection, schema: str, id_: int) -> bool:
    """Whether anything up to an id still waits."""
    found: bool = await (await driver(tx)).fetchval(_sql(_UP_TO, schema), id_)
    return found


async def oldest_pending_at(tx: AsyncConnection, schema: str) -> datetime | None:
    """When the oldest waiting row was written."""
    found: datetime | None = await (await driver(tx)).fetchval(_sql(_OLDEST, schema))
    return found


async def keep_partitions(tx: AsyncConnection, schema: str) -> Sequence[str]:
    """Make the partitions of days to come, drop those of published days; what was changed.

    The function belongs to the owner of the tables: the roles of processes cannot alter any.
    """
    rows = await (await driver(tx)).fetch(_sql(_KEEP, schema), AHEAD_DAYS, KEEP_DAYS)
    return [row[0] for row in rows]
