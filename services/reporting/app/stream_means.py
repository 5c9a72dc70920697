"""What all streams of a process share."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog
from services.reporting.app.stream_positions import Positions

REPLAYS = 4
ImportsEnded = Callable[[str, Collection[str]], Awaitable[int]]
"""How many imports of a tenant have ended so that, as to the named topics, nothing of them is still
to come; one that counts for several topics counts as often."""


@dataclass(frozen=True, slots=True)
class Means:
    """`lifetime` and `pulse` are in seconds, `member` names the readers of the log."""

    log: EventLog
    positions: Positions
    imports: ImportsEnded
    clock: Clock
    member: str
    lifetime: float
    pulse: float = 1.0
    """How long a stream sleeps at most between looks at the clock."""
    replays: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REPLAYS))
