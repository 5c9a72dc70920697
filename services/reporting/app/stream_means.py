"""What all streams of a process share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog
from services.reporting.app.stream_positions import Positions

REPLAYS = 4
ImportsEnded = Callable[[str], Awaitable[int]]
"""How many imports of a tenant have ended so that no record of them is still to come."""


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
