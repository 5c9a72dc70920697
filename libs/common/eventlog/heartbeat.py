"""Signs of life of a consumer: that its loop turns, and that every partition with records moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from libs.common.clock import Clock
from libs.common.eventlog.port import Partition


class Stalled(Exception):
    """Records wait and the reader brings none: it has to be made anew."""


class ReaderBroken(Exception):
    """Several readers in a row brought nothing although records wait. Fatal."""


class Heartbeat:
    """Beaten once per turn of a loop; waiting for a database that is away is a turn as well."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock, self._limit = clock, limit
        self._at = clock.monotonic()

    def beat(self) -> None:
        self._at = self._clock.monotonic()

    async def check(self) -> str | None:
        """A readiness check: `None` while the loop turns."""
        age = self._clock.monotonic() - self._at
        return f"no turn for {age:.0f} s" if age > self._limit else None


@dataclass(slots=True)
class _Watched:
    position: int
    moved_at: float


class Watchdog:
    """Tells a reader that is stuck on a partition from one that has nothing to read.

    `stalls` readers in a row may get stuck; the next one is `ReaderBroken`. Progress on the
    partition that was stuck ends the row.
    """

    def __init__(self, limit: float, stalls: int) -> None:
        self._limit, self._allowed = limit, stalls
        self._watched: dict[Partition, _Watched] = {}
        self._stalls: dict[Partition | None, int] = {}

    def restart(self) -> None:
        """A new reader, or a pause that was not the reader's fault: count from now on."""
        self._watched.clear()

    def look(self, lags: Mapping[Partition, int], at: Mapping[Partition, int], now: float) -> None:
        """Compare positions (`at`) with the last look; raises for a partition that is stuck."""
        self._watched = {p: w for p, w in self._watched.items() if p in at}
        for partition, position in at.items():
            watched = self._watched.setdefault(partition, _Watched(position, now))
            if watched.position != position or lags[partition] == 0:
                self._watched[partition] = _Watched(position, now)
                self._stalls.pop(partition, None)
            elif now - watched.moved_at >= self._limit:
                where = f"{partition.topic}/{partition.number}"
                self._complain(partition, f"{lags[partition]} records wait in {where}, none comes")

    def answered(self) -> None:
        """The reader came back, with records or without."""
        self._stalls.pop(None, None)

    def silent(self) -> NoReturn:
        """The reader did not even come back; raises what that means."""
        self._complain(None, "the reader does not answer")

    def _complain(self, stuck: Partition | None, what: str) -> NoReturn:
        count = self._stalls[stuck] = self._stalls.get(stuck, 0) + 1
        if count > self._allowed:
            raise ReaderBroken(f"{what}; {count} readers in a row were like that")
        raise Stalled(what)
