"""Answers of commands by the client's key, so that a command sent again has no second effect.

A row is written in the transaction of the effect that it tells of: both are there or neither. An
advisory lock, held to the end of that transaction, keeps a second sending out until then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import Database, driver

SCHEMAS = ("ingest", "funnel", "alerts")
KEPT = timedelta(hours=24)
"""How long a key stands for one request."""
CHUNK = 1_000
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = """SELECT request_hash, status, body FROM {schema}.idempotency
    WHERE tenant_id = $1 AND idempotency_key = $2 AND created_at > $3"""
_KEEP = """INSERT INTO {schema}.idempotency
        (tenant_id, idempotency_key, request_hash, status, body, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant_id, idempotency_key) DO UPDATE
    SET request_hash = EXCLUDED.request_hash, status = EXCLUDED.status, body = EXCLUDED.body,
        created_at = EXCLUDED.created_at"""
_FORGET = """DELETE FROM {schema}.idempotency WHERE (tenant_id, idempotency_key) IN (
        SELECT tenant_id, idempotency_key FROM {schema}.idempotency
        WHERE created_at <= $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING 1"""


class InProgress(Exception):
    """The same key is at work in another transaction."""


class KeyReused(Exception):
    """The key stands for another request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client was told."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One client's key in one service's schema; `request_hash` tells requests apart."""

    schema: str
    tenant_id: str
    key: str
    request_hash: bytes

    def __post_init__(self) -> None:
        _sql("", self.schema)

    async def begin(self, tx: AsyncConnection, now: datetime) -> Answer | None:
        """Hold the key until the transaction ends; the answer given already, `None` if none is.

        Raises `InProgress` and `KeyReused`.
        """
        conn = await driver(tx)
        if not await conn.fetchval(_LOCK, f"{self.schema}.idempotency {self.tenant_id} {self.key}"):
            raise InProgress
        find = _sql(_FIND, self.schema)
        row = await conn.fetchrow(find, self.tenant_id, self.key, now - KEPT)
        if row is None:
            return None
        if row["request_hash"] != self.request_hash:
            raise KeyReused
        return Answer(row["status"], row["body"])

    async def end(self, tx: AsyncConnection, answer: Answer, now: datetime) -> None:
        """Keep the answer beside its effect; the place of an expired one is taken."""
        values = (self.tenant_id, self.key, self.request_hash, answer.status, answer.body, now)
        await (await driver(tx)).execute(_sql(_KEEP, self.schema), *values)

    @staticmethod
    async def forget(database: Database, schema: str, now: datetime) -> bool:
        """Throw expired answers away, as a worker; whether there may be more of them."""
        async with database.across_tenants() as tx:
            gone = await (await driver(tx)).fetch(_sql(_FORGET, schema), now - KEPT, CHUNK)
        return len(gone) == CHUNK


def _sql(template: str, schema: str) -> str:
    if schema not in SCHEMAS:
        raise ValueError(f"no idempotency keys in schema {schema!r}")
    return template.format(schema=schema)
