"""API keys `hw_<id>_<secret>`: random, shown once, kept as keyed hashes."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, text

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.ids import secret
from libs.common.web.errors import Unauthorized
from libs.common.web.principal import Principal
from libs.common.web.remembered import Remembered

_KEY = re.compile(r"hw_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{20,100})", re.ASCII)
_LOOKUP = text(
    """SELECT key_hash, tenant_id, scopes, expires_at, revoked_at
    FROM ingest_api.key_lookup_v1 WHERE key_id = :key_id"""
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is made: `plain` is shown once, `key_hash` is kept."""

    key_id: str
    plain: str
    key_hash: bytes


def new_key(pepper: bytes) -> NewKey:
    key_id = re.sub(r"[^A-Za-z0-9]", "", secret(24))[:12].ljust(12, "0")
    plain = f"hw_{key_id}_{secret()}"
    return NewKey(key_id, plain, hash_of(plain, pepper))


def hash_of(plain: str, pepper: bytes) -> bytes:
    """What is kept of a key. It is random and long, so a fast keyed hash is enough."""
    return hmac.digest(pepper, plain.encode(), hashlib.sha256)


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """A key that was good when it was looked at."""

    key_id: str
    principal: Principal
    expires_at: datetime | None


class ApiKeys:
    """Verifies keys against `ingest_api.key_lookup_v1`, and remembers the good ones."""

    def __init__(self, database: Database, pepper: bytes, clock: Clock) -> None:
        self._database, self._pepper, self._clock = database, pepper, clock
        self._verified = Remembered[VerifiedKey](clock)

    async def verified(self, plain: str, fresh: timedelta) -> VerifiedKey | None:
        """The key; `None` for what has not the form of one, `Unauthorized` for a bad one."""
        match = _KEY.fullmatch(plain)
        if match is None:
            return None
        key_hash = hash_of(plain, self._pepper)

        async def look() -> VerifiedKey | None:
            return _judged(match[1], key_hash, await self._row(match[1]))

        key = await self._verified.get(key_hash, look, fresh)
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise Unauthorized
        return key

    async def _row(self, key_id: str) -> RowMapping | None:
        async with self._database.across_tenants() as tx:
            return (await tx.execute(_LOOKUP, {"key_id": key_id})).mappings().first()


def _judged(key_id: str, key_hash: bytes, row: RowMapping | None) -> VerifiedKey | None:
    stored = bytes(row["key_hash"]) if row else b"\0" * 32
    same = hmac.compare_digest(stored, key_hash)
    if row is None or not same or row["revoked_at"] is not None:
        return None
    principal = Principal(str(row["tenant_id"]), f"key:{key_id}", frozenset(row["scopes"]))
    return VerifiedKey(key_id, principal, row["expires_at"])
