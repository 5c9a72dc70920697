"""The topic of accepted events: made as soon as the log can be reached, be it hours after a start.

Until then events wait in the spool; without this they would wait for another process.
"""

import asyncio

import structlog

from libs.common.eventlog.port import EventLog, LogError, TopicConfig
from libs.common.retry import Backoff

_log = structlog.get_logger(__name__)
_FIRST, _LONGEST = 0.5, 5.0


class OwnTopic:
    """Tries once before the service serves, and goes on behind it."""

    def __init__(self, log: EventLog, config: TopicConfig) -> None:
        self._log, self._config = log, config
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if not await self._made():
            self._task = asyncio.create_task(self._until_made(), name="own-topic")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _until_made(self) -> None:
        backoff, never = Backoff(_FIRST, _LONGEST), asyncio.Event()
        while not await self._made():
            await backoff.pause(never)

    async def _made(self) -> bool:
        try:
            await self._log.create_topics([self._config])
        except LogError as error:
            _log.warning("topics_not_created", error=error)
            return False
        return True
