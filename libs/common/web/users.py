"""Users: tokens of the trusted issuer, for tenants that there are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import get_args

from sqlalchemy import text

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.oidc.issuer import Issuer
from libs.common.oidc.tokens import Tokens
from libs.common.oidc.trusted import BadToken, IssuerAway, Reason, Trusted, User
from libs.common.web.errors import Unauthorized, Unavailable
from libs.common.web.principal import SCOPES, Principal
from libs.common.web.remembered import Remembered

_TENANT = text("SELECT true FROM ingest_api.tenants_v1 WHERE tenant_id = :tenant_id")


class Users:
    """Verifies tokens. None makes an operator: scopes are a tenant's, and it has to exist."""

    def __init__(self, database: Database, clock: Clock, trusted: Trusted) -> None:
        self._database = database
        self._issuer = Issuer(trusted, clock)
        self._tokens = Tokens(trusted, self._issuer, clock)
        self._tenants = Remembered[bool](clock)
        metrics.show_oidc(get_args(Reason))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._issuer.kept_fresh():
            yield

    async def verified(self, token: str, fresh: timedelta) -> Principal:
        """The principal of a token; every bad one looks the same to who sends it."""
        user = await self._user(token)
        try:
            await self._tenants.get(user.tenant_id.encode(), lambda: self._exists(user), fresh)
        except Unauthorized:
            _refused("tenant")
            raise
        return Principal(user.tenant_id, f"user:{user.subject}", user.scopes & SCOPES)

    async def _user(self, token: str) -> User:
        try:
            return await self._tokens.user(token)
        except BadToken as bad:
            _refused(bad.reason)
            raise Unauthorized from None
        except IssuerAway:
            detail = "the issuer of tokens does not answer; try again"
            raise Unavailable(detail, retry_after=5, code="issuer_unavailable") from None

    async def _exists(self, user: User) -> bool | None:
        async with self._database.for_tenant(user.tenant_id) as tx:
            found: bool | None = await tx.scalar(_TENANT, {"tenant_id": user.tenant_id})
        return found


def _refused(reason: Reason) -> None:
    metrics.TOKENS_REFUSED.labels(reason).inc()
