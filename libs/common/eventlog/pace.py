"""How many records the next batch should have, learnt from how long the last ones took.

A transaction costs something by itself (round trips, a commit, waiting for a busy processor) and
something for each record. Only the second part shrinks with the batch: where the first alone takes
the target time, smaller batches would be as slow and do less, down to a crawl.
"""

from dataclasses import dataclass, field

LEAST = 10
_KEEP = 0.9
"""What weight a batch keeps when the next one comes: about the last ten count."""


@dataclass(slots=True)
class Pace:
    """Batch sizes between `LEAST` and `most`, of about `target` seconds each."""

    size: int
    most: int
    target: float
    _sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    """Weighted sums of 1, n, s, n*n and n*s over batches of n records in s seconds."""

    def took(self, records: int, seconds: float) -> None:
        """Learn from a batch; `size` follows, by halves at most: one bad guess is soon mended."""
        new = (1, records, seconds, records * records, records * seconds)
        self._sums = [old * _KEEP + value for old, value in zip(self._sums, new, strict=True)]
        fits = self._fits()
        if seconds > self.target and fits < self.size:
            self.size = max(LEAST, self.size // 2, int(fits))
        elif records >= self.size and fits >= 2 * self.size:
            self.size = min(self.most, 2 * self.size)

    def _fits(self) -> float:
        """Records for which there is time; at least half of a batch's time is theirs."""
        fixed, each = self._costs()
        room = max(self.target - fixed, fixed)
        return room / each if each > 0 else float("inf")

    def _costs(self) -> tuple[float, float]:
        """Seconds of a batch by itself and of each record, by least squares, neither below 0."""
        weight, records, seconds, squares, products = self._sums
        mean, spread = seconds / records, weight * squares - records * records
        each = mean
        if spread > 1e-6 * records * records:  # batches of one size tell nothing of the parts
            each = min(max((weight * products - records * seconds) / spread, 0.0), mean)
        return (seconds - each * records) / weight, each
