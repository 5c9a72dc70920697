"""A deal's life as a rule sees it: a state for each instant at which something changes.

Built from what the funnel publishes: facts with their stretches of valid time, visits, activities.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from libs.common.activities import DONE, Activities, Activity
from libs.common.contracts.events import ActivityData

State = Mapping[str, Any]
"""A deal's fields at an instant, as `GET /v1/deals/{id}` names them; instants are datetimes."""
BEGINNING = datetime.min.replace(tzinfo=UTC)
GONE = ("deleted", "merged")
INSTANTS = ("stage_entered_at", "created_at", "closed_at")
FACT_FIELDS = (
    "status", "pipeline_id", "stage_id", "stage_class", *INSTANTS, "life", "name", "amount",
    "currency", "owner_id", "team_id", "account_id", "region", "product_line", "customer_type",
    "industry", "source", "channel_partner_id", "expected_close_date", "renewal_date",
    "push_count", "lost_reason", "merged_into", "attributes",
)  # fmt: skip
"""What the funnel keeps of a deal over valid time."""
DEAL_FIELDS = (*FACT_FIELDS, "deal_id", "stage_name", "amount_text", *Activity._fields)
"""What rules see of a deal; `amount` is a number, `amount_text` the exact decimal."""


@dataclass(frozen=True, slots=True)
class EventRef:
    """The event by which something began; `at` is its instant."""

    at: datetime
    source: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay in a stage; `left_at` of `None` is "still"."""

    entered: EventRef
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """From `at` on, until the next span, these facts hold."""

    at: datetime
    facts: State


@dataclass(frozen=True, slots=True)
class Said:
    """An activity event, in the total order of its deal; `deal_id` is whom it was addressed to.
    `retold`: only a reconciliation tells it."""

    event: EventRef
    type: str
    deal_id: str
    data: ActivityData
    retold: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    at: datetime
    merged: str
    into: str


@dataclass(frozen=True, slots=True)
class Deed:
    """A done activity; `at` is when it became the deal's: its own time, or that of a merge."""

    at: datetime
    event: EventRef
    data: ActivityData

    @property
    def brought(self) -> bool:
        """Whether a merge brought it."""
        return self.at > self.event.at


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored of one deal, oldest first; `said` and `merges` also of those merged into it.

    `created_at` comes from the `first` event, and from `declared`, the first `deal.created`, from
    then on.
    """

    deal_id: str
    first: EventRef
    declared: EventRef | None
    spans: Sequence[Span]
    visits: Sequence[Visit] = ()
    said: Sequence[Said] = ()
    merges: Sequence[Merge] = ()

    @property
    def size(self) -> int:
        """How much a judgement goes through."""
        return sum(map(len, (self.spans, self.visits, self.said, self.merges)))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything up to one instant; `instants` and `states` belong together, oldest first.

    `creations` are the events that were the deal's creation, each until the next one was. `ahead`
    is the earliest later instant of which the facts tell: there everything may change.
    """

    deal_id: str
    creations: Sequence[EventRef]
    instants: Sequence[datetime]
    states: Sequence[State]
    visits: Sequence[Visit]
    deeds: Sequence[Deed]
    ahead: datetime | None

    def at(self, instant: datetime) -> State | None:
        """The state as of an instant; `None` before the deal was there."""
        i = bisect_right(self.instants, instant)
        return self.states[i - 1] if i else None

    def after(self, instant: datetime) -> Iterator[tuple[datetime, State]]:
        """The changes later than an instant."""
        for i in range(bisect_right(self.instants, instant), len(self.instants)):
            yield self.instants[i], self.states[i]


def is_there(state: State | None) -> bool:
    """Whether the deal stands by itself: not deleted, not merged into another."""
    return state is not None and state["status"] not in GONE


def timeline(facts: Facts, now: datetime) -> Timeline:
    """The deal's timeline up to `now`, both ends included."""
    replay = _Replay(facts)
    every = sorted(set(_instants(facts, replay.deeds)))
    reached = bisect_right(every, now)
    instants, ahead = every[:reached], next(iter(every[reached:]), None)
    states = [{**span, **replay.at(at)} for at, span in _facts_at(facts.spans, instants)]
    visits = [visit for visit in facts.visits if visit.entered.at <= now]
    deeds = [deed for deed in replay.deeds if deed.at <= now]
    return Timeline(facts.deal_id, _creations(facts, now), instants, states, visits, deeds, ahead)


