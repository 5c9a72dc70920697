"""Who asks: API keys `hw_<id>_<secret>`, kept as keyed hashes, with scopes."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import RowMapping, text

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable, is_transient
from libs.common.ids import secret
from libs.common.web.errors import Forbidden, Unauthorized, Unavailable

SCOPES = frozenset(
    {
        "events:write", "deals:read", "metrics:read", "rules:read", "rules:write", "alerts:read",
        "alerts:write", "goals:write", "config:write", "admin",
    }
)  # fmt: skip
"""What a tenant's key may be allowed; `admin` implies all of them."""
OPERATOR = "operator"
OPERATOR_TENANT = "_operator"
"""The reserved tenant id that operator keys are kept under."""

FRESH = timedelta(seconds=30)
STALE = timedelta(hours=24)
"""While the database is down, a credential that was good stays good this long."""
LOOKUP_SECONDS = 1.0
"""An answer that takes longer is none: what follows has to fit into a request's 4 s too."""
AWAY = timedelta(seconds=2)
"""After such a silence nobody else waits for one."""
_KEY = re.compile(r"hw_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{20,100})", re.ASCII)
_LOOKUP = text(
    """SELECT key_hash, tenant_id, scopes, expires_at, revoked_at
    FROM ingest_api.key_lookup_v1 WHERE key_id = :key_id"""
)
_CACHE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what for. An operator's principal has no tenant of its own."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        return OPERATOR in self.scopes

    def may(self, scope: str) -> bool:
        """Whether the credential covers `scope`; `operator` and tenants' scopes never mix."""
        if scope == OPERATOR or self.is_operator:
            return scope == OPERATOR and self.is_operator
        return scope in self.scopes or "admin" in self.scopes


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
class _Verified:
    principal: Principal
    expires_at: datetime | None
    at: datetime


class Authenticator:
    """Verifies credentials against `ingest_api.key_lookup_v1`, and remembers the good ones."""

    def __init__(self, database: Database, pepper: bytes, clock: Clock) -> None:
        self._database, self._pepper, self._clock = database, pepper, clock
        self._verified: dict[bytes, _Verified] = {}
        self._silent_at: datetime | None = None

    async def authenticate(self, authorization: str | None, fresh: timedelta = FRESH) -> Principal:
        """The principal of an `Authorization` header; every bad credential looks the same.

        A look at the database that is younger than `fresh` is good enough.
        """
        scheme, _, plain = (authorization or "").partition(" ")
        match = _KEY.fullmatch(plain.strip())
        if scheme.lower() != "bearer" or match is None:
            raise Unauthorized
        key_hash = hash_of(match[0], self._pepper)
        cached, now = self._verified.get(key_hash), self._clock.now()
        if cached is None or now - cached.at >= fresh:
            cached = await self._renewed(match[1], key_hash, cached, now)
        if cached.expires_at is not None and cached.expires_at <= now:
            raise Unauthorized
        return cached.principal

    async def _renewed(
        self, key_id: str, key_hash: bytes, cached: _Verified | None, now: datetime
    ) -> _Verified:
        try:
            row = await self._answered(key_id, now)
        except Exception as error:
            if not is_transient(error):
                raise
            if cached is not None and now - cached.at < STALE:
                return cached
            detail = "credentials cannot be checked now; try again"
            raise Unavailable(detail, retry_after=2, code="database_unavailable") from error
        return self._judged(key_id, key_hash, row, now)

    async def _answered(self, key_id: str, now: datetime) -> RowMapping | None:
        if self._silent_at is not None and now - self._silent_at < AWAY:
            raise DatabaseUnavailable("PostgreSQL did not answer a moment ago")
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                row = await self._row(key_id)
        except TimeoutError:
            self._silent_at = self._clock.now()
            raise
        self._silent_at = None
        return row

    async def _row(self, key_id: str) -> RowMapping | None:
        async with self._database.across_tenants() as tx:
            return (await tx.execute(_LOOKUP, {"key_id": key_id})).mappings().first()

    def _judged(
        self, key_id: str, key_hash: bytes, row: RowMapping | None, now: datetime
    ) -> _Verified:
        stored = bytes(row["key_hash"]) if row else b"\0" * 32
        same = hmac.compare_digest(stored, key_hash)
        if row is None or not same or row["revoked_at"] is not None:
            self._verified.pop(key_hash, None)
            raise Unauthorized
        principal = Principal(str(row["tenant_id"]), key_id, frozenset(row["scopes"]))
        if len(self._verified) >= _CACHE_LIMIT:
            self._verified.pop(next(iter(self._verified)))
        verified = _Verified(principal, row["expires_at"], now)
        self._verified[key_hash] = verified
        return verified


_bearer = HTTPBearer(auto_error=False, scheme_name="API key", description="`hw_<id>_<secret>`")
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def principal_of(request: Request, _: _Bearer) -> Principal:
    """The verified principal of a request."""
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.authenticate(request.headers.get("authorization"))
    request.state.tenant_id = principal.tenant_id
    return principal


def require(scope: str) -> Callable[..., Principal]:
    """A dependency: the principal, if its credential covers `scope` (else 401 or 403)."""

    def allowed(principal: Annotated[Principal, Depends(principal_of)]) -> Principal:
        if not principal.may(scope):
            raise Forbidden(f"this key lacks the scope {scope}", code="scope_missing")
        return principal

    return allowed


def require_operator() -> Callable[..., Principal]:
    """A dependency for calls over all tenants."""
    return require(OPERATOR)
