"""Who asks, by the `Authorization` header: an API key, or a token of the trusted issuer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.oidc.trusted import Trusted
from libs.common.web.api_keys import ApiKeys, NewKey, hash_of, new_key
from libs.common.web.errors import Forbidden, Unauthorized
from libs.common.web.key_uses import KeyUses
from libs.common.web.limits import Limits
from libs.common.web.principal import OPERATOR, OPERATOR_TENANT, SCOPES, Principal
from libs.common.web.remembered import FRESH
from libs.common.web.users import Users

__all__ = [
    "OPERATOR", "OPERATOR_TENANT", "SCOPES", "Authenticator", "NewKey", "Principal", "hash_of",
    "new_key", "principal_of", "require", "require_operator",
]  # fmt: skip


class Authenticator:
    """Verifies credentials; without a trusted issuer they are API keys only."""

    def __init__(
        self, database: Database, pepper: bytes, clock: Clock, trusted: Trusted | None = None
    ) -> None:
        self._keys = ApiKeys(database, pepper, clock)
        self._users = Users(database, clock, trusted) if trusted else None
        self._uses = KeyUses(database, clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What goes on beside the requests: the issuer's keys, and when ours were used."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._uses.written())
            if self._users is not None:
                await stack.enter_async_context(self._users.running())
            yield

    async def authenticate(self, authorization: str | None, fresh: timedelta = FRESH) -> Principal:
        """The principal of an `Authorization` header; every bad credential looks the same.

        A look at the database that is younger than `fresh` is good enough.
        """
        scheme, _, given = (authorization or "").partition(" ")
        credential = given.strip()
        if scheme.lower() != "bearer":
            raise Unauthorized
        key = await self._keys.verified(credential, fresh)
        if key is not None:
            self._uses.note(key.principal.tenant_id, key.key_id)
            return key.principal
        if self._users is None:
            raise Unauthorized
        return await self._users.verified(credential, fresh)


_FORM = "`hw_<id>_<secret>`, or a token (JWT) of the issuer that the installation trusts"


class Proof(SecurityBase):
    """A dependency: the verified principal of a request that is within its limits, if it covers
    the scope (else 401, 429 or 403). OpenAPI documents it as the scheme of the credential.

    One dependency and not a chain of them: each costs as much as judging an event.
    """

    scheme_name = "API key"
    model = HTTPBearer(description=_FORM)

    def __init__(self, scope: str | None = None) -> None:
        self._scope = scope

    async def __call__(self, request: Request) -> Principal:
        authenticator: Authenticator = request.app.state.authenticator
        limits: Limits = request.app.state.limits
        principal = await limits.proven(request, authenticator.authenticate)
        request.state.tenant_id = principal.tenant_id
        if self._scope is not None and not principal.may(self._scope):
            raise Forbidden(f"this key lacks the scope {self._scope}", code="scope_missing")
        return principal


principal_of = Proof()


def require(scope: str) -> Proof:
    """A dependency: the principal, if its credential covers `scope` (else 401 or 403)."""
    return Proof(scope)


def require_operator() -> Proof:
    """A dependency for calls over all tenants."""
    return require(OPERATOR)