def _creations(facts: Facts, now: datetime) -> Sequence[EventRef]:
    declared = facts.declared
    if declared is None or declared.at > now:
        return (facts.first,)
    return (facts.first, declared) if facts.first.at < declared.at else (declared,)


def _instants(facts: Facts, deeds: Collection[Deed]) -> Iterator[datetime]:
    if not facts.spans:
        return
    first = facts.spans[0].at
    yield from (span.at for span in facts.spans)
    yield from (at for at in _moments(facts, deeds) if at is not None and at > first)


def _moments(facts: Facts, deeds: Collection[Deed]) -> Iterator[datetime | None]:
    yield facts.declared.at if facts.declared else None
    yield from (deed.at for deed in deeds)
    yield from (merge.at for merge in facts.merges)
    for visit in facts.visits:
        yield from (visit.entered.at, visit.left_at)
    for said in facts.said:
        yield from (said.event.at, said.data.scheduled_for)


def _facts_at(
    spans: Sequence[Span], instants: Sequence[datetime]
) -> Iterator[tuple[datetime, State]]:
    begins = [span.at for span in spans]
    for at in instants:
        yield at, spans[bisect_right(begins, at) - 1].facts


class _Replay:
    """The deal's activities in the order in which they became its own."""

    def __init__(self, facts: Facts) -> None:
        self._deal_id = facts.deal_id
        self._machines: dict[str, Activities] = {}
        self._gone: dict[str, str] = {}
        self._steps = sorted(
            [(said.event.at, 0, said) for said in facts.said]
            + [(merge.at, 1, merge) for merge in facts.merges],
            key=lambda step: step[:2],
        )
        self._next = 0
        self.deeds = list(_deeds(facts))

    def at(self, instant: datetime) -> Mapping[str, Any]:
        """The aggregates as of an instant; instants must not go back."""
        while self._next < len(self._steps) and self._steps[self._next][0] <= instant:
            self._apply(self._steps[self._next][2])
            self._next += 1
        return self._machine(self._deal_id).at(instant)._asdict()

    def _apply(self, step: Said | Merge) -> None:
        if isinstance(step, Merge):
            self._machine(step.into).absorb(self._machine(step.merged))
            self._gone[step.merged] = step.into
        else:
            machine = self._machine(step.deal_id)
            machine.apply(step.type, step.event.at, step.data, retold=step.retold)

    def _machine(self, deal_id: str) -> Activities:
        while deal_id in self._gone:
            deal_id = self._gone[deal_id]
        return self._machines.setdefault(deal_id, Activities())


def _deeds(facts: Facts) -> Iterator[Deed]:
    """Done activities by the instant at which they became the deal's."""
    since = dict(_owned(facts))
    done = [said for said in facts.said if said.type in DONE and said.deal_id in since]
    found = [
        Deed(max(said.event.at, since[said.deal_id]), said.event, said.data)
        for said in _without_repeats(done)
    ]
    yield from sorted(found, key=lambda deed: deed.at)


def _without_repeats(done: Iterable[Said]) -> Iterator[Said]:
    """In order; what is retold of an activity that is done already is nothing."""
    names: set[str] = set()
    for said in done:
        if not (said.retold and said.data.activity_id in names):
            yield said
        names.add(said.data.activity_id)


def _owned(facts: Facts) -> Iterator[tuple[str, datetime]]:
    """From when on what is said of a deal is this deal's; of those that never became it, nothing.

    The latest merge on the way decides.
    """
    brought: dict[str, list[Merge]] = defaultdict(list)
    for merge in facts.merges:
        brought[merge.into].append(merge)
    reached = [(facts.deal_id, BEGINNING)]
    while reached:
        into, at = reached.pop()
        yield into, at
        reached += [(merge.merged, max(at, merge.at)) for merge in brought[into]]
