"""A rule as the evaluator sees it: compiled, with the instants from which it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from libs.common.contracts.values import bounded
from libs.common.expr.port import Expression

StartField = Literal["stage_entered_at", "created_at", "last_activity_at"]
Severity = Literal["info", "warning", "critical"]
CatchUpKind = Literal["fire_if_still_true", "fire_late", "skip_older_than"]


@dataclass(frozen=True, slots=True)
class MetBy:
    """Which activities meet a clock; what is `None` may be anything."""

    kinds: frozenset[str] | None = None
    direction: str | None = None
    automated: bool | None = None

    def counts(self, kind: str | None, direction: str | None, automated: bool) -> bool:
        """Whether such an activity meets the clock."""
        return (
            (self.kinds is None or kind in self.kinds)
            and (self.direction is None or direction == self.direction)
            and (self.automated is None or automated is self.automated)
        )


@dataclass(frozen=True, slots=True)
class Clock:
    """Due `offset + limit` of wall time after the start field's instant."""

    start: StartField
    limit: timedelta
    offset: timedelta = timedelta()
    met_by: MetBy | None = None

    def due(self, start: datetime) -> datetime:
        """The instant at which a clock that starts at `start` is violated, unless met."""
        return bounded(start, self.offset + self.limit)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What becomes of a violation that is seen late: after an outage, or in one big step."""

    kind: CatchUpKind = "fire_if_still_true"
    age: timedelta = timedelta()

    def wants(self, started_at: datetime, over: bool, now: datetime) -> bool:
        """Whether a violation that is seen only at `now` is raised; `over`: no longer true."""
        if self.kind == "skip_older_than":
            return now - started_at <= self.age
        return self.kind == "fire_late" or not over


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule.

    `effective_from` is the instant of the tenant's clock since which the rule has been live without
    a break: what was over by then raises nothing. `changed_at` is that of this version.
    `judges_since` is the first version that judged as this one does, by the same scope and clock,
    and `judges_from` the instant of that one (both are this version's own where left out).
    `withdrawals` are the earlier versions that were not live, with their instants, oldest first.
    `attributes`: it may read the deal's attributes, which are most of what a long history holds.
    """

    rule_id: str
    version: int
    name: str
    live: bool
    scope: Expression
    clock: Clock
    effective_from: datetime
    changed_at: datetime
    catch_up: CatchUp = CatchUp()
    severity: Severity = "warning"
    labels: Mapping[str, Expression] = field(default_factory=dict)
    summary: str | None = None
    judges_since: int | None = None
    judges_from: datetime | None = None
    withdrawals: Sequence[tuple[int, datetime]] = ()
    attributes: bool = True

    @property
    def edited_at(self) -> datetime:
        """Since when it judges as it does: words that change later are no edit of that."""
        return self.judges_from or self.changed_at

    def judges_as(self, version: int) -> bool:
        """Whether what that version raised is this one's to correct: only words have changed."""
        return (self.judges_since or self.version) <= version <= self.version

    def withdrawn_after(self, version: int) -> datetime | None:
        """When the rule was first switched off or deleted after a version, if it was."""
        found = (at for number, at in self.withdrawals if number > version)
        return next(found, None if self.live else self.changed_at)
