"""What is known of the log by what it has acknowledged; anything else it says is no proof."""

from libs.common.clock import Clock


class LogState:
    """Whether the log took what it was handed last. Who has never handed it anything, or whom
    nobody asks any more, knows of no fault."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed_at: float | None = None

    @property
    def down(self) -> bool:
        """It did not answer when it was last asked."""
        return self._failed_at is not None

    def down_within(self, seconds: float) -> bool:
        """It did not answer, and that was not longer ago."""
        return self._failed_at is not None and self._clock.monotonic() - self._failed_at <= seconds

    def answered(self) -> None:
        self._failed_at = None

    def failed(self) -> None:
        self._failed_at = self._clock.monotonic()

    def forget(self) -> None:
        """Nobody asks it again and again any more, so what was known will not be mended."""
        self._failed_at = None
