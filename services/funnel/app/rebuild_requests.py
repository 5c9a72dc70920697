"""Asking for rebuilds, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


class RebuildRunning(Exception):
    """A rebuild of one of the tenants is under way."""

    def __init__(self, tenants: Sequence[str]) -> None:
        super().__init__(f"a rebuild is under way for: {', '.join(tenants[:20])}")


@dataclass(frozen=True, slots=True)
class Difference:
    """A deal whose rows would change; checksums, null where there is no row."""

    tenant_id: str
    deal_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TenantRebuild:
    """One tenant's part. `finished_at` is set once the rows of the other generation are gone."""

    tenant_id: str
    generation: int
    state: str
    accept: bool
    total: int
    done: int
    differing: int
    started_at: datetime
    finished_at: datetime | None


_ORDER = ("building", "differs", "switched")
"""What a rebuild of several tenants is said to be: the first of these that one of them is."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """A rebuild over one or many tenants; `differences` are the first ones only."""

    rebuild_id: UUID
    parts: Sequence[TenantRebuild]
    differences: Sequence[Difference]

    @property
    def state(self) -> str:
        states = {part.state for part in self.parts}
        return next((state for state in _ORDER if state in states), "switched")

    @property
    def total(self) -> int:
        """Deals to fold; deals that came after the count was taken are counted as they are met."""
        return sum(max(part.total, part.done) for part in self.parts)

    @property
    def done(self) -> int:
        return sum(part.done for part in self.parts)

    @property
    def differing(self) -> int:
        return sum(part.differing for part in self.parts)
