"""What waits for one connection: a bounded buffer that rather forgets than grows."""

import asyncio
from collections import deque

from services.reporting.domain.stream import Event, Reason

MOST_EVENTS = 1_000
MOST_CHARACTERS = 4 * 1024 * 1024


class Inbox:
    """Filled by the tails, emptied by the connection, all in one event loop."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._characters = 0
        self._woken = asyncio.Event()
        self.lost: Reason | None = None
        """Why events are missing, until the connection has told so."""
        self.closed = False

    def put(self, event: Event) -> None:
        """Take an event in; one too many, and all are lost."""
        if self.lost is not None or self.closed:
            return
        self._events.append(event)
        self._characters += len(event.data)
        if len(self._events) > MOST_EVENTS or self._characters > MOST_CHARACTERS:
            self.lose("slow_reader")
        self._woken.set()

    def lose(self, reason: Reason) -> None:
        self._events.clear()
        self._characters = 0
        self.lost = reason
        self._woken.set()

    def close(self) -> None:
        """The server stops: whoever waits goes on."""
        self.closed = True
        self._woken.set()

    def next(self) -> Event | None:
        if not self._events:
            return None
        event = self._events.popleft()
        self._characters -= len(event.data)
        return event

    @property
    def is_empty(self) -> bool:
        """Nothing waits, and nothing is missing."""
        return not self._events and self.lost is None

    async def wait(self, seconds: float) -> None:
        """Until something comes, for at most `seconds`."""
        if self._events or self.lost is not None or self.closed:
            return
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
