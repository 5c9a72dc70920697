"""Rules that are off or deleted: they end what they have raised, and cost nothing else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from libs.common.db.outbox import OutboxRow
from services.alerts.app.compiling import Compiler, StoredRule
from services.alerts.app.judging import Judge
from services.alerts.app.ports import JudgingStore, Rows, Timer
from services.alerts.domain.alert import Alert
from services.alerts.domain.reconcile import Moment
from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import Facts
from tests.unit.alerts.desk import rule
from tests.unit.alerts.facts import created, facts_of, h

MANY = 2_000


def stored(rule_id: str, mode: Any) -> StoredRule:
    return StoredRule("t", rule_id, 1, {}, mode, h(-1_000), h(30), h(30), "test", 1, h(30))


@dataclass
class Store:
    """A tenant's deals that have just been created; what is written counts."""

    kept: Sequence[StoredRule]
    deals: Mapping[str, Facts]
    alerts: list[Alert] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    held: Sequence[str] = ()
    asked_to_hold: int = 0
    settled: list[str] = field(default_factory=list)
    disarmed: list[tuple[Collection[str], Collection[str]]] = field(default_factory=list)

    async def rules(self, *_: object) -> Sequence[StoredRule]:
        return self.kept

    async def facts(self, *_: object) -> Mapping[str, Facts]:
        return self.deals

    async def hold(self, *_: object) -> Sequence[str]:
        self.asked_to_hold += 1
        return self.held

    async def rows(self, *_: object) -> Rows:
        latest = {alert.alert_id: alert for alert in self.alerts}.values()
        held = {(alert.subject_id, alert.rule_id): [alert] for alert in latest}
        return Rows(held, {key: len(of) for key, of in held.items()}, {})

    async def write_alerts(self, _: str, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    async def write_timers(self, _: str, timers: Sequence[Timer]) -> None:
        self.timers += timers

    async def disarm(self, _: str, subjects: Collection[str], live: Collection[str]) -> None:
        self.disarmed.append((subjects, live))

    async def count_errors(self, *_: object) -> None: ...

    async def settle(self, _: str, subjects: Collection[str]) -> None:
        self.settled += subjects

    async def publish(self, rows: Sequence[OutboxRow]) -> None: ...


@dataclass
class Compiled:
    """Notes what is compiled."""

    asked: list[str] = field(default_factory=list)

    def rule(self, of: StoredRule) -> Rule:
        self.asked.append(of.rule_id)
        return replace(rule(limit=10), rule_id=of.rule_id, live=of.mode == "live", changed_at=h(30))


def deals(*names: str) -> dict[str, Facts]:
    bare = facts_of([created(0)])
    assert bare is not None
    return {name: replace(bare, deal_id=name) for name in names}


async def judged(store: Store, hour: float, **more: Any) -> Compiled:
    compiled, at = Compiled(), h(hour)
    judge = Judge(cast(Compiler, compiled), (f"a-{n}" for n in range(99)).__next__)
    await judge.judge(cast(JudgingStore, store), "t", list(store.deals), Moment(at, at, at, **more))
    return compiled


async def test_what_is_deleted_is_neither_compiled_nor_armed() -> None:
    gone = [stored(f"gone-{n}", "deleted") for n in range(MANY)]
    store = Store([*gone, stored("off", "off"), stored("live", "live")], deals("d1", "d2"))
    compiled = await judged(store, 5)
    assert set(compiled.asked) == {"live"}
    assert [(timer.subject_id, timer.rule_id) for timer in store.timers] == [
        ("d1", "live"), ("d2", "live"),
    ]  # fmt: skip
    assert store.disarmed == [(["d1", "d2"], ["live"])]


async def test_it_ends_what_it_has_raised_and_is_armed_no_more() -> None:
    store = Store([stored("r", "live")], deals("d1"))
    await judged(store, 20)
    store.deals, store.kept, store.timers = deals("d1", "d2"), [stored("r", "deleted")], []
    assert (await judged(store, 40)).asked == ["r"]
    assert [(one.subject_id, one.resolution) for one in store.alerts] == [
        ("d1", None), ("d1", "superseded"),
    ]  # fmt: skip
    assert store.timers == []
    assert (await judged(store, 50)).asked == []
