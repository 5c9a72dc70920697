"""Named crash points for tests: a no-op unless the process was started with one armed.

`HEADWAY_CRASH_POINT=name` arms a point (`name:3` lets it pass twice first); when it is hit, the
process writes `name` to the file named by `HEADWAY_CRASH_REPORT`, durably, and kills itself.
"""

import os
import signal
from pathlib import Path


class CrashPoint:
    """One armed point; counts how often it may still be passed."""

    def __init__(self, name: str, nth: int, report: Path) -> None:
        self.name, self._left, self._report = name, nth, report

    def hit(self, name: str) -> None:
        if name != self.name:
            return
        self._left -= 1
        if self._left > 0:
            return
        with self._report.open("a") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


_armed: CrashPoint | None = None


def arm(spec: str, report: Path) -> None:
    """Arm `name` or `name:nth`; called once, by an entrypoint."""
    global _armed
    name, _, nth = spec.partition(":")
    _armed = CrashPoint(name, int(nth or 1), report)


def hit(name: str) -> None:
    """Die here if this point is armed."""
    if _armed is not None:
        _armed.hit(name)
