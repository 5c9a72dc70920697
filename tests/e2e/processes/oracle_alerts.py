"""What an integrator must read of a story's alerts: every record, worked out from the events alone.

Written against the text of the specification, with its own fold, its own clocks, its own rows. It
is slow and simple: at each judgement every deal is worked out from all events that have been told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

Instant = datetime
_ENDLESS = timedelta(days=100_000)
"""What two that stand have in common."""
_CLASSES = {"signed": "won", "gone": "lost"}


class Rule(NamedTuple):
    """A clock rule whose scope is that the deal is open; `met_by` is `(kind, direction)`.

    What was over by `since` raises nothing.
    """

    rule_id: str
    start: str
    limit: timedelta
    met_by: tuple[str, str] | None = None
    since: Instant | None = None


class Evidence(NamedTuple):
    """Why an alert is: its clock, and the deal as it was when it began."""

    start_event: str
    start: Instant
    due: Instant
    stage: str | None
    entered: Instant | None
    active: Instant | None


class Told(NamedTuple):
    """One record as a reader sees it; `alert` numbers a deal's alerts of one rule.

    `began`, `ended` and `resolution` are what it says of the alert: its `started_at` and its end.
    """

    rule_id: str
    subject: str
    alert: int
    type: str
    at: Instant
    began: Instant
    ended: Instant | None
    resolution: str | None
    evidence: Evidence


class Clock(NamedTuple):
    start_event: str
    start: Instant
    begins: Instant
    stop: Instant | None


class Stretch(NamedTuple):
    """While a clock is violated."""

    clock: Clock
    began: Instant
    ended: Instant | None
    resolution: str | None
    """How it ended: `superseded` by a merge, else `cleared`."""
    evidence: Evidence


@dataclass
class Row:
    """What has been told of one alert."""

    number: int
    span: tuple[Instant, Instant | None]
    began: Instant
    evidence: Evidence
    ended: Instant | None = None
    resolution: str | None = None


@dataclass
class Life:
    """A deal folded from its events: its stays, when it was open, and what was done on it."""

    stays: list[Clock] = field(default_factory=list)
    open_from: list[tuple[Instant, bool]] = field(default_factory=list)
    stages: list[tuple[Instant, str | None]] = field(default_factory=list)
    deeds: list[tuple[Instant, Instant, str, str, str]] = field(default_factory=list)
    """`(became the deal's, happened, event, kind, direction)`."""
    stage: str | None = None
    last_open: str = "lead"
    deleted: Instant | None = None
    merged: Instant | None = None
    created: tuple[str, Instant] | None = None

    def enter(self, event: Mapping[str, Any], at: Instant, stage: str) -> None:
        if stage == self.stage:
            return
        self.leave(at)
        self.stays.append(Clock(event["id"], at, at, None))
        self.stage = stage
        if stage not in _CLASSES:
            self.last_open = stage

    def leave(self, at: Instant) -> None:
        if self.stays and self.stays[-1].stop is None:
            self.stays[-1] = self.stays[-1]._replace(stop=at)

    def note(self, at: Instant, merged: bool = False) -> None:
        stands = self.deleted is None and not merged
        self.open_from.append((at, stands and self.stage not in _CLASSES))
        self.stages.append((at, self.stage))

    def is_open(self, at: Instant) -> bool:
        held = [value for since, value in self.open_from if since <= at]
        return bool(held) and held[-1]

    def stage_at(self, at: Instant) -> str | None:
        return [stage for since, stage in self.stages if since <= at][-1]

    def standing(self, at: Instant) -> tuple[Instant | None, Instant | None]:
        """Since when it was in its stage, and when something was last done on it."""
        entered = [stay.start for stay in self.stays if stay.start <= at]
        active = [happened for became, happened, *_ in self.deeds if became <= at]
        return max(entered, default=None), max(active, default=None)


class Oracle:
    """Hears events, judges as of an instant, and keeps everything told, by subject in order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = sorted(rules)
        self.told: dict[str, list[Told]] = {}
        self._events: dict[str, Mapping[str, Any]] = {}
        self._rows: dict[tuple[str, str], list[Row]] = {}

    def hear(self, events: Sequence[Mapping[str, Any]]) -> None:
        self._events.update((event["id"], event) for event in events)

    def judge(self, now: Instant) -> None:
        """Everything told so far, as of `now`."""
        for subject, life in fold(list(self._events.values())).items():
            records: list[Told] = []
            if life.created is None or life.created[1] > now:
                continue
            for rule in self.rules:
                rows = self._rows.setdefault((subject, rule.rule_id), [])
                records += reconcile(rule, subject, life, rows, now)
            self.told.setdefault(subject, []).extend(sorted(records, key=lambda told: told.at))


