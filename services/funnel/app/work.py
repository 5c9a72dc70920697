"""What asks for deals to be folded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from services.funnel.app.model import Cause, DealKey, Kept
from services.funnel.domain.model import DealState

Past = Literal["whole", "since"]
"""Which past a residue corrects: all of it, as a configuration does, or that since the event."""


@dataclass(frozen=True, slots=True)
class Residue:
    """Why a deal's state may differ without an event of its own, for example its account's."""

    cause: Cause
    past: Past

    def corrected_from(self, state: DealState) -> datetime | None:
        """Where the past of a deal changed, if no event in its stream tells that already."""
        return state.facts.created_at if self.past == "whole" else self.cause.occurred_at

    def as_of(self, now: datetime) -> "Residue | None":
        """The reason as it counts at a tenant's `now`; `None` for an event that lies ahead.

        A configuration is no event of the tenant's time and counts at once: in a sandbox whose
        clock stands before ours it happens then.
        """
        if self.cause.occurred_at <= now:
            return self
        if self.past == "since":
            return None
        return replace(self, cause=replace(self.cause, occurred_at=now))


@dataclass(frozen=True, slots=True)
class Work:
    """Deal events to publish and, by deal, other reasons to fold anew."""

    new: Sequence[Kept] = ()
    residues: Mapping[DealKey, Sequence[Residue]] = field(default_factory=dict)

    @property
    def deals(self) -> set[DealKey]:
        merged = {
            (kept.tenant_id, deal_id)
            for kept in self.new
            for deal_id in getattr(kept.event.data, "merged_deal_ids", ())
        }
        return {kept.deal for kept in self.new} | merged | set(self.residues)
