"""The funnel's rows, read as of every pair of instants, against a naive replay of the events."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.funnel.domain.model import FoldEvent
from tests.integration.funnel.oracle import COMPARED, Pipelines, World
from tests.integration.funnel.test_same_numbers import as_said
from tests.integration.funnel.write_rig import B2B, START, Rig, Said, h, rigged, said, stage
from tests.property.strategies import contexts, histories

pytestmark = pytest.mark.postgres
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
NEVER = 10_000.0
DEFINED: Pipelines = {
    "b2b": (("lead", "open"), ("offer", "open"), ("signed", "won"), ("gone", "lost")),
    "default": B2B,
}
SETTINGS: Sequence[Pipelines] = ({}, {"b2b": DEFINED["b2b"]}, DEFINED)
TIMES = ("stage_entered_at", "created_at", "closed_at")


class Served:
    """The rows of one tenant, read once, asked as of any two instants."""

    def __init__(self, deals: Any, history: Any, visits: Any) -> None:
        self._deals = {row["deal_id"]: row for row in deals}
        self._history, self._visits = history, visits

    @property
    def ids(self) -> set[str]:
        return {row["deal_id"] for row in self._history} | self._deals.keys()

    def state(self, deal: str, valid: float, known: float) -> dict[str, Any] | None:
        at, as_known = h(valid), h(known)
        found = [
            row for row in self._history
            if row["deal_id"] == deal and row["valid_from"] <= at < _end(row["valid_to"])
            and row["known_from"] <= as_known < _end(row["known_to"])
        ]  # fmt: skip
        assert len(found) <= 1, "one truth at a time"
        return _plain(found[0]) if found else None

    def visits(self, deal: str, known: float) -> list[tuple[Any, ...]]:
        return [
            (r["pipeline_id"], r["stage_id"], r["class"], _hour(r["entered_at"]),
             _hour(r["left_at"]), r["exit"])
            for r in self._visits
            if r["deal_id"] == deal and r["known_from"] <= h(known) < _end(r["known_to"])
        ]  # fmt: skip

    def now(self, deal: str) -> tuple[dict[str, Any] | None, int]:
        """The state row, and its number of activities."""
        row = self._deals.get(deal)
        if row is None or row["status"] is None:
            return None, 0
        return _plain(row), row["activity_count"]


def _end(at: datetime) -> datetime:
    """The driver spells infinity without a zone."""
    return at.replace(tzinfo=START.tzinfo)


def _hour(at: datetime | None) -> float | None:
    return None if at is None else (at - START).total_seconds() / 3600


def _plain(row: Any) -> dict[str, Any]:
    plain = {name: row[name] for name in COMPARED}
    return plain | {name: _hour(plain[name]) for name in TIMES}


async def served(rig: Rig, tenant: str) -> Served:
    reads = [
        await rig.hand.fetch(f"SELECT * FROM funnel.{table} WHERE tenant_id = $1 {more}", tenant)  # noqa: S608
        for table, more in (("deals", ""), ("deal_history", ""), ("visits", "ORDER BY deal_id, n"))
    ]
    return Served(*reads)


async def agrees(rig: Rig, tenant: str, events: Sequence[Said], defined: Pipelines) -> None:
    """At every pair of instants at which anything happened or became known, and now."""
    rows, now = await served(rig, tenant), _hour(rig.clock.now()) or 0.0
    valids = sorted({e.at for e in events} | {now, NEVER})
    for known in sorted({e.known for e in events} | {NEVER}):
        for valid in valids:
            world = World(events, defined, valid, known)
            for deal in rows.ids:
                assert rows.state(deal, valid, known) == world.state(deal), (deal, valid, known)
        world = World(events, defined, NEVER, known)
        assert {d: rows.visits(d, known) for d in rows.ids} == {
            d: world.visits(d) for d in rows.ids
        }
    world = World(events, defined, now, NEVER)
    assert {d: rows.now(d) for d in rows.ids} == {
        d: (world.state(d), world.activities(d)) for d in rows.ids
    }


async def told(rig: Rig, defined: Pipelines, events: Sequence[Said], size: int) -> str:
    tenant = await rig.tenant()
    for pipeline_id, stages in defined.items():
        await rig.pipeline(tenant, *stages, pipeline_id=pipeline_id)
    await rig.deliver_cut(tenant, events, size)
    await rig.drain()
    return tenant


STORIES: dict[str, list[Said]] = {
    "stages": [said(0, "deal.created", amount="5"), stage(1, "offer"), stage(2, "lead"),
               stage(3, "offer"), said(4, "deal.won", amount="7")],
    "reopened": [said(0, "deal.created"), stage(1, "offer"), said(2, "deal.lost", reason_code="p"),
                 said(3, "deal.reopened"), said(4, "deal.won"), stage(5, "lead"),
                 said(6, "deal.lost"), said(7, "deal.won"), said(8, "deal.lost")],
    "deleted and restored": [said(0, "deal.created"), said(2, "deal.deleted"), stage(3, "offer"),
                             said(4, "deal.restored"), said(6, "deal.deleted", known=9)],
    "merged": [said(0, "deal.created", "s"), said(0, "deal.created", "m", amount="3"),
               said(1, "activity.logged", "m", activity_id="x"), stage(2, "offer", "m"),
               said(4, "deal.merged", "s", merged_deal_ids=["m", "n"]), said(6, "deal.won", "m"),
               stage(3, "late", "m", known=9), said(1, "deal.created", "n", known=10),
               said(2, "activity.logged", "n", activity_id="y", known=11)],
    "a chain and a cycle": [said(0, "deal.created", "a"), said(0, "deal.created", "b"),
                            said(3, "deal.merged", "b", merged_deal_ids=["a"]),
                            said(4, "deal.merged", "c", merged_deal_ids=["b"]),
                            said(5, "deal.merged", "a", merged_deal_ids=["c"]),
                            stage(6, "offer", "a"),
                            said(2, "deal.merged", "a", merged_deal_ids=["b"], known=9)],
    "moved": [said(0, "deal.created", stage_id="x", pipeline_id="old"), stage(1, "offer"),
              said(2, "deal.updated", changes={"pipeline_id": "b2b"}),
              stage(4, "gone", pipeline_id="b2b"), said(5, "deal.reopened"),
              said(6, "deal.updated", changes={"pipeline_id": "old", "stage_id": "y"})],
    "named late": [said(0, "deal.created", stage_id="lead"), stage(3, "signed"),
                   stage(5, "offer", pipeline_id="b2b"),
                   stage(2, "gone", pipeline_id="other", known=9)],
    "dimensions": [said(-1, "account.upserted", "a", region="north"),
                   said(0, "deal.created", account_id="a", owner_id="u"),
                   said(1, "user.upserted", "u", team_id="t1"),
                   said(3, "account.upserted", "a", region="south"),
                   said(5, "deal.updated", changes={"region": "own"}),
                   said(6, "deal.updated", changes={"region": None, "account_id": "b"}),
                   said(4, "account.upserted", "b", region="east", known=8),
                   said(2, "account.upserted", "a", region="west", known=9)],
    "late": [said(0, "deal.created", stage_id="lead"), said(9, "deal.won"),
             stage(4, "offer", known=10), stage(2, "demo", known=11),
             said(-3, "deal.updated", changes={"amount": "1"}, known=12)],
    "dates": [said(0, "deal.created", expected_close_date="2026-05-01"),
              said(1, "deal.updated", changes={"expected_close_date": "2026-06-01"}),
              said(2, "deal.updated", changes={"expected_close_date": None}),
              said(3, "deal.updated", changes={"expected_close_date": "2026-04-01"}),
              said(4, "deal.updated", changes={"expected_close_date": "2026-04-02"})],
    "one instant": [
        said(0, "deal.created", stage_id="lead", id="z"),
        stage(0, "offer", id="y"),
        stage(0, "third", id="a", sequence=10),
        stage(0, "second", id="b", sequence=9),
        stage(0, "first", id="c", source="/aaa"),
    ],
    "reconciled": [said(0, "deal.created"), said(1, "deal.created", "m"),
                   said(1, "activity.logged", activity_id="a", origin="reconcile"),
                   said(2, "activity.logged", activity_id="a"),
                   said(3, "activity.completed", activity_id="b", origin="reconcile"),
                   said(4, "activity.logged", activity_id="b", origin="reconcile"),
                   said(5, "activity.completed", activity_id="a", origin="reconcile"),
                   said(2, "activity.logged", "m", activity_id="b"),
                   said(3, "activity.logged", "m", activity_id="a", origin="reconcile"),
                   said(6, "deal.merged", merged_deal_ids=["m"])],
    "attributes": [said(0, "deal.created", attributes={"x": 1, "y": {"z": [1.5]}}),
                   said(1, "deal.updated", changes={"attributes.x": True}),
                   said(2, "deal.updated", changes={"attributes.y": None, "attributes.w": "v"})],
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("defined", SETTINGS, ids=["nothing defined", "b2b", "both"])
async def test_stories(rig: Rig, name: str, defined: Pipelines) -> None:
    events, chance = STORIES[name], random.Random(1)
    for size in (1, 3, len(events)):
        for ordered in (events, events[::-1], chance.sample(events, len(events))):
            tenant = await told(rig, defined, ordered, size)
            await agrees(rig, tenant, events, defined)


def test_any_history(database_url: str) -> None:
    @FEW
    @given(histories(), contexts, st.sampled_from(SETTINGS), st.randoms(use_true_random=False))
    def law(
        events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines, chance: Any
    ) -> None:
        every = [as_said(event) for event in (*events, *context)]

        async def compare() -> None:
            async with rigged(database_url, h(8)) as rig:
                shuffled = chance.sample(every, len(every))
                tenant = await told(rig, defined, shuffled, chance.choice((1, 3, 99)))
                await agrees(rig, tenant, every, defined)

        asyncio.run(compare())

    law()
