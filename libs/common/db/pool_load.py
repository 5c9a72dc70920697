"""What a pool tells of its load. Pools of one role in one process add up."""

from contextlib import AbstractContextManager

from libs.common import metrics


class PoolLoad:
    """The load of one pool of `size` connections."""

    def __init__(self, role: str, size: int) -> None:
        self._in_use = metrics.DB_POOL_IN_USE.labels(role)
        self._wait = metrics.DB_POOL_WAIT_SECONDS.labels(role)
        self._sizes, self._size = metrics.DB_POOL_SIZE.labels(role), size
        self._sizes.inc(size)

    def waiting(self) -> AbstractContextManager[object]:
        """Around the wait for a connection, whatever comes of it."""
        return self._wait.time()

    def in_use(self) -> AbstractContextManager[object]:
        """Around the use of a connection."""
        return self._in_use.track_inprogress()

    def end(self) -> None:
        """The pool is closed; more than once does nothing."""
        self._sizes.dec(self._size)
        self._size = 0
