"""What a process allows a credential, and whoever has none."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fastapi import Request

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.quotas import Policy, Windows
from libs.common.settings import BODY_BYTES, CommonSettings
from libs.common.web.bodies import Bodies
from libs.common.web.errors import Unauthorized
from libs.common.web.failed_credentials import FailedCredentials
from libs.common.web.quota_headers import OverLimit, tell

_DETAIL = "this credential has sent as many requests as it may in a minute"


class Proven(Protocol):
    """Who asks, once that is proven."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def actor(self) -> str: ...


P = TypeVar("P", bound=Proven)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one process; each but that of bodies may be off (0)."""

    clock: Clock
    failures: FailedCredentials
    policy: Policy
    windows: Windows
    bodies: Bodies

    async def proven(
        self, request: Request, authenticate: Callable[[str | None], Awaitable[P]]
    ) -> P:
        """The principal, if it may ask now. Raises `Unauthorized`, or `OverLimit` (429)."""
        given = request.headers.get("authorization")
        if given is None:
            return await authenticate(given)
        self.failures.refuse_guessing(request, given)
        try:
            principal = await authenticate(given)
        except Unauthorized:
            self.failures.failed(request, given)
            raise
        self.failures.proven(given)
        self._count(request, principal)
        return principal

    def _count(self, request: Request, principal: Proven) -> None:
        """One request of the credential, whether it answers at once or streams for minutes."""
        if not self.policy.quota:
            return
        key = (principal.tenant_id, principal.actor)
        standing = self.windows.take(self.policy, key, self.clock.monotonic())
        if not standing.allowed:
            metrics.LIMITED.labels("requests", "refused").inc()
            raise OverLimit(_DETAIL, standing, code="rate_limited")
        tell(request.scope, standing)


def limits_of(settings: CommonSettings, clock: Clock) -> Limits:
    """As the process's settings say."""
    bodies = Bodies(settings.body_bytes)
    return _limits(clock, settings.rate_requests, settings.rate_failures, bodies)


def no_limits(clock: Clock) -> Limits:
    """For an application whose creator wants none, but that bodies are not without end."""
    return _limits(clock, 0, 0, Bodies(BODY_BYTES))


def _limits(clock: Clock, requests: int, failures: int, bodies: Bodies) -> Limits:
    metrics.show_limits("requests", "failed_address", "failed_key_id", "bodies")
    policy = Policy("requests", requests)
    return Limits(clock, FailedCredentials(clock, failures), policy, Windows(), bodies)
