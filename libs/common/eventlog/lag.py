"""How far a member of a group is behind: measured against the log and shown, whatever it is at."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from libs.common.clock import Clock
from libs.common.eventlog.counting import LagShown
from libs.common.eventlog.loop_claims import Claims
from libs.common.eventlog.loop_errors import waits
from libs.common.eventlog.port import EventLog, Partition

log = structlog.get_logger()


class Lag:
    """The lag of what `claims` holds. `every` is in seconds."""

    def __init__(
        self,
        log: EventLog,
        topics: Sequence[str],
        group: str,
        claims: Claims,
        clock: Clock,
        every: float,
    ) -> None:
        self._log, self._topics, self._group = log, topics, group
        self._claims, self._clock, self._every = claims, clock, every
        self._shown = LagShown(group)
        self._shown_at = clock.monotonic()

    async def measure(self) -> Mapping[Partition, int]:
        """Ask the log and show it: records that wait, by partition."""
        await self._ask()
        return self._show()

    async def meanwhile(self) -> None:
        """The same now and then, while a commit is being retried: of no database but the log's.

        While the log does not answer either, what was read of it counts.
        """
        if self._clock.monotonic() - self._shown_at < self._every:
            return
        try:
            async with asyncio.timeout(self._every):
                await self._ask()
        except Exception as error:
            if not waits(error):
                raise
            log.info("lag_not_measured", group=self._group, error=error)
        self._show()

    def older(self) -> None:
        """Nothing is held and nobody can be asked: what was behind is so by what has passed."""
        now = self._clock.monotonic()
        self._shown.older(now - self._shown_at)
        self._shown_at = now

    async def _ask(self) -> None:
        at = self._clock.now()  # before the answer, which may be older than itself
        ends = {p: e for topic in self._topics for p, e in (await self._log.ends(topic)).items()}
        self._claims.saw(ends, at)

    def _show(self) -> Mapping[Partition, int]:
        lags = self._claims.lags()
        self._shown.show(lags, self._claims.seconds_behind(lags, self._clock.now()))
        self._shown_at = self._clock.monotonic()
        return lags
