"""Alert rows and verdicts brought together: what is to be told, given what has been told.

Rows and violations belong together as `matching` says. What is left over on one side moves (its
start event starts no clock any more, another violated clock takes its place), is retracted, or is
raised. A version that judges otherwise takes on what stands; what was over by then is history. What
an earlier version raised before the rule was off or deleted for a while ended then, and is history.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from services.alerts.domain import alert as life
from services.alerts.domain.alert import Alert, Key, Texts, Told
from services.alerts.domain.edits import adopted, told_before
from services.alerts.domain.matching import matched
from services.alerts.domain.overlaps import overlap
from services.alerts.domain.rule import Rule
from services.alerts.domain.texts import told_otherwise
from services.alerts.domain.verdicts import Judgement, Violation

LATE = timedelta(minutes=15)
"""How long after its start a violation is seen in time: the longest wait for a watermark."""
Describe = Callable[[Violation], Texts]
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Moment:
    """As of when a subject is judged.

    `now` and `sure` are of the tenant's clock: what started after `sure` is not raised yet, facts
    may be on their way. `recorded` is the real instant. `brought` says that an import brought the
    facts, `digest_id` which.
    """

    now: datetime
    sure: datetime
    recorded: datetime
    sandbox: bool = False
    brought: bool = False
    digest_id: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of one rule and one subject.

    `rows` leaves retracted ones out, `episodes` counts them in; `judged_to` is how far the subject
    has been judged before. What was over by `brought_to` an import has brought.
    """

    subject_id: str
    rows: Sequence[Alert] = ()
    episodes: int = 0
    judged_to: datetime | None = None
    brought_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Records in order of their instants, how many violations the rule's catch-up skipped, and
    rows that have changed in what no record tells: their clock's stop.
    """

    told: Sequence[Told]
    skipped: int = 0
    kept: Sequence[Alert] = ()


def withdrawn(rule: Rule, held: Held) -> Outcome:
    """A rule that is off or deleted ends what it has raised."""
    return Outcome(_withdrawn(rule, held.rows))


def _withdrawn(rule: Rule, rows: Iterable[Alert]) -> list[Told]:
    """The ends of open alerts whose rule has been off or deleted since the version that raised
    them, whether anybody looked at them meanwhile or not."""
    ends = [(row, rule.withdrawn_after(row.rule_version)) for row in rows if row.is_open]
    return [life.superseded(row, at) for row, at in ends if at is not None]


class Reconciliation:
    """What one rule and one subject have to tell as of a moment. Pure but for `new_id`."""

    def __init__(
        self, rule: Rule, held: Held, judged: Judgement, moment: Moment, describe: Describe
    ) -> None:
        self._rule, self._held, self._judged = rule, held, judged
        self._moment, self._describe = moment, describe
        self._ended = _withdrawn(rule, held.rows)
        ended = {record.alert.alert_id: record.alert for record in self._ended}
        rows = [ended.get(row.alert_id, row) for row in held.rows]
        self._rows = [row for row in rows if row.is_open or not self._foreign(row)]
        history = [row for row in rows if not row.is_open and self._foreign(row)]
        self._found = self._going_on(judged.violations)
        left = _without(judged.violations, self._found.values())
        self._free = _without(left, told_before(history, left, rule.edited_at))
        self._keys = {row.key for row in held.rows}
        self._episodes, self._skipped = held.episodes, 0
        self._kept: list[Alert] = []

    def _foreign(self, row: Alert) -> bool:
        """Whether a version that judged otherwise raised it."""
        return not self._rule.judges_as(row.rule_version)

    def _going_on(self, violations: Sequence[Violation]) -> dict[str, Violation]:
        """What each row goes on telling of, by the alert's id."""
        found = matched([row for row in self._rows if not self._foreign(row)], violations)
        left = _without(violations, found.values())
        theirs = [row for row in self._rows if self._foreign(row)]
        return found | adopted(theirs, left, self._rule.edited_at)

    def outcome(self, new_id: NewId) -> Outcome:
        told = [*self._ended, *(record for row in self._rows for record in self._known(row))]
        told += [record for found in self._free for record in self._raised(found, new_id)]
        return Outcome(sorted(told, key=lambda record: record.at), self._skipped, self._kept)

    def _known(self, row: Alert) -> Iterator[Told]:
        found = self._found.get(row.alert_id)
        if found is not None:
            yield from (self._taken_on if self._foreign(row) else self._followed)(row, found)
        elif self._foreign(row):
            yield life.superseded(row, self._rule.edited_at)
        elif (other := self._successor(row)) is not None:
            self._free.remove(other)
            yield from self._moved(row, other)
        else:
            yield life.retracted(row, self._moment.now)

    def _taken_on(self, row: Alert, found: Violation) -> Iterator[Told]:
        """From now on it says what this version says of it, and then whether that is over."""
        for record in self._moved(row, replace(found, cleared_at=None, superseded=False)):
            yield record
            if found.cleared_at is not None:
                yield life.cleared(record.alert, found, found.cleared_at)

    def _followed(self, row: Alert, found: Violation) -> Iterator[Told]:
        """The row's clock is violated, as before: since when, until what, and in what state?"""
        told = row.resolved_at, row.resolution == "superseded"
        otherwise = not row.is_open and (found.cleared_at, found.superseded) != told
        if otherwise or found.started_at != row.started_at or told_otherwise(row, found):
            yield from self._moved(row, found)
        elif row.is_open and found.cleared_at is not None:
            yield life.cleared(row, found, found.cleared_at)
        elif found.span != row.clock:
            self._kept.append(replace(row, clock=found.span))

    def _moved(self, row: Alert, found: Violation) -> Iterator[Told]:
        """Not to where facts may still be on their way; until then the row says what it said."""
        if found.started_at <= self._moment.sure:
            yield self._corrected(row, found)

    def _corrected(self, row: Alert, found: Violation) -> Told:
        """All that it says is of this version."""
        rule, key = self._rule, row.key if row.key[:2] == found.event else self._new_key(found)
        mine = replace(row, rule_version=rule.version, rule_name=rule.name, severity=rule.severity)
        return life.corrected(mine, found, key, self._describe(found), self._moment.now)

    def _new_key(self, found: Violation) -> Key:
        """The first turn of the clock that no standing row has."""
        key = next(key for turn in count() if (key := (*found.event, turn)) not in self._keys)
        self._keys.add(key)
        return key

    def _successor(self, row: Alert) -> Violation | None:
        """The earliest free violation whose clock overlaps the row's, if that is none any more."""
        if self._judged.starts(*row.key[:2]):
            return None
        near = [found for found in self._free if overlap(row.clock, found.span)]
        return min(near, key=lambda found: found.started_at, default=None)

    def _raised(self, found: Violation, new_id: NewId) -> Iterator[Told]:
        """A new alert, and its end if it is over already."""
        if not self._wanted(found):
            return
        self._episodes += 1
        record = life.fired(self._new(found, new_id()))
        yield record
        if found.cleared_at is not None:
            yield life.cleared(record.alert, found, found.cleared_at)

    def _wanted(self, found: Violation) -> bool:
        moment, ended = self._moment, found.cleared_at
        if found.started_at > moment.sure:
            return False
        if ended is not None and (moment.brought or self._is_past(ended)):
            return False
        wanted = self._rule.catch_up.wants(found.started_at, ended is not None, moment.now)
        before = self._held.judged_to
        if not wanted and (before is None or found.started_at > before):
            self._skipped += 1
        return wanted

    def _is_past(self, ended: datetime) -> bool:
        """Over before the rule went live, or before an import's end: nobody's news any more."""
        brought_to = self._held.brought_to
        return ended <= self._rule.effective_from or (
            brought_to is not None and ended <= brought_to
        )

    def _new(self, found: Violation, alert_id: str) -> Alert:
        rule, moment, texts = self._rule, self._moment, self._describe(found)
        lag = moment.now - found.started_at
        return Alert(
            alert_id=alert_id,
            rule_id=rule.rule_id,
            rule_version=rule.version,
            rule_name=rule.name,
            subject_id=self._held.subject_id,
            episode=self._episodes,
            key=self._new_key(found),
            clock=found.span,
            state="firing",
            severity=rule.severity,
            started_at=found.started_at,
            detected_at=moment.now,
            evidence=texts.evidence,
            labels=texts.labels,
            summary=texts.summary,
            late=not moment.sandbox and (moment.brought or lag > LATE),
            digest_id=moment.digest_id,
        )


def _without(violations: Iterable[Violation], taken: Iterable[Violation]) -> list[Violation]:
    gone = {id(violation) for violation in taken}
    return [violation for violation in violations if id(violation) not in gone]
