"""How many events a tenant may bring in a minute through this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.quotas import Policy, Standing, Windows
from services.ingest.settings import QuotaSettings

LIMIT = "events"


class OverQuota(Exception):
    """A tenant would have more than it may: nothing of the delivery is taken."""

    def __init__(self, standing: Standing, events: int) -> None:
        quota, left = standing.policy.quota, standing.remaining
        told = f"of {quota} events a minute {left} are left; nothing of this request was taken"
        super().__init__(f"{told}: send fewer at once" if events > quota else told)
        self.standing = standing


class EventQuotas:
    """Counts judged events of every way in but imports; a tenant's own quota comes first."""

    def __init__(self, settings: QuotaSettings, clock: Clock) -> None:
        self._clock, self._windows = clock, Windows()
        self._common = Policy(LIMIT, settings.quota_events)
        self._own = {tenant: Policy(LIMIT, quota) for tenant, quota in settings.quotas.items()}
        metrics.show_limits(LIMIT, "imports")
        metrics.LIMITED.labels(LIMIT, "taken")

    def standing(self, tenant_id: str, events: int = 0) -> Standing | None:
        """How a tenant stands; `None` without a quota."""
        policy = self._own.get(tenant_id, self._common)
        if not policy.quota:
            return None
        return self._windows.look(policy, tenant_id, self._clock.monotonic(), events)

    def check(self, tenant_id: str) -> None:
        """Raise `OverQuota` where not one more event fits: before a body is read."""
        standing = self.standing(tenant_id, 1)
        if standing is not None and not standing.allowed:
            raise _refused(standing, 1)

    @contextmanager
    def using(self, tenant_id: str, events: int, *, insist: bool = False) -> Iterator[None]:
        """Use as much of the quota, unless what follows fails: it promises nothing then.

        Raises `OverQuota`; with `insist` the use is counted and passes whatever is left.
        """
        standing = self.standing(tenant_id, events)
        if standing is None or not events:
            yield
            return
        if not standing.allowed and not insist:
            raise _refused(standing, events)
        if not standing.allowed:
            metrics.LIMITED.labels(LIMIT, "taken").inc()
        now = self._clock.monotonic()
        used = self._windows.take(standing.policy, tenant_id, now, events, insist=insist)
        try:
            yield
        except BaseException:
            self._windows.give_back(tenant_id, used.until, events)
            raise


def _refused(standing: Standing, events: int) -> OverQuota:
    metrics.LIMITED.labels(LIMIT, "refused").inc()
    return OverQuota(standing, events)
