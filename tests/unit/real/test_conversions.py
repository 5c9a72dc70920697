"""Every row of the real data becomes the events that it should, each valid for a strict writer."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from libs.common.contracts.catalogue import parse
from tests.real import bpic2012, maven
from tests.real.data import file


@cache
def log() -> Sequence[bpic2012.Row]:
    return list(bpic2012.rows(file(bpic2012.FILE)))


def judged(events: list[dict[str, Any]]) -> Counter[str]:
    """Types counted; an event that breaks its contract raises."""
    for event in events:
        assert parse(event["type"], event["data"], strict=True) is not None, event
    assert len({event["id"] for event in events}) == len(events)
    return Counter(event["type"] for event in events)


def test_every_row_of_the_loan_log_is_one_event() -> None:
    rows = log()
    events = list(bpic2012.events(rows))
    assert (len(rows), len({row["case_id"] for row in rows})) == (262_200, 13_087)
    counted = judged(events)
    assert sum(counted.values()) == len(rows)
    assert counted["deal.created"] == 13_087
    stages = sum(row["activity"].startswith("A_") for row in rows)
    assert counted["deal.stage_changed"] == stages - 13_087
    assert counted["activity.scheduled"] == sum(row["lifecycle"] == "SCHEDULE" for row in rows)


def test_stages_are_the_logs_own() -> None:
    told = {r["activity"] for r in log()}
    stages = {*bpic2012.OPEN, *bpic2012.WON, *bpic2012.LOST}
    assert {name for name in told if name.startswith("A_")} == stages


def test_rows_of_one_millisecond_differ_in_sequence() -> None:
    events = list(bpic2012.events(log()))
    instants = Counter((event["data"]["deal_id"], event["time"]) for event in events)
    assert sum(count - 1 for count in instants.values()) == 13_995
    places = {(e["data"]["deal_id"], e["time"], e["sequence"]) for e in events}
    assert len(places) == len(events)


def test_every_opportunity_account_and_agent_is_told() -> None:
    deals = list(
        maven.deals(maven.rows(file(maven.PIPELINE_FILE)), maven.rows(file(maven.PRODUCTS_FILE)))
    )
    assert judged(deals) == {
        "deal.created": 8_800, "deal.stage_changed": 8_300, "deal.won": 4_238, "deal.lost": 2_473
    }  # fmt: skip
    accounts = list(maven.accounts(maven.rows(file(maven.ACCOUNTS_FILE))))
    assert judged(accounts) == {"account.upserted": 85}
    people = list(maven.people(maven.rows(file(maven.TEAMS_FILE))))
    assert judged(people) == {"team.upserted": 3, "user.upserted": 41}
