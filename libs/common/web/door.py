"""How many connections a port holds: in all, and from one address."""

import resource
from collections import Counter
from dataclasses import dataclass

_OTHER_FILES = 512
"""Descriptors kept free of connections: pools, the log's clients, the spool, imports."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one port, and one connection to it, may cost."""

    connections: int = 4096
    per_address: int = 2048
    receive_seconds: float = 10.0
    """From the first byte of a request to its last, and of silence before the first request."""
    head_bytes: int = 64 * 1024
    headers: int = 256


class Door:
    """Counts who is in."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._room = min(bounds.connections, room_for(bounds.connections))
        self._inside: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether there is room; who enters must leave."""
        crowded = self._inside.total() >= self._room
        if crowded or self._inside[address] >= self.bounds.per_address:
            return False
        self._inside[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]


def room_for(connections: int) -> int:
    """How many of them the process's limit of open files leaves room for; raises a low limit as
    far as it may. Without descriptors everything else in the process would fail too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(soft - _OTHER_FILES, soft // 2)
