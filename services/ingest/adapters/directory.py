"""Tenants and API keys in SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db import audit
from libs.common.db.database import Database
from services.ingest.app.directory import IdTaken, KeyInfo, NewKeyRow, Tenant

_TENANT = """tenant_id, name, timezone, currency, fiscal_year_start_month, week_start, sandbox,
    created_at"""
_KEY = "key_id, name, scopes, created_at, expires_at, revoked_at, last_used_at, replaces"
_INSERT_TENANT = text(f"""
    INSERT INTO ingest.tenants ({_TENANT})
    VALUES (:tenant_id, :name, :timezone, :currency, :fiscal_year_start_month, :week_start,
        :sandbox, :created_at)
    ON CONFLICT DO NOTHING
""")  # noqa: S608  constants only
_INSERT_KEY = text("""
    INSERT INTO ingest.api_keys
        (tenant_id, key_id, key_hash, name, scopes, created_at, expires_at, replaces)
    VALUES (:tenant_id, :key_id, :key_hash, :name, CAST(:scopes AS text[]), :created_at,
        :expires_at, :replaces)
""")
_LIST_TENANTS = text(f"""
    SELECT {_TENANT} FROM ingest.tenants WHERE tenant_id > :after ORDER BY tenant_id LIMIT :limit
""")  # noqa: S608
_GET_TENANT = text(f"SELECT {_TENANT} FROM ingest.tenants WHERE tenant_id = :tenant_id")  # noqa: S608
_LIST_KEYS = text(f"""
    SELECT {_KEY} FROM ingest.api_keys
    WHERE tenant_id = :tenant_id AND key_id > :after ORDER BY key_id LIMIT :limit
""")  # noqa: S608
_LOCK_KEY = text(f"""
    SELECT {_KEY} FROM ingest.api_keys WHERE tenant_id = :tenant_id AND key_id = :key_id FOR UPDATE
""")  # noqa: S608
_REVOKE = text("""
    UPDATE ingest.api_keys SET revoked_at = :at
    WHERE tenant_id = :tenant_id AND key_id = :key_id AND revoked_at IS NULL
""")


class Directory:
    """`operators` is a pool of the worker role, `tenants` one of the API role."""

    def __init__(self, operators: Database, tenants: Database, clock: Clock) -> None:
        self._operators, self._tenants, self._clock = operators, tenants, clock

    async def create_tenant(self, tenant: Tenant, admin: NewKeyRow, actor: str) -> None:
        """A tenant and its first key, or `IdTaken`."""
        async with self._operators.across_tenants() as tx:
            inserted = await tx.execute(_INSERT_TENANT, asdict(tenant))
            if inserted.rowcount != 1:
                raise IdTaken(tenant.tenant_id)
            await audit.record(
                tx,
                "ingest",
                self._clock,
                tenant.tenant_id,
                actor,
                "tenant.created",
                tenant.tenant_id,
                after=asdict(tenant),
            )
            await insert_key(tx, self._clock, admin, actor)

    async def list_tenants(self, after: str, limit: int) -> Sequence[Tenant]:
        async with self._operators.across_tenants() as tx:
            rows = await tx.execute(_LIST_TENANTS, {"after": after, "limit": limit})
            return [Tenant(**row) for row in rows.mappings()]

    async def tenant(self, tenant_id: str) -> Tenant | None:
        async with self._tenants.for_tenant(tenant_id) as tx:
            row = (await tx.execute(_GET_TENANT, {"tenant_id": tenant_id})).mappings().first()
        return None if row is None else Tenant(**row)

    async def create_key(self, key: NewKeyRow, actor: str) -> None:
        async with self._tenants.for_tenant(key.tenant_id) as tx:
            await insert_key(tx, self._clock, key, actor)

    async def list_keys(self, tenant_id: str, after: str, limit: int) -> Sequence[KeyInfo]:
        values = {"tenant_id": tenant_id, "after": after, "limit": limit}
        async with self._tenants.for_tenant(tenant_id) as tx:
            return [_key(row) for row in (await tx.execute(_LIST_KEYS, values)).mappings()]

    async def revoke_key(self, tenant_id: str, key_id: str, actor: str) -> bool:
        """Whether there is such a key; revoking twice keeps the first time."""
        values = {"tenant_id": tenant_id, "key_id": key_id}
        async with self._tenants.for_tenant(tenant_id) as tx:
            key = await locked_key(tx, tenant_id, key_id)
            if key is None:
                return False
            at = self._clock.now()
            revoked = await tx.execute(_REVOKE, values | {"at": at})
            if revoked.rowcount:
                await self._audit_revocation(tx, tenant_id, actor, key, at)
        return True

    async def _audit_revocation(
        self, tx: AsyncConnection, tenant_id: str, actor: str, key: KeyInfo, at: datetime
    ) -> None:
        before = asdict(key)
        await audit.record(
            tx,
            "ingest",
            self._clock,
            tenant_id,
            actor,
            "api_key.revoked",
            key.key_id,
            before=before,
            after=before | {"revoked_at": at},
        )


async def locked_key(tx: AsyncConnection, tenant_id: str, key_id: str) -> KeyInfo | None:
    """The key, which nobody else changes before the transaction ends."""
    values = {"tenant_id": tenant_id, "key_id": key_id}
    row = (await tx.execute(_LOCK_KEY, values)).mappings().first()
    return None if row is None else _key(row)


async def insert_key(tx: AsyncConnection, clock: Clock, key: NewKeyRow, actor: str) -> None:
    """Store a key and say so in the audit trail."""
    info = key.info
    values: dict[str, Any] = {
        "tenant_id": key.tenant_id,
        "key_id": info.key_id,
        "key_hash": key.key_hash,
        "name": info.name,
        "scopes": list(info.scopes),
        "created_at": info.created_at,
        "expires_at": info.expires_at,
        "replaces": info.replaces,
    }
    await tx.execute(_INSERT_KEY, values)
    await audit.record(
        tx,
        "ingest",
        clock,
        key.tenant_id,
        actor,
        "api_key.created",
        info.key_id,
        after=asdict(info),
    )


def _key(row: RowMapping) -> KeyInfo:
    values = dict(row)
    return KeyInfo(**(values | {"scopes": tuple(values["scopes"])}))
