"""How many streams a process keeps open, in all and for one tenant."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from libs.common import metrics


class TenantIsFull(Exception):
    """The tenant has as many streams here as one may have."""


class ProcessIsFull(Exception):
    """This process has as many streams as it may have."""


class Limits:
    """Counts open streams."""

    def __init__(self, in_all: int, per_tenant: int) -> None:
        self._in_all, self.per_tenant = in_all, per_tenant
        self._open: Counter[str] = Counter()
        metrics.STREAM_OPEN.set(0)

    @contextmanager
    def admitted(self, tenant_id: str) -> Iterator[None]:
        """One more stream, inside; raises `TenantIsFull` or `ProcessIsFull`."""
        if self._open[tenant_id] >= self.per_tenant:
            raise TenantIsFull
        if self._open.total() >= self._in_all:
            raise ProcessIsFull
        self._count(tenant_id, 1)
        try:
            yield
        finally:
            self._count(tenant_id, -1)

    def _count(self, tenant_id: str, by: int) -> None:
        self._open[tenant_id] += by
        if not self._open[tenant_id]:
            del self._open[tenant_id]
        metrics.STREAM_OPEN.set(self._open.total())
