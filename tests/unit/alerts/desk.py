"""A desk on which one rule's alerts lie: it looks at facts and keeps what is told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.common.expr.port import ExpressionFailed
from services.alerts.domain.alert import Alert, Texts, Told
from services.alerts.domain.reconcile import Held, Moment, Outcome, Reconciliation, withdrawn
from services.alerts.domain.rule import CatchUp, Clock, MetBy, Rule, StartField
from services.alerts.domain.texts import texts
from services.alerts.domain.timeline import Facts, State, timeline
from services.alerts.domain.verdicts import Judgement, Violation, judge
from tests.unit.alerts.facts import h

LATE = CatchUp("fire_late")


@dataclass(frozen=True)
class Says:
    """An expression in Python."""

    source: str
    of: Callable[[State], Any]

    def evaluate(self, variables: Mapping[str, Mapping[str, Any]]) -> Any:
        return self.of(variables["deal"])


ANY = Says("true", lambda _: True)
OPEN = Says("deal.status == 'open'", lambda deal: deal["status"] == "open")
OFFER = Says("deal.stage_id == 'offer'", lambda deal: deal["stage_id"] == "offer")
MINE = Says("deal.owner_id == 'u1'", lambda deal: deal["owner_id"] == "u1")


def _worth(deal: State) -> bool:
    if deal["amount"] is None:
        raise ExpressionFailed("no such overload: null > double")
    return float(deal["amount"]) > 20


DEAR = Says("deal.amount > 20.0", _worth)
"""It cannot be evaluated of a deal without an amount."""


def rule(
    start: StartField = "stage_entered_at",
    limit: float = 10,
    offset: float = 0,
    met_by: MetBy | None = None,
    **fields: Any,
) -> Rule:
    """A rule of so many hours that has always been live and tells late what it must."""
    clock = Clock(start, timedelta(hours=limit), timedelta(hours=offset), met_by)
    given: dict[str, Any] = {
        "rule_id": "r", "version": 1, "name": "Stalled", "live": True, "scope": ANY,
        "effective_from": h(-1_000), "changed_at": h(-1_000), "catch_up": LATE,
    }  # fmt: skip
    return Rule(clock=clock, **(given | fields))


def judged(of: Rule, facts: Facts, now: datetime) -> Judgement:
    return judge(of, timeline(facts, now), now)


@dataclass
class Desk:
    """`rule` may be exchanged for a later version; `alerts` hold each one's latest state."""

    rule: Rule
    alerts: dict[str, Alert] = field(default_factory=dict)
    records: list[Told] = field(default_factory=list)
    judged_to: datetime | None = None
    brought_to: datetime | None = None
    made: int = 0

    def look(
        self, facts: Facts | None, now: datetime, sure: datetime | None = None, **more: Any
    ) -> Outcome:
        """Judge as of now and keep what is told."""
        if facts is None:
            return Outcome([])
        moment = Moment(now, sure or now, now, **{"sandbox": True, **more})
        outcome = self._outcome(facts, moment)
        for alert in [*outcome.kept, *(record.alert for record in outcome.told)]:
            self.alerts[alert.alert_id] = alert
        self.records += outcome.told
        self.judged_to = moment.sure
        self.brought_to = now if moment.brought else self.brought_to
        return outcome

    def _outcome(self, facts: Facts, moment: Moment) -> Outcome:
        held = self._held(facts)
        if not self.rule.live:
            return withdrawn(self.rule, held)
        found = judged(self.rule, facts, moment.now)
        told = Reconciliation(self.rule, held, found, moment, self._texts)
        return told.outcome(self._new_id)

    def _held(self, facts: Facts) -> Held:
        rows, known = self.standing, len(self.alerts)
        return Held(facts.deal_id, rows, known, self.judged_to, self.brought_to)

    def _texts(self, found: Violation) -> Texts:
        return texts(self.rule, found)

    def _new_id(self) -> str:
        self.made += 1
        return f"alert-{self.made}"

    @property
    def standing(self) -> Sequence[Alert]:
        """What has not been taken back."""
        return [alert for alert in self.alerts.values() if alert.resolution != "retracted"]

    def lives(self) -> dict[str, list[Told]]:
        """The records of each alert, in the order in which they were told."""
        found: dict[str, list[Told]] = {}
        for record in self.records:
            found.setdefault(record.alert.alert_id, []).append(record)
        return found