def fold(events: Sequence[Mapping[str, Any]]) -> dict[str, Life]:
    """Every deal's life; from its merge on a merged deal's events are the survivor's."""
    ordered = sorted(events, key=lambda event: _at(event))
    merges = {
        gone: (event["data"]["deal_id"], _at(event))
        for event in ordered if event["type"] == "deal.merged"
        for gone in event["data"]["merged_deal_ids"]
    }  # fmt: skip
    lives: dict[str, Life] = {}
    for event in ordered:
        deal, at = event["data"]["deal_id"], _at(event)
        into, since = merges.get(deal, (None, at))
        if event["type"] == "activity.logged":
            _deed(lives, event, into, since)
        elif into is not None and at > since:
            _apply(lives.setdefault(into, Life()), event, lives)
        else:
            _apply(lives.setdefault(deal, Life()), event, lives)
    for life in lives.values():
        life.deeds.sort(key=lambda deed: deed[0])
        if life.deleted is not None:
            life.stays = [_cut(stay, life.deleted) for stay in life.stays
                          if stay.start <= life.deleted]  # fmt: skip
    return lives


def _deed(
    lives: dict[str, Life], event: Mapping[str, Any], into: str | None, since: Instant
) -> None:
    at, data = _at(event), event["data"]
    said = at, event["id"], data["kind"], data["direction"]
    lives.setdefault(data["deal_id"], Life()).deeds.append((at, *said))
    if into is not None:
        lives.setdefault(into, Life()).deeds.append((max(at, since), *said))


def _apply(life: Life, event: Mapping[str, Any], lives: dict[str, Life]) -> None:
    at, data = _at(event), event["data"]
    match event["type"]:
        case "deal.created":
            life.created = event["id"], at
            life.enter(event, at, data["stage_id"])
        case "deal.stage_changed":
            life.enter(event, at, data["stage_id"])
        case "deal.lost":
            life.enter(event, at, "gone")
        case "deal.reopened" if life.stage in _CLASSES:
            life.enter(event, at, life.last_open)
        case "deal.deleted":
            life.deleted = life.deleted or at
        case "deal.restored":
            life.deleted = None
        case "deal.merged":
            for gone in data["merged_deal_ids"]:
                lives[gone].leave(at)
                lives[gone].merged = at
                lives[gone].note(at, merged=True)
    life.note(at)


def _cut(stay: Clock, at: Instant) -> Clock:
    return stay if stay.stop is not None and stay.stop <= at else stay._replace(stop=at)


def clocks(rule: Rule, life: Life, now: Instant) -> Iterator[Clock]:
    """Each stay, or each time that something was done after the time before."""
    if rule.start == "stage_entered_at":
        yield from (stay for stay in life.stays if stay.start <= now)
        return
    assert life.created is not None
    event, start = life.created
    begins, first = start, True
    for became, happened, id_, _, _ in life.deeds:
        if became > now or (not first and happened < start):
            continue
        yield Clock(event, start, begins, became)
        event, start, begins, first = id_, happened, became, False
    yield Clock(event, start, begins, None)


def stretches(rule: Rule, life: Life, clock: Clock, now: Instant) -> Iterator[Stretch]:
    """Overdue and open, neither stopped nor met."""
    deeds = [(became, happened) for became, happened, _, *what in life.deeds
             if rule.met_by == tuple(what)]  # fmt: skip
    met = [became for became, happened in deeds if clock.start <= happened and became <= now][:1]
    ends = [at for at in (clock.stop, *met) if at is not None]
    end = min(ends) if ends else None
    first = max(clock.start + rule.limit, clock.begins)
    last = now if end is None else min(end, now)
    if first > now or (end is not None and first >= end):
        return
    began = first if life.is_open(first) else None

    def stretch(began: Instant, ended: Instant | None) -> Stretch:
        how = "superseded" if ended == life.merged else "cleared"
        due, stage = clock.start + rule.limit, life.stage_at(began)
        evidence = Evidence(clock.start_event, clock.start, due, stage, *life.standing(began))
        return Stretch(clock, began, ended, how if ended is not None else None, evidence)

    for at in sorted({since for since, _ in life.open_from if first < since <= last}):
        if end is not None and at >= end:
            break
        if began is None and life.is_open(at):
            began = at
        elif began is not None and not life.is_open(at):
            yield stretch(began, at)
            began = None
    if began is not None:
        yield stretch(began, end if end is not None and end <= now else None)


