"""`ingest.mappings` and its versions, in SQL. Each call runs in its tenant's transaction."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db import audit
from services.ingest.domain.mapping.versions import StoredMapping

_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended('ingest.mappings ' || :tenant_id, 0))")
_COLUMNS = "tenant_id, mapping_id, version, definition, deleted, published_at, published_by"
_VALUES = """:tenant_id, :mapping_id, :version, CAST(:definition AS json), :deleted, :published_at,
    :published_by"""
_ONE = text(f"""
    SELECT {_COLUMNS} FROM ingest.mappings
    WHERE tenant_id = :tenant_id AND mapping_id = :mapping_id
""")  # noqa: S608  constants only
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM ingest.mappings
    WHERE tenant_id = :tenant_id AND mapping_id > :after AND NOT deleted
    ORDER BY mapping_id LIMIT :limit
""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM ingest.mappings WHERE tenant_id = :tenant_id AND NOT deleted")
_PUT = text(f"""
    INSERT INTO ingest.mappings ({_COLUMNS}) VALUES ({_VALUES})
    ON CONFLICT (tenant_id, mapping_id) DO UPDATE SET version = excluded.version,
        definition = excluded.definition, deleted = excluded.deleted,
        published_at = excluded.published_at, published_by = excluded.published_by
""")  # noqa: S608
_KEEP = text(f"INSERT INTO ingest.mapping_versions ({_COLUMNS}) VALUES ({_VALUES})")  # noqa: S608
_VERSIONS = text(f"""
    SELECT {_COLUMNS} FROM ingest.mapping_versions
    WHERE tenant_id = :tenant_id AND mapping_id = :mapping_id AND version < :before
    ORDER BY version DESC LIMIT :limit
""")  # noqa: S608
_USERS = text("""
    SELECT connection_id FROM ingest.connections
    WHERE tenant_id = :tenant_id AND NOT deleted AND definition ->> 'mapping_id' = :mapping_id
    ORDER BY connection_id LIMIT 10
""")


async def hold(tx: AsyncConnection, tenant_id: str) -> None:
    """One writer of a tenant's mappings at a time."""
    await tx.execute(_HOLD, {"tenant_id": tenant_id})


async def one(tx: AsyncConnection, tenant_id: str, mapping_id: str) -> StoredMapping | None:
    """The latest version, also of a deleted mapping."""
    key = {"tenant_id": tenant_id, "mapping_id": mapping_id}
    row = (await tx.execute(_ONE, key)).mappings().first()
    return _stored(row) if row else None


async def page(
    tx: AsyncConnection, tenant_id: str, after: str, limit: int
) -> Sequence[StoredMapping]:
    """Those that are not deleted, by id."""
    values = {"tenant_id": tenant_id, "after": after, "limit": limit}
    return [_stored(row) for row in (await tx.execute(_PAGE, values)).mappings()]


async def count(tx: AsyncConnection, tenant_id: str) -> int:
    return int((await tx.execute(_COUNT, {"tenant_id": tenant_id})).scalar_one())


async def versions(
    tx: AsyncConnection, tenant_id: str, mapping_id: str, before: int, limit: int
) -> Sequence[StoredMapping]:
    """Newest first."""
    values = {"tenant_id": tenant_id, "mapping_id": mapping_id, "before": before, "limit": limit}
    return [_stored(row) for row in (await tx.execute(_VERSIONS, values)).mappings()]


async def users(tx: AsyncConnection, tenant_id: str, mapping_id: str) -> Sequence[str]:
    """The first connections that are translated by it."""
    values = {"tenant_id": tenant_id, "mapping_id": mapping_id}
    return list((await tx.execute(_USERS, values)).scalars())


async def publish(
    tx: AsyncConnection, clock: Clock, held: StoredMapping | None, new: StoredMapping
) -> None:
    """Write a version and say so in the audit trail."""
    values: dict[str, Any] = asdict(new)
    values["definition"] = orjson.dumps(new.definition).decode()
    await tx.execute(_PUT, values)
    await tx.execute(_KEEP, values)
    before = None if held is None or held.deleted else dict(held.definition)
    await audit.record(
        tx, "ingest", clock, new.tenant_id, new.published_by,
        "mapping.deleted" if new.deleted else "mapping.published",
        f"mapping {new.mapping_id} version {new.version}",
        before=before, after=None if new.deleted else dict(new.definition),
    )  # fmt: skip


def _stored(row: RowMapping) -> StoredMapping:
    return StoredMapping(**dict(row) | {"definition": orjson.loads(row["definition"])})
