"""Judges subjects of one tenant: facts and rows in, alerts, timers and records out.

The caller holds the subjects' rows locked: one judgement at a time sees and writes a subject.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import structlog

from libs.common import faults, metrics
from libs.common.expr.port import ExpressionFailed, InvalidExpression
from libs.common.slices import in_slices
from services.alerts.app.compiling import Compiler, StoredRule
from services.alerts.app.ports import JudgingStore, Record, Rows, RuleError, Timer
from services.alerts.app.records import record_rows
from services.alerts.domain.alert import Alert, Texts, Told
from services.alerts.domain.reconcile import Held, Moment, Outcome, Reconciliation, withdrawn
from services.alerts.domain.rule import Rule
from services.alerts.domain.texts import texts
from services.alerts.domain.timeline import Facts, Timeline, timeline
from services.alerts.domain.verdicts import Judgement, Violation, judge

LARGE = 1_000
"""Facts times rules, some 20 ms: beyond it a thread judges, so that nobody waits for one deal."""
NewId = Callable[[], str]
_log = structlog.get_logger()


@dataclass(slots=True)
class Judged:
    """What a judgement writes, in the order in which it came about; of `kept` nobody is told."""

    records: list[Record] = field(default_factory=list)
    kept: list[Alert] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)
    skipped: int = 0
    put_aside: int = 0

    def add(self, more: "Judged") -> None:
        """What was written apart, in the same transaction."""
        self.records += more.records
        self.kept += more.kept
        self.timers += more.timers
        self.errors += more.errors
        self.skipped += more.skipped
        self.put_aside += more.put_aside

    def fail(self, error: RuleError, held: Held) -> None:
        """Neither fired nor passed: counted, and looked at again when something changes."""
        self.errors.append(error)
        if held.judged_to is not None:
            place = error.subject_id, error.rule_id
            self.timers.append(Timer(*place, None, held.judged_to, held.brought_to))

    def tell(self, records: Sequence[Record]) -> None:
        """In order of their instants, over all subjects."""
        self.records += sorted(records, key=lambda record: record[0].at)

    @property
    def told(self) -> list[Told]:
        """What is told, in its order."""
        return [told for told, _ in self.records]

    @property
    def alerts(self) -> list[Alert]:
        """The last state of each alert that changed."""
        changed = [*self.kept, *(told.alert for told in self.told)]
        return list({alert.alert_id: alert for alert in changed}.values())


@dataclass(frozen=True, slots=True)
class Case:
    """Whose subjects are judged, and as of when."""

    tenant_id: str
    moment: Moment


@dataclass(frozen=True, slots=True)
class _Found:
    told: Sequence[Record]
    kept: Sequence[Alert]
    skipped: int
    timer: Timer | None
    failed: Sequence[str]


class Judge:
    """The one writer of what facts say; only `store` has effects."""

    def __init__(self, compiler: Compiler, new_id: NewId) -> None:
        self._compiler, self._new_id = compiler, new_id

    async def judge(
        self, store: JudgingStore, tenant_id: str, subjects: Sequence[str], moment: Moment
    ) -> Judged:
        """Judge each subject by each rule as of the moment, and write what follows."""
        with metrics.RULE_EVAL_SECONDS.time():
            return await self._judge(store, tenant_id, subjects, moment)

    async def _judge(
        self, store: JudgingStore, tenant_id: str, subjects: Sequence[str], moment: Moment
    ) -> Judged:
        rules = await store.rules(tenant_id, subjects)
        await store.disarm(tenant_id, subjects, [r.rule_id for r in rules if r.mode == "live"])
        attributes = self._attributes(rules)
        facts = await store.facts(tenant_id, subjects, attributes) if rules else {}
        left = await _left(store, tenant_id, facts, moment)
        facts = {subject: of for subject, of in facts.items() if subject not in left}
        rows = await store.rows(tenant_id, list(facts))
        judged, told = Judged(), list[Record]()
        async for subject_id in in_slices(facts):
            case = Case(tenant_id, moment)
            told += await self._aside(judged, rules, facts[subject_id], rows, case)
        judged.tell(told)
        faults.hit("alerts.before_write")
        await self._write(store, tenant_id, judged)
        await store.settle(tenant_id, [one for one in subjects if one not in left])
        faults.hit("alerts.after_write")
        return judged

    def _attributes(self, rules: Sequence[StoredRule]) -> bool:
        """Whether a live rule may read attributes; one that does not compile reads nothing."""
        for stored in (one for one in rules if one.mode == "live"):
            with suppress(Exception):  # its own judgement tells what is wrong with it
                if self._compiler.rule(stored).attributes:
                    return True
        return False

    async def _write(self, store: JudgingStore, tenant_id: str, judged: Judged) -> None:
        await store.write_alerts(tenant_id, judged.alerts)
        await store.write_timers(tenant_id, judged.timers)
        await store.count_errors(tenant_id, judged.errors)
        await store.publish(judged.records)

    async def _aside(
        self, judged: Judged, rules: Sequence[StoredRule], facts: Facts, rows: Rows, case: Case
    ) -> Sequence[Record]:
        """A large one in a thread."""
        if facts.size * len(rules) > LARGE:
            return await asyncio.to_thread(self._subject, judged, rules, facts, rows, case)
        return self._subject(judged, rules, facts, rows, case)

    def _subject(
        self, judged: Judged, rules: Sequence[StoredRule], facts: Facts, rows: Rows, case: Case
    ) -> Sequence[Record]:
        """All rules over one subject: the records that follow."""
        told, life = list[Record](), cache(lambda: timeline(facts, case.moment.now))
        for stored in rules:
            held = _held(rows, (facts.deal_id, stored.rule_id))
            if not _concerns(stored, held):
                continue
            try:
                found = self._found(stored, life(), held, case)
            except Exception as error:  # noqa: BLE001  # one deal's trouble is nobody else's
                judged.fail(_error(stored, facts, case, error), held)
                continue
            told += found.told
            judged.kept += found.kept
            judged.skipped += found.skipped
            judged.errors += [_refused(stored, facts, why) for why in found.failed]
            timer = found.timer
            if timer and _rearmed(rows.timers.get((facts.deal_id, stored.rule_id)), timer):
                judged.timers.append(timer)
        return told

    def _found(self, stored: StoredRule, life: Timeline, held: Held, case: Case) -> _Found:
        """One rule over one subject, with the records as they will be published."""
        rule = self._compiler.rule(stored)
        failed: list[str] = []
        outcome, timer = _apply(rule, life, held, case.moment, self._new_id, failed)
        told = [(one, record_rows(case.tenant_id, [one], case.moment)) for one in outcome.told]
        return _Found(told, outcome.kept, outcome.skipped, timer, failed)


async def _left(
    store: JudgingStore, tenant_id: str, facts: Mapping[str, Facts], moment: Moment
) -> Collection[str]:
    """What waits for an import's end although its records are still on their way to us.

    Asked after the facts were read: what they tell of an import is known to the answer, too.
    """
    if moment.brought or moment.sandbox or not facts:
        return ()
    return set(await store.hold(tenant_id, list(facts)))


def _concerns(stored: StoredRule, held: Held) -> bool:
    """A rule that is off or deleted has only its open alerts to end; nothing calls it again."""
    return stored.mode == "live" or any(row.is_open for row in held.rows)


def _error(stored: StoredRule, facts: Facts, case: Case, error: Exception) -> RuleError:
    """What the rule's owner is told; what nobody expected is for operators too."""
    detail = getattr(error, "detail", str(error))
    if not isinstance(error, ExpressionFailed | InvalidExpression):
        detail = "could not be judged; this has been logged"
        _log.exception("judgement_failed", tenant=case.tenant_id, rule=stored.rule_id)
    return _refused(stored, facts, detail)


