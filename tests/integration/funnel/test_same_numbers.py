"""The same events give the same rows: whatever the batch cut, the order, the repetitions, and
whether accounts and users come before or after their deals."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.funnel.domain.inputs import Pipelines
from services.funnel.domain.model import FoldEvent
from tests.integration.funnel.write_rig import START, Rig, Said, h, rigged, said, stage
from tests.property.strategies import VERSIONS, contexts, histories

pytestmark = pytest.mark.postgres
NOW = 8
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
pipelines = st.builds(
    lambda b2b, default: Pipelines({"b2b": b2b, "default": default}),
    st.sampled_from(VERSIONS),
    st.sampled_from(VERSIONS),
)
Rows = dict[str, list[Any]]


def as_said(event: FoldEvent) -> Said:
    data = event.data.model_dump(mode="json", exclude_unset=True)
    return Said(
        _hours(event.occurred_at), event.type, data, _hours(event.recorded_at), event.id,
        event.source, event.sequence, "reconcile" if event.reconciled else "live",
    )  # fmt: skip


def _hours(at: datetime) -> float:
    return (at - START).total_seconds() / 3600


async def one_batch(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    await rig.deliver(tenant, *events)


async def one_by_one(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    await rig.deliver_cut(tenant, events, 1)


async def shuffled(rig: Rig, tenant: str, events: list[Said], chance: random.Random) -> None:
    await rig.deliver_cut(tenant, chance.sample(events, len(events)), 7)


async def as_it_was_recorded(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    """The usual way: mostly at the head, so the incremental path takes part."""
    await rig.deliver_cut(tenant, sorted(events, key=lambda e: (e.known, e.at)), 1)


async def in_fold_order(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    await rig.deliver_cut(tenant, sorted(events, key=lambda e: (e.at, e.known)), 2)


async def twice(rig: Rig, tenant: str, events: list[Said], chance: random.Random) -> None:
    """Every delivery comes again, recorded later, in any order; the first may come last."""
    deliveries = events + [e.again(known=e.known + chance.randint(0, 9)) for e in events]
    await rig.deliver_cut(tenant, chance.sample(deliveries, len(deliveries)), 3)


async def contexts_first(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    await rig.deliver_cut(tenant, sorted(events, key=lambda e: e.type.startswith("deal")), 1)


async def contexts_last(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    await rig.deliver_cut(tenant, sorted(events, key=lambda e: not e.type.startswith("deal")), 1)


async def with_drains(rig: Rig, tenant: str, events: list[Said], chance: random.Random) -> None:
    """The refold queue is drained, and the alarms ring, in between."""
    for event in chance.sample(events, len(events)):
        await rig.deliver(tenant, event)
        await rig.drain()
        await rig.wake()


async def while_rebuilding(rig: Rig, tenant: str, events: list[Said], _: random.Random) -> None:
    half = len(events) // 2
    await rig.deliver(tenant, *events[:half], said_first())
    await rig.ask_rebuild(tenant)
    await rig.rebuilds.step()
    await rig.deliver_cut(tenant, events[half:], 1)
    await rig.drain()
    while await rig.rebuilds.step():
        pass


def said_first() -> Said:
    """A tenant is known to the funnel from its first event on; this one changes no row."""
    return Said(0, "something.unknown", {}, 0, "first")


Way = Callable[[Rig, str, list[Said], random.Random], Awaitable[None]]
WAYS: Sequence[Way] = (
    one_by_one, shuffled, as_it_was_recorded, in_fold_order, twice, contexts_first, contexts_last,
    with_drains, while_rebuilding,
)  # fmt: skip


async def _rows(
    rig: Rig, way: Way, events: list[Said], defined: Pipelines, chance: random.Random
) -> Rows:
    tenant = await rig.tenant()
    for pipeline_id, versions in defined.versions.items():
        for number, version in enumerate(versions, 1):
            await rig.pipeline(
                tenant, *version.stages.items(), pipeline_id=pipeline_id,
                at=_hours(version.published_at), version=number,
            )  # fmt: skip
    await way(rig, tenant, events, chance)
    await rig.drain()
    await rig.wake()
    rows = await rig.rows(tenant)
    rows["events"] = [row for row in rows["events"] if row[1] != "first"]
    return rows


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_to_the_same_events_gives_the_same_rows(database_url: str, way: Way) -> None:
    @FEW
    @given(histories(), contexts, pipelines, st.randoms(use_true_random=False))
    def law(
        events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines, chance: random.Random
    ) -> None:
        async def compare() -> None:
            async with rigged(database_url, h(NOW)) as rig:
                every = [as_said(event) for event in (*events, *context)]
                wanted = await _rows(rig, one_batch, every, defined, chance)
                assert await _rows(rig, way, every, defined, chance) == wanted

        asyncio.run(compare())

    law()


async def test_a_stage_believed_only_for_a_while_is_not_discovered(rig: Rig) -> None:
    """The pipeline is named by the earlier event, which comes last."""
    created = said(1, "deal.created", pipeline_id="p", stage_id="a")
    moved = stage(2, "b")
    first, second = await rig.tenant(), await rig.tenant()
    await rig.deliver(first, created)
    await rig.deliver(first, moved)
    await rig.deliver(second, moved)
    await rig.deliver(second, created)
    registered = [(await rig.rows(tenant))["stages"] for tenant in (first, second)]
    assert registered[0] == registered[1]
    assert {row[0] for row in registered[0]} == {"p"}


async def test_the_order_of_discovered_stages_is_that_of_belief(rig: Rig) -> None:
    events = [
        said(1, "deal.created", "d", pipeline_id="p"),
        stage(2, "x", "d"),
        said(6, "deal.updated", "d", changes={"pipeline_id": "q", "stage_id": "z"}),
        said(4, "deal.created", "g", pipeline_id="q", stage_id="y"),
        stage(5, "x", "g"),
    ]
    found = []
    for order in ([0, 1, 2, 3, 4], [3, 4, 2, 1, 0], [4, 3, 2, 0, 1]):
        tenant = await rig.tenant()
        for place in order:
            await rig.deliver(tenant, events[place])
        found.append((await rig.rows(tenant))["stages"])
    assert found[0] == found[1] == found[2]
