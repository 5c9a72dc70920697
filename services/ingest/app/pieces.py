"""A chunk's events into the log: in pieces that shrink while it is slow, and each of them once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from libs.common.eventlog.port import EventLog, LogError
from services.ingest.app.appending import append_fit
from services.ingest.app.ports import Appended
from services.ingest.domain.model import Candidate, EventKey

_PROBE, _GROWTH = 20, 4
Refused = Mapping[EventKey, tuple[Candidate, str]]


class Pieces:
    """The events of one import, chunk by chunk.

    After a failure pieces begin small again: a log that is away is asked with little, and one that
    is slow takes in its time what it could not take at once. What it took of a chunk is remembered
    until `next_chunk`, so that another attempt goes on behind it.
    """

    def __init__(self, log: EventLog, most: int) -> None:
        self._log, self._limit, self._size = log, most, most
        self._appended: dict[EventKey, Appended] = {}
        self._refused: dict[EventKey, tuple[Candidate, str]] = {}

    def next_chunk(self) -> None:
        self._appended, self._refused = {}, {}

    @property
    def done(self) -> int:
        """Events of this chunk that the log has taken or refused."""
        return len(self._appended) + len(self._refused)

    async def append(
        self, fresh: Sequence[Candidate], between: Callable[[], Awaitable[None]]
    ) -> tuple[Sequence[Appended], Refused]:
        """As `append_fit`; `between` is awaited between two pieces."""
        left = [one for one in fresh if not self._knows(one)]
        while left:
            size = self._size
            await self._append(left[:size])
            left = left[size:]
            if left:
                await between()
        return (
            [self._appended[one.key] for one in fresh if one.key in self._appended],
            {one.key: self._refused[one.key] for one in fresh if one.key in self._refused},
        )

    async def _append(self, piece: Sequence[Candidate]) -> None:
        try:
            appended, refused = await append_fit(self._log, piece)
        except LogError:
            self._size = min(_PROBE, self._limit)
            raise
        self._appended |= {one.candidate.key: one for one in appended}
        self._refused |= refused
        self._size = min(self._size * _GROWTH, self._limit)

    def _knows(self, candidate: Candidate) -> bool:
        return candidate.key in self._appended or candidate.key in self._refused