def _refused(stored: StoredRule, facts: Facts, why: str) -> RuleError:
    return RuleError(stored.rule_id, stored.version, facts.deal_id, why)


def _apply(
    rule: Rule, life: Timeline, held: Held, moment: Moment, new_id: NewId, failed: list[str]
) -> tuple[Outcome, Timer | None]:
    """One rule over one timeline; `failed` takes what could not be evaluated in it."""
    if not rule.live:
        return withdrawn(rule, held), None

    def describe(violation: Violation) -> Texts:
        return texts(rule, violation, failed.append)

    judged = judge(rule, life, moment.now)
    failed += [judged.failed] if judged.failed else []
    outcome = Reconciliation(rule, held, judged, moment, describe).outcome(new_id)
    due = _next_look(judged, moment)
    brought_to = moment.now if moment.brought else held.brought_to
    return outcome, Timer(life.deal_id, rule.rule_id, due, moment.sure, brought_to)


def _next_look(judged: Judgement, moment: Moment) -> datetime | None:
    """When time alone may change something: a clock is due, or one that is waits to be sure."""
    waiting = [found.started_at for found in judged.violations if found.started_at > moment.sure]
    if judged.next_look is not None:
        waiting.append(judged.next_look)
    return min(waiting, default=None)


def _held(rows: Rows, key: tuple[str, str]) -> Held:
    timer = rows.timers.get(key)
    return Held(
        key[0],
        rows.alerts.get(key, ()),
        rows.episodes.get(key, 0),
        timer.judged_to if timer else None,
        timer.brought_to if timer else None,
    )


def _rearmed(before: Timer | None, after: Timer) -> bool:
    """Rows of timers are written only where something changed or counts."""
    if before is None:
        return True
    return before.due_at != after.due_at or before.judged_to != after.judged_to


def count(judged: Judged) -> None:
    """Metrics of a committed judgement."""
    for told in judged.told:
        if told.type == "alert.fired":
            _count_fired(told.alert)
        else:
            metrics.ALERT_RECORDS.labels(told.type).inc()
    metrics.ALERTS_SKIPPED.inc(judged.skipped)
    metrics.RULE_ERRORS.inc(len(judged.errors))
    metrics.ALERTS_PUT_ASIDE.inc(judged.put_aside)


def _count_fired(alert: Alert) -> None:
    metrics.ALERTS_FIRED.labels(alert.severity).inc()
    delay = alert.detected_at - alert.started_at
    metrics.ALERT_DETECTION_DELAY.observe(max(0.0, delay.total_seconds()))
