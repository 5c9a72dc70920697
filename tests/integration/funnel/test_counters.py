"""What `/metrics` tells of the projection's work."""

import pytest
from prometheus_client import REGISTRY

from tests.integration.funnel.write_rig import Rig, said, stage

pytestmark = pytest.mark.postgres
OUTCOMES = ("new", "duplicate", "conflict", "earlier")


def counts() -> dict[str, float]:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"headway_funnel_{name}_total", labels) or 0.0

    events = {outcome: value("events", outcome=outcome) for outcome in OUTCOMES}
    return events | {path: value("folds", path=path) for path in ("head", "refold")}


def projected() -> dict[str, float]:
    late = REGISTRY.get_sample_value("headway_projection_out_of_order_total") or 0.0
    name = "headway_projection_applied_total"
    kinds = {k: REGISTRY.get_sample_value(name, {"kind": k}) or 0.0 for k in ("deal", "account")}
    return kinds | {"late": late}


async def test_events_are_counted_by_outcome_and_folds_by_path(rig: Rig) -> None:
    tenant = await rig.tenant()
    before = counts()
    created, moved = said(0, "deal.created", stage_id="lead"), stage(2, "offer", known=8)
    await rig.deliver(tenant, created, moved)
    await rig.deliver(tenant, created.again(), created.again(at=1), moved.again(known=3))
    counted = {name: value - before[name] for name, value in counts().items()}
    assert counted == {
        "new": 2, "duplicate": 1, "conflict": 1, "earlier": 1, "head": 1, "refold": 1,
    }  # fmt: skip


async def test_new_events_are_counted_by_kind_and_by_whether_they_came_late(rig: Rig) -> None:
    tenant = await rig.tenant()
    before = projected()
    created, moved = said(0, "deal.created", stage_id="lead"), stage(4, "offer")
    await rig.deliver(tenant, created, moved)
    assert projected()["late"] == before["late"]
    late = [stage(at, f"late-{at}") for at in (1, 2, 3)]
    await rig.deliver(tenant, *late, stage(6, "demo"), stage(8, "contract"), moved.again())
    await rig.deliver(tenant, said(3, "weather.changed", sky="grey"))
    counted = {name: value - before[name] for name, value in projected().items()}
    assert counted == {"deal": 7, "account": 0, "late": 3}
