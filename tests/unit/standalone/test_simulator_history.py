"""The simulated history: repeatable, valid, rhythmic, and rich in what real histories contain."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from libs.common.contracts.catalogue import parse
from services.standalone.simulator import PIPELINES, Plan, history, lines
from services.standalone.simulator.delivery import Event
from services.standalone.simulator.hours import ZONE

NOW = datetime(2026, 6, 17, 13, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def events() -> Sequence[Event]:
    return history(Plan(NOW))


def _arrival(event: Event) -> datetime:
    return datetime.fromisoformat(str(event.get("recordedtime", event["time"])))


def _first_sight(events: Sequence[Event]) -> list[Event]:
    seen: dict[str, Event] = {}
    for event in events:
        seen.setdefault(event["id"], event)
    return list(seen.values())


def _happened(events: Sequence[Event]) -> list[Event]:
    return sorted(_first_sight(events), key=lambda event: int(event["sequence"]))


def _of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def test_same_plan_gives_same_bytes_and_another_seed_gives_others() -> None:
    plan = Plan(NOW, seed=3, months=2)
    assert b"".join(lines(history(plan))) == b"".join(lines(history(plan)))
    assert history(Plan(NOW, seed=4, months=2)) != history(plan)


def test_size_is_that_of_a_team_of_twelve(events: Sequence[Event]) -> None:
    deals = {event["data"]["deal_id"] for event in _of_type(events, "deal.created")}
    assert 1_400 <= len(deals) <= 2_500
    assert 28_000 <= len(events) <= 45_000
    assert len({event["data"]["user_id"] for event in _of_type(events, "user.upserted")}) == 15
    assert (
        len({event["data"]["account_id"] for event in _of_type(events, "account.upserted")}) == 120
    )


def test_every_event_fits_the_catalogue_strictly(events: Sequence[Event]) -> None:
    for event in events:
        assert parse(event["type"], event["data"], strict=True) is not None


def test_events_arrive_in_order_and_none_after_now(events: Sequence[Event]) -> None:
    arrivals = [_arrival(event) for event in _first_sight(events)]
    assert all(before <= after for before, after in pairwise(arrivals))
    assert arrivals[-1] <= NOW
    assert NOW - arrivals[-1] < timedelta(days=1)
    assert NOW - arrivals[0] > timedelta(days=540)


def test_ids_are_unique_and_the_sequence_orders_equal_instants(events: Sequence[Event]) -> None:
    happened = _happened(events)
    assert len({int(event["sequence"]) for event in happened}) == len(happened)
    times = [datetime.fromisoformat(event["time"]) for event in happened]
    assert all(before <= after for before, after in pairwise(times))


def test_people_work_on_weekdays_in_office_hours(events: Sequence[Event]) -> None:
    local = [
        datetime.fromisoformat(event["time"]).astimezone(ZoneInfo(ZONE))
        for event in _of_type(events, "deal.stage_changed") + _of_type(events, "deal.created")
    ]
    weekend = sum(at.weekday() >= 5 for at in local)
    assert weekend == 0
    assert sum(8 <= at.hour <= 18 for at in local) / len(local) > 0.99
    by_hour = Counter(at.hour for at in local)
    assert by_hour[10] > by_hour[12]


def test_every_deal_begins_with_its_creation(events: Sequence[Event]) -> None:
    seen: set[str] = set()
    for event in _happened(events):
        if event["type"].startswith("deal.") and (deal_id := event["data"]["deal_id"]) not in seen:
            assert event["type"] == "deal.created"
            seen.add(deal_id)


def test_stage_moves_start_where_the_deal_stands(events: Sequence[Event]) -> None:
    stage: dict[str, str] = {}
    pipeline: dict[str, str] = {}
    for event in _happened(events):
        data = event["data"]
        match event["type"]:
            case "deal.created":
                stage[data["deal_id"]], pipeline[data["deal_id"]] = (
                    data["stage_id"],
                    data["pipeline_id"],
                )
            case "deal.stage_changed":
                assert stage[data["deal_id"]] == data["from_stage_id"]
                assert PIPELINES[pipeline[data["deal_id"]]].position(data["stage_id"]) is not None
                stage[data["deal_id"]] = data["stage_id"]
            case "deal.won" | "deal.lost":
                assert stage[data["deal_id"]] not in ("won", "lost")
                stage[data["deal_id"]] = event["type"].removeprefix("deal.")
            case "deal.reopened":
                assert stage[data["deal_id"]] == "lost"
                stage[data["deal_id"]] = data["stage_id"]


def test_deals_skip_stages_and_step_back(events: Sequence[Event]) -> None:
    moves = Counter[int]()
    for event in _of_type(events, "deal.stage_changed"):
        data = event["data"]
        for pipeline in PIPELINES.values():
            before, after = (pipeline.position(data[key]) for key in ("from_stage_id", "stage_id"))
            if before is not None and after is not None:
                moves[after - before] += 1
    assert moves[2] > 10
    assert moves[-1] > 10
    assert moves[1] > 10 * moves[2]


@pytest.mark.parametrize(
    "kind",
    [
        "deal.won", "deal.lost", "deal.reopened", "deal.deleted", "deal.restored", "deal.merged",
        "activity.logged", "activity.scheduled", "activity.completed", "activity.cancelled",
        "lead.created", "lead.assigned", "lead.accepted", "lead.rejected", "lead.qualified",
        "lead.disqualified", "lead.converted", "order.placed", "cost.recorded",
    ],
)  # fmt: skip
def test_every_promised_kind_of_event_occurs(events: Sequence[Event], kind: str) -> None:
    assert len(_of_type(events, kind)) >= 3


def test_owners_amounts_and_close_dates_change(events: Sequence[Event]) -> None:
    changed = Counter(
        field for event in _of_type(events, "deal.updated") for field in event["data"]["changes"]
    )
    for field in ("owner_id", "team_id", "amount", "expected_close_date"):
        assert changed[field] >= 50
    pushes = [
        event["data"]["changes"]["expected_close_date"]
        > event["data"]["previous"]["expected_close_date"]
        for event in _of_type(events, "deal.updated")
        if "expected_close_date" in event["data"]["changes"]
    ]
    assert 0.6 < sum(pushes) / len(pushes) < 1


def test_losses_have_reasons_and_some_name_a_competitor(events: Sequence[Event]) -> None:
    lost = _of_type(events, "deal.lost")
    assert len({event["data"]["reason_code"] for event in lost}) == 5
    assert any(event["data"].get("competitor") for event in lost)


def test_some_events_arrive_late_and_some_twice(events: Sequence[Event]) -> None:
    late = [event for event in events if "recordedtime" in event]
    assert 0.01 < len(late) / len(events) < 0.05
    assert all(event["recordedtime"] > event["time"] for event in late)
    times = Counter(event["id"] for event in events)
    twice = [key for key, count in times.items() if count == 2]
    assert 0.004 < len(twice) / len(times) < 0.02
    bodies = Counter(line for line in lines(events))
    assert sum(count == 2 for count in bodies.values()) == len(twice)


def test_both_pipelines_have_open_won_and_lost_deals_at_the_end(events: Sequence[Event]) -> None:
    status: dict[str, str] = {}
    pipeline: dict[str, str] = {}
    for event in _happened(events):
        deal_id = event["data"].get("deal_id", "")
        if event["type"] == "deal.created":
            pipeline[deal_id], status[deal_id] = event["data"]["pipeline_id"], "open"
        elif event["type"] in ("deal.won", "deal.lost"):
            status[deal_id] = event["type"]
    ends = Counter((pipeline[deal_id], end) for deal_id, end in status.items())
    for name in PIPELINES:
        assert min(ends[name, end] for end in ("open", "deal.won", "deal.lost")) >= 10


def test_an_accounts_first_won_deal_makes_it_a_customer(events: Sequence[Event]) -> None:
    customers: set[str] = set()
    later_deals = 0
    for event in _happened(events):
        data = event["data"]
        if event["type"] == "account.upserted" and data.get("customer_type") == "existing":
            customers.add(data["account_id"])
        if event["type"] == "deal.created" and data["account_id"] in customers:
            assert data["customer_type"] == "existing" or data["deal_id"].endswith("-copy")
            later_deals += 1
    assert later_deals > 100
