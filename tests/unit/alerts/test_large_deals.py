"""Deals with very many activities: they cost what they weigh, and nobody waits for them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

import pytest

from libs.common.contracts.catalogue import parse
from libs.common.contracts.events import ActivityData
from services.alerts.app.compiling import Compiler
from services.alerts.app.judging import LARGE, Judge
from services.alerts.app.ports import JudgingStore, Rows
from services.alerts.domain.reconcile import Moment
from services.alerts.domain.rule import MetBy, Rule
from services.alerts.domain.timeline import EventRef, Facts, Said
from tests.unit.alerts.desk import Says, judged, rule
from tests.unit.alerts.facts import created, facts_of, h

PATIENCE = 10.0


def busy(count: int, type_: str = "activity.logged", **data: Any) -> Facts:
    """A deal with an activity a minute."""
    bare = facts_of([created(0)])
    assert bare is not None
    said = [_said(n, type_, data) for n in range(count)]
    return Facts("d1", bare.first, bare.declared, bare.spans, bare.visits, said)


def _said(n: int, type_: str, data: Mapping[str, Any]) -> Said:
    at, fields = h(n / 60), {"activity_id": f"a{n}", "deal_id": "d1", "kind": "email", **data}
    if type_ == "activity.scheduled":
        fields["scheduled_for"] = h(10_000 + n).isoformat()
    parsed = parse(type_, fields, strict=True)
    assert isinstance(parsed, ActivityData)
    return Said(EventRef(at, "/crm", f"e{n}"), type_, "d1", parsed)


def cost(of: Rule, facts: Facts) -> float:
    """Seconds of the processor."""
    before = time.process_time()
    judged(of, facts, h(9_000))
    return time.process_time() - before


@pytest.mark.parametrize("type_", ["activity.logged", "activity.scheduled"])
def test_four_times_the_activities_cost_about_four_times_as_much(type_: str) -> None:
    of = rule("last_activity_at", 1_000, met_by=MetBy(frozenset({"call"})))
    few, many = busy(2_000, type_), busy(8_000, type_)
    assert min(cost(of, many) for _ in range(2)) < 9 * max(cost(of, few) for _ in range(3))


@dataclass
class Store:
    """One deal, one rule."""

    of: Facts
    written: list[Any] = field(default_factory=list)

    async def rules(self, *_: object) -> Sequence[Any]:
        return [_Stored()]

    async def facts(self, *_: object) -> Mapping[str, Facts]:
        return {"d1": self.of}

    async def hold(self, *_: object) -> Sequence[str]:
        return ()

    async def rows(self, *_: object) -> Rows:
        return Rows({}, {}, {})

    async def write_alerts(self, _: str, alerts: Sequence[Any]) -> None:
        self.written += alerts

    async def write_timers(self, *_: object) -> None: ...

    async def disarm(self, *_: object) -> None: ...

    async def count_errors(self, *_: object) -> None: ...

    async def settle(self, *_: object) -> None: ...

    async def publish(self, _: object) -> None: ...


@dataclass(frozen=True)
class _Stored:
    rule_id: str = "r"
    version: int = 1
    mode: str = "live"


@dataclass
class Compiled:
    of: Rule

    def rule(self, _: object) -> Rule:
        return self.of


async def test_everybody_is_served_while_a_large_deal_is_judged() -> None:
    """Its scope waits for the others; they would never come if it kept them out."""
    served = Event()
    patient = Says("patient", lambda _: served.wait(PATIENCE))
    store, compiler = Store(busy(LARGE)), Compiled(rule("created_at", 1_000, scope=patient))
    judge = Judge(cast(Compiler, compiler), iter("abc").__next__)
    asyncio.get_running_loop().call_later(0.01, served.set)
    now = h(1_500)
    before = time.monotonic()
    await judge.judge(cast(JudgingStore, store), "t", ["d1"], Moment(now, now, now))
    assert time.monotonic() - before < PATIENCE
    assert len(store.written) == 1
