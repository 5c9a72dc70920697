"""A key's successor, in one transaction with the old key's end."""

from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db import audit
from libs.common.db.database import Database
from libs.common.web.api_keys import NewKey
from services.ingest.adapters.directory import insert_key, locked_key
from services.ingest.app.directory import CannotRotate, KeyInfo, NewKeyRow

_REPLACED = text("""
    SELECT EXISTS (
        SELECT FROM ingest.api_keys WHERE tenant_id = :tenant_id AND replaces = :key_id)
""")
_END = text("""
    UPDATE ingest.api_keys SET expires_at = :expires_at
    WHERE tenant_id = :tenant_id AND key_id = :key_id
""")


class Rotation:
    """`tenants` is a pool of the API role."""

    def __init__(self, tenants: Database, clock: Clock) -> None:
        self._tenants, self._clock = tenants, clock

    async def rotate(
        self, tenant_id: str, key_id: str, new: NewKey, overlap: timedelta, actor: str
    ) -> tuple[KeyInfo, KeyInfo] | None:
        """The old key and the new one, or `None` without the old; raises `CannotRotate`."""
        async with self._tenants.for_tenant(tenant_id) as tx:
            old = await locked_key(tx, tenant_id, key_id)
            if old is None:
                return None
            now = self._clock.now()
            successor = old.successor(new.key_id, now)
            if await tx.scalar(_REPLACED, {"tenant_id": tenant_id, "key_id": key_id}):
                raise CannotRotate("key_replaced")
            ended = old.ending(now + overlap)
            await self._end(tx, tenant_id, actor, old, ended)
            await insert_key(tx, self._clock, NewKeyRow(tenant_id, successor, new.key_hash), actor)
        return ended, successor

    async def _end(
        self, tx: AsyncConnection, tenant_id: str, actor: str, old: KeyInfo, ended: KeyInfo
    ) -> None:
        values = {"tenant_id": tenant_id, "key_id": old.key_id, "expires_at": ended.expires_at}
        await tx.execute(_END, values)
        await audit.record(
            tx, "ingest", self._clock, tenant_id, actor, "api_key.rotated", old.key_id,
            before=asdict(old), after=asdict(ended),
        )  # fmt: skip
