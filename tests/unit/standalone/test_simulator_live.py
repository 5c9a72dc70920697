"""The live trickle continues what is there and takes only possible steps."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from libs.common.contracts.catalogue import parse
from services.standalone.simulator import PIPELINES, OpenDeal, next_events
from services.standalone.simulator.live import due
from services.standalone.simulator.world import build_world

NOW = datetime(2026, 6, 17, 13, 30, 5, 123456, tzinfo=UTC)
WORLD = build_world(7)


def _state(**changes: Any) -> dict[str, Any]:
    return {
        "deal_id": "D-1",
        "pipeline_id": "b2b",
        "stage_id": "reach",
        "status": "open",
        "owner_id": "rep-01",
        "account_id": "acc-001",
        "amount": {"amount": "1000.00", "currency": "EUR"},
    } | changes


def _open(deal_id: str, stage_id: str) -> OpenDeal:
    deal = OpenDeal.of(_state(deal_id=deal_id, stage_id=stage_id))
    assert deal is not None
    return deal


def test_same_draws_give_same_events_and_all_fit_the_catalogue() -> None:
    deals = [_open(f"D-{n}", "discovery") for n in range(20)]
    first = next_events(Random(1), WORLD, deals, NOW, 12)
    assert first == next_events(Random(1), WORLD, deals, NOW, 12)
    for event in first:
        assert parse(event["type"], event["data"], strict=True) is not None
        assert event["time"] == "2026-06-17T13:30:05.123Z"


@pytest.mark.parametrize("stage_id", [stage.id for stage in PIPELINES["b2b"].stages])
def test_moves_lead_only_to_neighbours_or_to_an_end(stage_id: str) -> None:
    stages = [stage.id for stage in PIPELINES["b2b"].stages]
    place = stages.index(stage_id)
    kinds = set()
    for seed in range(400):
        for event in next_events(Random(seed), WORLD, [_open("D-1", stage_id)], NOW, 1):
            kinds.add(event["type"])
            if event["type"] == "deal.stage_changed":
                assert event["data"]["from_stage_id"] == stage_id
                assert abs(stages.index(event["data"]["stage_id"]) - place) == 1
    assert ("deal.won" in kinds) == (place == len(stages) - 1)
    assert {"deal.lost", "activity.logged", "deal.updated"} <= kinds


def test_each_deal_takes_at_most_one_step_at_a_time() -> None:
    deals = [_open(f"D-{n}", "proposal") for n in range(5)]
    for seed in range(50):
        ids = [event["subject"] for event in next_events(Random(seed), WORLD, deals, NOW, 5)]
        assert len(ids) == len(set(ids))


def test_without_open_deals_new_ones_begin_and_ids_never_repeat() -> None:
    first = next_events(Random(1), WORLD, [], NOW, 3)
    second = next_events(Random(1), WORLD, [], NOW + timedelta(milliseconds=5), 3)
    assert {event["type"] for event in [*first, *second]} == {"deal.created"}
    assert len({event["id"] for event in [*first, *second]}) == 6
    assert len({event["subject"] for event in [*first, *second]}) == 6


@pytest.mark.parametrize(
    "changes",
    [{"status": "won"}, {"pipeline_id": "other"}, {"stage_id": "own-stage"}, {"owner_id": None}],
)
def test_deals_that_are_not_the_simulators_are_left_alone(changes: dict[str, Any]) -> None:
    assert OpenDeal.of(_state(**changes)) is None


def test_due_counts_events_since_the_start() -> None:
    assert due(NOW, NOW + timedelta(seconds=90), per_minute=6) == 9
    assert due(NOW, NOW, per_minute=6) == 0
