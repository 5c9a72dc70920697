"""A seeded story for alerts: some hundred deals, and what their CRM says of them too late.

Its order of telling is that of a sandbox: before the clock moves on, everything is sent that has
happened by then, but for what is late: that is sent once the clock has passed it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

START = datetime(2026, 1, 5, tzinfo=UTC)
STEP = 6.0
"""Days from one stand of the clock to the next."""
BEFORE = timedelta(days=12)
"""Longer than any limit of the rules, so that nothing becomes due by the time that passes."""
_LATE, _MERGED = 0.2, 0.1
_OPEN = ("lead", "offer", "talks")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One event: `day` is when it happened, `heard` the day from which on it can be sent."""

    day: float
    heard: float
    group: str
    """Deals that a merge connects share it."""
    event: Event


@dataclass(frozen=True, slots=True)
class Round:
    """First `late` is sent and worked off, then `fresh` is sent and the clock moved to `day`."""

    late: Sequence[Event]
    fresh: Sequence[Event]
    day: float

    @property
    def now(self) -> datetime:
        return START + timedelta(days=self.day)


@dataclass
class _Telling:
    chance: random.Random
    name: str
    lines: list[Line] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    def tell(self, day: float, group: str, type_: str, deal: str, **data: Any) -> None:
        number = next(self.ids)
        late = type_ != "deal.created" and self.chance.random() < _LATE
        event = {
            "specversion": "1.0",
            "id": f"{self.name}-{number}",
            "source": "/crm/alerts",
            "type": type_,
            "time": (START + timedelta(days=day)).isoformat(),
            "sequence": str(number),
            "data": {"deal_id": deal, **data},
        }
        heard = day + (self.chance.uniform(STEP, 4 * STEP) if late else 0)
        self.lines.append(Line(day, heard, group, event))


def story(seed: int, deals: int, name: str = "evt") -> list[Round]:
    """The rounds; `name` begins each event's id."""
    return list(_rounds(_lines(seed, deals, name)))


def one_by_one(seed: int, deals: int, name: str = "evt") -> Iterator[Sequence[Event]]:
    """The same for who has no clock to move: of one group one event at a time, as it is heard."""
    waiting = sorted(_lines(seed, deals, name), key=lambda line: line.heard)
    while waiting:
        told: dict[str, Line] = {}
        for line in waiting:
            told.setdefault(line.group, line)
        waiting = [line for line in waiting if line is not told[line.group]]
        yield _events(told.values())


def ending_lately(seed: int, deals: int, name: str = "evt") -> Iterator[Sequence[Event]]:
    """`one_by_one` for tenants that live in real time: all of it happened `BEFORE` now, or
    earlier."""
    told = list(one_by_one(seed, deals, name))
    last = max(_at(event) for events in told for event in events)
    shift = datetime.now(UTC) - BEFORE - last
    for events in told:
        yield [{**event, "time": (_at(event) + shift).isoformat()} for event in events]


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])


def _lines(seed: int, deals: int, name: str) -> Sequence[Line]:
    telling = _Telling(random.Random(seed), name)
    pairs = int(deals * _MERGED)
    for number in range(deals):
        group = f"G-{number // 2}" if number < 2 * pairs else f"G-{number}-alone"
        _deal(telling, f"D-{number}", group, number * 30 / deals)
    for pair in range(pairs):
        day = 30 + telling.chance.uniform(2, 30)
        telling.tell(day, f"G-{pair}", "deal.merged", f"D-{2 * pair}",
                     merged_deal_ids=[f"D-{2 * pair + 1}"])  # fmt: skip
    return telling.lines


def _deal(telling: _Telling, deal: str, group: str, day: float) -> None:
    chance = telling.chance
    day += chance.uniform(0.001, 0.9)
    telling.tell(day, group, "deal.created", deal, pipeline_id="b2b", stage_id="lead", name=deal)
    for _ in range(chance.randint(2, 7)):
        day += chance.uniform(0.3, 14)
        _change(telling, deal, group, day)


def _change(telling: _Telling, deal: str, group: str, day: float) -> None:
    chance = telling.chance
    match chance.randrange(10):
        case 0 | 1 | 2 | 3:
            telling.tell(day, group, "deal.stage_changed", deal, stage_id=chance.choice(_OPEN))
        case 4 | 5 | 6:
            kind, way = chance.choice(("call", "email")), chance.choice(("outbound", "inbound"))
            telling.tell(day, group, "activity.logged", deal, kind=kind, direction=way,
                         activity_id=f"{deal}-{day:.6f}")  # fmt: skip
        case 7 | 8:
            telling.tell(day, group, "deal.lost", deal, reason_code="price")
            if chance.random() < 0.7:
                telling.tell(day + chance.uniform(0.1, 9), group, "deal.reopened", deal)
        case _:
            telling.tell(day, group, "deal.deleted", deal)
            if chance.random() < 0.6:
                telling.tell(day + chance.uniform(0.1, 9), group, "deal.restored", deal)


def _rounds(lines: Sequence[Line]) -> Iterator[Round]:
    """Every line is told. Of one group, one late event a round: the order of two must not count."""
    waiting, clock = sorted(lines, key=lambda line: line.heard), 0.0
    while waiting:
        heard = [line for line in waiting if line.heard <= clock + STEP]
        late: dict[str, Line] = {}
        for line in heard:
            if line.day <= clock:
                late.setdefault(line.group, line)
        fresh = [line for line in heard if line.day > clock]
        told = {id(line) for line in (*late.values(), *fresh)}
        waiting = [line for line in waiting if id(line) not in told]
        clock += STEP
        yield Round(_events(late.values()), _events(fresh), clock)
    yield Round((), (), clock + 5 * STEP)


def _events(lines: Any) -> list[Event]:
    return [line.event for line in lines]