def reconcile(rule: Rule, subject: str, life: Life, rows: list[Row], now: Instant) -> list[Told]:
    """What is to be told; brings the rows up to date."""
    running = list(clocks(rule, life, now))
    free = [s for clock in running for s in stretches(rule, life, clock, now)]
    starts = {clock.start_event for clock in running}
    standing = [row for row in rows if row.resolution != "retracted"]
    found = _claimed(standing, free)
    told: list[Told] = []

    def tell(row: Row, type_: str, at: Instant) -> None:
        told.append(Told(rule.rule_id, subject, row.number, f"alert.{type_}", at,
                         row.began, row.ended, row.resolution, row.evidence))  # fmt: skip

    for row in standing:
        stretch = found.get(row.number)
        if stretch is None and row.evidence.start_event not in starts:
            near = [s for s in free if _overlap((s.clock.start, s.clock.stop), row.span)]
            stretch = min(near, key=lambda s: s.began, default=None)
            if stretch is not None:
                free.remove(stretch)
        if stretch is None:
            row.resolution, row.ended = "retracted", row.began
            tell(row, "corrected", row.began)
        else:
            _follow(row, stretch, tell)
    for stretch in free:
        if rule.since is not None and stretch.ended is not None and stretch.ended <= rule.since:
            continue
        row = Row(len(rows), (stretch.clock.start, stretch.clock.stop), stretch.began,
                  stretch.evidence)  # fmt: skip
        rows.append(row)
        tell(row, "fired", row.began)
        _follow(row, stretch, tell)
    return sorted(told, key=lambda record: record.at)


def _claimed(rows: Sequence[Row], free: list[Stretch]) -> dict[int, Stretch]:
    """What each row goes on telling of; takes it out of `free`. Of all pairings that keep the order
    of time, the one that is worth most."""
    claimed: dict[int, Stretch] = {}
    for start in {row.evidence.start_event for row in rows}:
        told = sorted((r for r in rows if r.evidence.start_event == start), key=lambda r: r.began)
        held = sorted((s for s in free if s.clock.start_event == start), key=lambda s: s.began)
        claimed |= {row.number: stretch for row, stretch in _best(told, held)}
    for stretch in claimed.values():
        free.remove(stretch)
    return claimed


Pairs = list[tuple[Row, Stretch]]


def _best(rows: Sequence[Row], stretches: Sequence[Stretch]) -> Pairs:
    @cache
    def best(i: int, k: int) -> Pairs:
        if i == len(rows) or k == len(stretches):
            return []
        tries = [best(i + 1, k), best(i, k + 1)]
        if _common(rows[i], stretches[k]) or rows[i].ended is None or stretches[k].ended:
            tries.insert(0, [(rows[i], stretches[k]), *best(i + 1, k + 1)])
        return max(tries, key=_worth)

    return best(0, 0)


def _worth(pairs: Pairs) -> tuple[int, int, timedelta, int]:
    """The same beginnings count most, then how many have an instant in common, then how much time,
    then how many there are. What is over goes on with what stands only if they have time in common.
    """
    common = [_common(*pair) for pair in pairs]
    begun_alike = sum(row.began == stretch.began for row, stretch in pairs)
    return begun_alike, sum(map(bool, common)), sum(common, timedelta()), len(pairs)


def _common(row: Row, stretch: Stretch) -> timedelta:
    ends = [end for end in (row.ended, stretch.ended) if end is not None]
    end = min(ends, default=max(row.began, stretch.began) + _ENDLESS)
    return max(timedelta(), end - max(row.began, stretch.began))


def _follow(row: Row, stretch: Stretch, tell: Any) -> None:
    """What is corrected says everything anew; what is resolved only how and when it ended."""
    key, ending = stretch.clock.start_event, (stretch.ended, stretch.resolution)
    moved = key != row.evidence.start_event or stretch.began != row.began
    moved |= stretch.evidence != row.evidence
    ends = row.ended is None and stretch.ended is not None
    other = row.ended is not None and ending != (row.ended, row.resolution)
    if not (moved or ends or other):
        return
    row.began, (row.ended, row.resolution) = stretch.began, ending
    row.span = stretch.clock.start, stretch.clock.stop
    if moved or other:
        row.evidence = stretch.evidence
        tell(row, "corrected", row.began)
    else:
        assert row.ended is not None
        tell(row, "resolved", row.ended)


def _overlap(a: tuple[Instant, Instant | None], b: tuple[Instant, Instant | None]) -> bool:
    return (a[1] is None or b[0] < a[1]) and (b[1] is None or a[0] < b[1])


def _at(event: Mapping[str, Any]) -> Instant:
    return datetime.fromisoformat(event["time"])
