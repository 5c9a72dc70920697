"""What the launcher was told by signals; it looks when it has time."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT: stop; SIGHUP: restart everything in turn."""

    def __init__(self) -> None:
        self._stop = self._restart = False

    def to_stop(self) -> bool:
        return self._stop

    def to_restart(self) -> bool:
        """Whether a restart was asked for since the last look."""
        asked, self._restart = self._restart, False
        return asked

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Inside, signals end nothing."""
        before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP)}
        for number in before:
            signal.signal(number, self._told)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _told(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._restart = True
        else:
            self._stop = True
