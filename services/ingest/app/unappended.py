"""What this process has taken in but not yet appended: it holds the watermark back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count


class Unappended:
    """Receipt times of events on their way to the log."""

    def __init__(self) -> None:
        self._held: dict[int, datetime] = {}
        self._tokens = count()

    @contextmanager
    def hold(self, received_at: datetime) -> Iterator[None]:
        """Count `received_at` as unappended until the block ends."""
        token = next(self._tokens)
        self._held[token] = received_at
        try:
            yield
        finally:
            del self._held[token]

    def oldest(self) -> datetime | None:
        return min(self._held.values(), default=None)
