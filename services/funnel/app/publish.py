"""Which records a deal's changes make: one per live event, one per batch for backfilled ones."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from services.funnel.app.model import Cause, Change
from services.funnel.domain.model import DealState


@dataclass(slots=True)
class Publisher:
    """Numbers one deal's records; each starts from the state that the one before it told.

    `told_once` makes one record of all causes, as if they were backfilled.
    """

    tenant_id: str
    deal_id: str
    version: int
    told: DealState | None
    told_once: bool = False
    changes: list[Change] = field(default_factory=list)
    _held: tuple[DealState, Cause, datetime | None] | None = None

    def take(self, state: DealState, cause: Cause, corrected_from: datetime | None = None) -> None:
        """The deal is now `state`; backfilled causes wait for the last one of the batch."""
        if cause.origin == "live" and not self.told_once:
            self.flush()
            self._tell(state, cause, corrected_from)
            return
        if self._held is not None:
            corrected_from = _earlier(self._held[2], corrected_from)
        self._held = (state, cause, corrected_from)

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell yet."""
        return not self.changes and self._held is None

    def flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._tell(*held)

    def _tell(self, state: DealState, cause: Cause, corrected_from: datetime | None) -> None:
        self.version += 1
        self.changes.append(
            Change(
                self.tenant_id, self.deal_id, self.version, self.told, state, cause, corrected_from
            )
        )
        self.told = state


def _earlier(a: datetime | None, b: datetime | None) -> datetime | None:
    return min((t for t in (a, b) if t is not None), default=None)


def all_changes(publishers: Iterator[Publisher]) -> list[Change]:
    """Every record of a fold, each deal's in order."""
    changes: list[Change] = []
    for publisher in publishers:
        publisher.flush()
        changes.extend(publisher.changes)
    return changes
