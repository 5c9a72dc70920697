"""Real tenants' now: the database's clock, while it can be believed."""

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from services.alerts.app.work import EPOCH, Work
from services.alerts.domain.reconcile import Moment
from services.alerts.domain.steadiness import Reading, Steadiness

_log = structlog.get_logger()


class Moments:
    """One for each process: it compares each reading with the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._steadiness = clock, Steadiness()
        self._last_jump = 0.0

    async def real(self, work: Work, partitions: int) -> Moment | None:
        """Now, and how far facts are complete; `None` while the clock is in doubt."""
        before = self._clock.monotonic()
        now = await work.now()
        self._note(Reading(now, before, self._clock.monotonic()))
        if not self._steadiness.believed:
            return None
        return Moment(now, min(now, await work.watermark(partitions) or EPOCH), now)

    def _note(self, reading: Reading) -> None:
        by = self._steadiness.jumped(reading)
        self._last_jump = by or self._last_jump
        metrics.CLOCK_JUMP.set(self._last_jump)
        if by:
            _log.error("database_clock_jumped", seconds=round(by, 3))
