"""Bytes of bodies that a process holds: bounded in all, whatever the number of connections.

A body is in memory from its first byte until its request is answered, and whoever sends it to a
webhook has proven nothing while it is read. Bytes count as they come: what a length only promises
would keep others out for nothing.
"""

from collections import Counter

from starlette.types import Scope

from libs.common import metrics
from libs.common.web.errors import Unavailable
from libs.common.web.failed_credentials import network_of

KEY = "headway.body"
RETRY_AFTER = 2


class Bodies:
    """At most `limit` bytes; an address holds no more than it leaves free for the others, so alone
    at most half, and whoever comes new finds room."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held, self._by = limit, 0, Counter[str]()

    def of(self, scope: Scope) -> "Holding":
        """The body of one request, which the reader of bodies finds in its scope."""
        holding = Holding(self, scope)
        scope[KEY] = holding
        return holding

    def fits(self, owner: str, size: int) -> bool:
        return self._by[owner] + size <= self.limit - self.held

    def take(self, owner: str, size: int) -> None:
        self._by[owner] += size
        self.held += size
        metrics.HTTP_BODY_BYTES.set(self.held)

    def give(self, owner: str, size: int) -> None:
        self.take(owner, -size)
        if not self._by[owner]:
            del self._by[owner]


class Holding:
    """What one request holds of them."""

    __slots__ = ("_bodies", "_owner", "_scope", "_size")

    def __init__(self, bodies: Bodies, scope: Scope) -> None:
        self._bodies, self._scope, self._size = bodies, scope, 0
        self._owner: str | None = None

    def expect(self, size: int) -> None:
        """Raise `Unavailable` where so many more would not fit now."""
        if not self._bodies.fits(self._whose(), size):
            metrics.LIMITED.labels("bodies", "refused").inc()
            detail = "too many bodies are being read; send again"
            raise Unavailable(detail, code="overloaded", retry_after=RETRY_AFTER)

    def add(self, size: int) -> None:
        """So many have come; raises `Unavailable` where they do not fit."""
        self.expect(size)
        self._bodies.take(self._whose(), size)
        self._size += size

    def release(self) -> None:
        if self._size:
            self._bodies.give(self._whose(), self._size)
            self._size = 0

    def _whose(self) -> str:
        if self._owner is None:
            client = self._scope.get("client")
            self._owner = network_of(client[0] if client else "")
        return self._owner
