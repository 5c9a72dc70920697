"""`ingest.connections` and its versions, in SQL. Each call runs in its tenant's transaction."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db import audit
from services.ingest.adapters import connection_secrets
from services.ingest.domain.connections import (
    LATER,
    ConnectionVersion,
    StoredConnection,
    keeps_seen,
)

_HOLD = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('ingest.connections ' || :tenant_id, 0))"
)
_COLUMNS = """tenant_id, connection_id, version, definition, sealed, sealed_at, deleted,
    published_at, published_by, signature_seen"""
_ONE = text(f"""
    SELECT {_COLUMNS} FROM ingest.connections
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")  # noqa: S608  constants only
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM ingest.connections
    WHERE tenant_id = :tenant_id AND connection_id > :after AND NOT deleted
    ORDER BY connection_id LIMIT :limit
""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM ingest.connections WHERE tenant_id = :tenant_id")
_INSERT = text(f"""
    INSERT INTO ingest.connections ({_COLUMNS})
    VALUES (:tenant_id, :connection_id, :version, CAST(:definition AS json),
        CAST(:sealed AS bytea[]), :sealed_at, :deleted, :published_at, :published_by,
        :signature_seen)
    ON CONFLICT DO NOTHING
""")  # noqa: S608
_UPDATE = text("""
    UPDATE ingest.connections SET version = :version, definition = CAST(:definition AS json),
        sealed = CAST(:sealed AS bytea[]), sealed_at = :sealed_at, deleted = :deleted,
        published_at = :published_at, published_by = :published_by,
        signature_seen = CASE WHEN :keeps_seen THEN signature_seen END
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
_VERSION_COLUMNS = """connection_id, version, definition, secrets_changed, deleted, published_at,
    published_by"""
_KEEP = text(f"""
    INSERT INTO ingest.connection_versions (tenant_id, {_VERSION_COLUMNS})
    VALUES (:tenant_id, :connection_id, :version, CAST(:definition AS json), :secrets_changed,
        :deleted, :published_at, :published_by)
""")  # noqa: S608
_VERSIONS = text(f"""
    SELECT {_VERSION_COLUMNS} FROM ingest.connection_versions
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND version < :before
    ORDER BY version DESC LIMIT :limit
""")  # noqa: S608
_FORGET = [
    text(f"DELETE FROM ingest.{table} WHERE tenant_id = :t AND connection_id = :c")  # noqa: S608
    for table in (
        "refreshes",
        "connection_counts",
        "connection_hours",
        "connection_counters",
        "deliveries",
    )
]


class ConnectionIdTaken(Exception):
    """Another tenant has, or had, a connection with this id."""


async def hold(tx: AsyncConnection, tenant_id: str) -> None:
    """One writer of a tenant's connections at a time."""
    await tx.execute(_HOLD, {"tenant_id": tenant_id})


async def one(tx: AsyncConnection, tenant_id: str, connection_id: str) -> StoredConnection | None:
    """The latest version, also of a deleted connection."""
    key = {"tenant_id": tenant_id, "connection_id": connection_id}
    row = (await tx.execute(_ONE, key)).mappings().first()
    return _stored(row) if row else None


async def page(
    tx: AsyncConnection, tenant_id: str, after: str, limit: int
) -> Sequence[StoredConnection]:
    """Those that are not deleted, by id."""
    values = {"tenant_id": tenant_id, "after": after, "limit": limit}
    return [_stored(row) for row in (await tx.execute(_PAGE, values)).mappings()]


async def count(tx: AsyncConnection, tenant_id: str) -> int:
    """How many ids the tenant holds, deleted ones included."""
    return int((await tx.execute(_COUNT, {"tenant_id": tenant_id})).scalar_one())


async def versions(
    tx: AsyncConnection, tenant_id: str, connection_id: str, before: int, limit: int
) -> Sequence[ConnectionVersion]:
    """Newest first."""
    values = {
        "tenant_id": tenant_id, "connection_id": connection_id, "before": before, "limit": limit,
    }  # fmt: skip
    rows = (await tx.execute(_VERSIONS, values)).mappings()
    return [ConnectionVersion(**_decoded(row)) for row in rows]


async def publish(
    tx: AsyncConnection, clock: Clock, held: StoredConnection | None, new: StoredConnection
) -> None:
    """Write a version and say so in the audit trail; raises `ConnectionIdTaken`."""
    values = asdict(new) | {
        "definition": orjson.dumps(new.definition).decode(),
        "sealed": list(new.sealed),
        "secrets_changed": held is None or held.sealed != new.sealed,
        "keeps_seen": held is not None and keeps_seen(held, new),
    }
    written = await tx.execute(_INSERT if held is None else _UPDATE, values)
    if written.rowcount != 1:
        raise ConnectionIdTaken(new.connection_id)
    await tx.execute(_KEEP, values)
    await connection_secrets.follow(tx, held, new)
    if new.deleted:
        for statement in _FORGET:
            await tx.execute(statement, {"t": new.tenant_id, "c": new.connection_id})
    await _audit(tx, clock, held, new, secrets_changed=values["secrets_changed"])


async def _audit(
    tx: AsyncConnection,
    clock: Clock,
    held: StoredConnection | None,
    new: StoredConnection,
    *,
    secrets_changed: bool,
) -> None:
    before = None if held is None or held.deleted else dict(held.definition)
    after = {**new.definition, "secrets_changed": secrets_changed}
    await audit.record(
        tx, "ingest", clock, new.tenant_id, new.published_by,
        "connection.deleted" if new.deleted else "connection.published",
        f"connection {new.connection_id} version {new.version}",
        before=before, after=None if new.deleted else after,
    )  # fmt: skip


def _stored(row: RowMapping) -> StoredConnection:
    values = _decoded(row)
    return StoredConnection(**values | {"sealed": tuple(bytes(one) for one in values["sealed"])})


def _decoded(row: RowMapping) -> dict[str, Any]:
    return dict(row) | {"definition": {**LATER, **orjson.loads(row["definition"])}}
