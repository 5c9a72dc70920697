"""What of the spool still waits for the log: which keys, how much, and since when."""

from collections import Counter, deque
from datetime import datetime


class Pending:
    """Keys with frames that are not in the log yet, and the oldest receipt among them.

    Frames leave in the order in which they came. Receipts may be slightly out of order: the deque
    holds, for each place, the smallest receipt from there on.
    """

    def __init__(self) -> None:
        self._keys: Counter[bytes] = Counter()
        self._oldest: deque[tuple[int, datetime]] = deque()
        self._added = self._gone = 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return self._added - self._gone

    @property
    def oldest(self) -> datetime | None:
        return self._oldest[0][1] if self._oldest else None

    def add(self, key: bytes, received_at: datetime) -> None:
        self._keys[key] += 1
        while self._oldest and self._oldest[-1][1] >= received_at:
            self._oldest.pop()
        self._oldest.append((self._added, received_at))
        self._added += 1

    def remove(self, key: bytes) -> None:
        """The frame at the head has gone; it was of this key."""
        self._keys[key] -= 1
        if not self._keys[key]:
            del self._keys[key]
        if self._oldest and self._oldest[0][0] == self._gone:
            self._oldest.popleft()
        self._gone += 1
