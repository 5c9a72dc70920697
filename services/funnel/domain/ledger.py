"""Rows that change while known time advances, and the known interval of each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic

from services.funnel.domain.model import Known, RowT


class Ledger(Generic[RowT]):
    """One deal's rows of one kind while known time advances."""

    def __init__(self) -> None:
        self._held: list[Known[RowT]] = []
        self._past: list[Known[RowT]] = []

    def update(self, rows: Sequence[RowT], start: int, known_at: datetime) -> None:
        """From `known_at` on, the rows from index `start` on are `rows`."""
        same = start
        for held, row in zip(self._held[start:], rows, strict=False):
            if held.row != row:
                break
            same += 1
        for old in self._held[same:]:
            if old.known_from < known_at:
                self._past.append(Known(old.row, old.known_from, known_at))
        self._held[same:] = [Known(row, known_at) for row in rows[same - start :]]

    @property
    def last(self) -> Known[RowT] | None:
        """The last row still held."""
        return self._held[-1] if self._held else None

    def rows(self) -> tuple[Known[RowT], ...]:
        rows = self._past + self._held
        rows.sort(key=lambda known: known.key)
        return tuple(rows)
