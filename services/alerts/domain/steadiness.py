"""Whether a wall clock can be believed: its progress against that of a monotonic one."""

from dataclasses import dataclass
from datetime import datetime

TOLERANCE = 2.0
"""Seconds by which the two may differ from one reading to the next."""
STEADY = 1.0
"""Seconds for which they have to agree before what the wall clock says counts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The clock said `wall` at some point of the monotonic interval from `before` to `after`."""

    wall: datetime
    before: float
    after: float


def jump(earlier: Reading, later: Reading) -> float:
    """Seconds that the wall clock went too far; below 0 if not far enough or backwards.

    What the time that the readings took may explain is no jump.
    """
    moved = (later.wall - earlier.wall).total_seconds()
    least, most = later.before - earlier.after, later.after - earlier.before
    return max(0.0, moved - most) + min(0.0, moved - least)


class Steadiness:
    """Follows one clock, reading by reading."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._steady_since: Reading | None = None

    def jumped(self, reading: Reading) -> float:
        """Seconds of a jump since the last reading, 0.0 for none."""
        by = jump(self._last, reading) if self._last else 0.0
        jumped = abs(by) > TOLERANCE
        if jumped or self._steady_since is None:
            self._steady_since = reading
        self._last = reading
        return by if jumped else 0.0

    @property
    def believed(self) -> bool:
        """Whether readings have agreed for long enough by now."""
        if self._last is None or self._steady_since is None:
            return False
        return self._last.before - self._steady_since.after >= STEADY
