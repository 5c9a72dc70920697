"""Verdicts: over which stretches of time a rule's clocks are violated. Pure functions of the facts.

A clock is violated at an instant that is at or after its due instant, before it stops, with the
deal there and in scope, not met by then, and (idle clocks) with no planned activity ahead. Where
the scope cannot be evaluated, its last answer within the clock stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.expr.port import ExpressionFailed
from services.alerts.domain.clocks import Meetings, Run, runs
from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import State, Timeline, is_there

Event = tuple[str, str]
"""Source and id of an event."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One stretch, `[started_at, cleared_at)`; `cleared_at` of `None`: it stands.

    A scope that turns true again opens another stretch of the same clock. `state` is the deal's at
    `started_at`; `superseded`: a merge ended it.
    """

    run: Run
    started_at: datetime
    cleared_at: datetime | None
    superseded: bool
    state: State

    @property
    def event(self) -> Event:
        """What started the clock."""
        return self.run.key

    @property
    def span(self) -> tuple[datetime, datetime | None]:
        """`[start, stop)` of its clock."""
        return self.run.start.at, self.run.stop


@dataclass(frozen=True, slots=True)
class Judgement:
    """What holds of one rule and one deal as of an instant.

    `next_look` is the earliest later instant at which time alone may change the verdict: a clock
    is due, or something comes true of which the facts tell already. `failed` is why the scope could
    not be evaluated, at the last instant at which it could not.
    """

    runs: Sequence[Run]
    violations: Sequence[Violation]
    next_look: datetime | None
    failed: str | None = None

    def starts(self, source: str, event_id: str) -> bool:
        """Whether an event starts a clock."""
        return any(run.key == (source, event_id) for run in self.runs)


def judge(rule: Rule, timeline: Timeline, now: datetime) -> Judgement:
    """The verdicts as of `now`, which the timeline reaches."""
    found, failed = list[Violation](), None
    looks = [] if timeline.ahead is None else [timeline.ahead]
    clocks = runs(rule.clock, timeline) if timeline.instants else []
    meetings = Meetings(rule.clock.met_by, timeline.deeds)
    for run in clocks:
        judged = _Judged(rule, timeline, run, meetings.of(run.start.at), now)
        found += judged.violations()
        looks += judged.looks()
        failed = judged.failed or failed
    return Judgement(clocks, found, min(looks, default=None), failed)


class _Judged:
    """One clock as of `now`."""

    def __init__(
        self, rule: Rule, timeline: Timeline, run: Run, met_at: datetime | None, now: datetime
    ) -> None:
        self._rule, self._timeline, self._run, self._now = rule, timeline, run, now
        self._end = min((at for at in (run.stop, met_at) if at is not None), default=None)
        self.failed: str | None = None

    @property
    def _open(self) -> bool:
        return self._end is None or self._end > self._now

    def violations(self) -> Iterator[Violation]:
        """Its stretches, in order."""
        began: tuple[datetime, State] | None = None
        for at, state in self._instants():
            holds = self._holds(at, state)
            if holds and began is None:
                began = at, state
            elif holds is False and began is not None:
                yield self._violation(began, at)
                began = None
        if began is not None:
            yield self._violation(began, None if self._open else self._end)

    def _instants(self) -> Iterator[tuple[datetime, State]]:
        """The due instant and each change after it, while the clock runs."""
        due, end = self._run.due, self._end
        first = max(due, self._run.begins, self._timeline.instants[0])
        if first > self._now or (end is not None and end <= first):
            return
        state = self._timeline.at(first)
        if state is not None:
            yield first, state
        for at, changed in self._timeline.after(first):
            if end is not None and at >= end:
                return
            yield at, changed

    def _holds(self, at: datetime, state: State) -> bool | None:
        """`None`: nobody can tell of this instant."""
        if not is_there(state) or self._excused(at, state):
            return False
        try:
            return bool(self._rule.scope.evaluate({"deal": state}))
        except ExpressionFailed as error:
            self.failed = error.detail
            return None

    def _excused(self, at: datetime, state: State) -> bool:
        """A planned activity ahead excuses idleness until its time."""
        planned: datetime | None = state["next_planned_at"]
        return self._rule.clock.start == "last_activity_at" and planned is not None and planned > at

    def _violation(self, began: tuple[datetime, State], cleared_at: datetime | None) -> Violation:
        after = self._timeline.at(cleared_at) if cleared_at else None
        superseded = after is not None and after["status"] == "merged"
        return Violation(self._run, began[0], cleared_at, superseded, began[1])

    def looks(self) -> Iterator[datetime]:
        """The later instant at which this clock may turn to violated by itself."""
        if self._open and self._run.due > self._now:
            yield self._run.due
