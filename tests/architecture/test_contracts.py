"""Contracts: every example valid, schema files up to date, no incompatible change."""

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonschema
import pytest

from libs.common.contracts import deals, topics
from libs.common.contracts.alerts import EVENTS, STATES
from libs.common.contracts.catalogue import parse
from libs.common.contracts.cloudevents import canonical, from_structured
from libs.common.contracts.deals import StateChanged, to_json
from libs.common.testing.contract_schemas import (
    EXAMPLES,
    SCHEMAS,
    breaks,
    models,
    place,
    render,
    schema_of,
    stored,
)
from tests.architecture.tree import ROOT, SERVICES

TYPES = sorted(models())
RECORDS: dict[str, type[deals.RecordData]] = {**deals.RECORDS, **EVENTS, **STATES}
"""What topics carry besides CRM events."""


def example(event_type: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place(event_type, EXAMPLES).read_text("utf-8"))
    return found


def data_of(event_type: str) -> Any:
    return example(event_type) if event_type in RECORDS else example(event_type)["data"]


@pytest.mark.parametrize("event_type", TYPES)
def test_every_type_has_an_example_that_its_schema_and_its_model_take(event_type: str) -> None:
    data = data_of(event_type)
    jsonschema.Draft202012Validator(
        schema_of(event_type), format_checker=jsonschema.FormatChecker()
    ).validate(data)
    if event_type in RECORDS:
        record = RECORDS[event_type].model_validate(data, extra="forbid")
        assert json.loads(to_json(record)) == data
    else:
        event = from_structured(example(event_type))
        assert event.type == event_type
        assert parse(event_type, event.data, strict=True) == parse(
            event_type, canonical(event.data), strict=True
        )


def test_every_example_shows_every_field() -> None:
    """Fields that no example shows are fields that nobody finds."""
    shown: dict[str, set[str]] = {}
    for name in TYPES:
        shown.setdefault(name.partition(".")[0], set()).update(data_of(name))
    hidden = [
        f"{name}.{field}"
        for name in TYPES
        for field in schema_of(name)["properties"]
        if field not in shown[name.partition(".")[0]]
    ]
    assert hidden == []


def test_no_example_or_schema_is_left_of_a_type_that_is_gone() -> None:
    for below in (EXAMPLES, SCHEMAS):
        assert sorted(below.rglob("*.json")) == sorted(place(name, below) for name in TYPES)


@pytest.mark.parametrize("event_type", TYPES)
def test_schema_files_have_not_drifted(event_type: str) -> None:
    file = place(event_type, SCHEMAS)
    advice = "run python -m libs.common.testing.contract_schemas"
    assert file.read_text("utf-8") == render(schema_of(event_type)), advice


def released(event_type: str) -> dict[str, Any] | None:
    """The schema at the last tag: what others may rely on."""
    git = ["git", "-C", str(ROOT)]
    tag = subprocess.run(
        [*git, "describe", "--tags", "--abbrev=0"], capture_output=True, check=False
    )
    if tag.returncode != 0:
        return stored(event_type)  # nothing has been released: what is written counts
    name = f"{tag.stdout.decode().strip()}:{place(event_type, SCHEMAS).relative_to(ROOT)}"
    shown = subprocess.run([*git, "show", name], capture_output=True, check=False)
    return json.loads(shown.stdout) if shown.returncode == 0 else None


@pytest.mark.parametrize("event_type", TYPES)
def test_no_change_since_the_last_release_breaks_anybody(event_type: str) -> None:
    old = released(event_type)
    assert old is None or list(breaks(old, schema_of(event_type))) == []


def plant(change: Callable[[dict[str, Any]], object], event_type: str) -> list[str]:
    old = schema_of(event_type)
    new = deepcopy(old)
    change(new)
    return list(breaks(old, new))


@pytest.mark.parametrize(
    ("event_type", "change", "fault"),
    [
        ("deal.lost", lambda s: s["properties"].pop("competitor"), "/competitor was removed"),
        (
            "deal.lost",
            lambda s: s["properties"].update(competitor={"type": "integer"}),
            "/competitor was retyped",
        ),
        (
            "deal.lost",
            lambda s: s["required"].append("competitor"),
            "/competitor is newly required",
        ),
        (
            "deal.won",
            lambda s: s["properties"]["deal_id"].update(maxLength=20),
            "/deal_id was retyped",
        ),
        (
            "survey.answered",
            lambda s: s["properties"]["kind"].update(enum=["nps"]),
            "/kind takes fewer values",
        ),
        (
            "deal.state_changed",
            lambda s: s["$defs"]["DealRecordState"]["properties"].pop("life"),
            "/state/life was removed",
        ),
        (
            "deal.state_changed",
            lambda s: s["$defs"]["Money"]["properties"]["amount"].update(type="number"),
            "/state/amount/amount was retyped",
        ),
        (
            "deal.state_changed",
            lambda s: s["$defs"]["Cause"]["required"].append("data"),
            "/cause/data is newly required",
        ),
    ],
)
def test_a_planted_incompatible_change_is_caught(
    event_type: str, change: Callable[[dict[str, Any]], object], fault: str
) -> None:
    assert plant(change, event_type) == [fault]


@pytest.mark.parametrize(
    ("event_type", "change"),
    [
        ("deal.lost", lambda s: s["properties"].update(more={"type": "string"})),
        ("deal.lost", lambda s: s["properties"]["competitor"].update(description="Who won.")),
        ("survey.answered", lambda s: s["properties"]["kind"]["enum"].append("ces")),
        (
            "deal.state_changed",
            lambda s: s["$defs"]["Money"]["properties"].update(more={"type": "string"}),
        ),
    ],
)
def test_a_compatible_change_passes(
    event_type: str, change: Callable[[dict[str, Any]], object]
) -> None:
    assert plant(change, event_type) == []


def test_readers_ignore_what_they_do_not_know_and_writers_may_not_send_it() -> None:
    data = data_of("deal.state_changed") | {"tomorrow": 1}
    assert StateChanged.model_validate(data).deal_id == "D-1001"
    known = data_of("deal.won") | {"tomorrow": 1}
    assert parse("deal.won", known, strict=False) is not None


def test_topics_name_services_that_exist_and_types_that_have_contracts() -> None:
    parties = {*SERVICES, "integrators"}
    names = {
        topics.CRM_EVENTS,
        topics.DEALS,
        topics.CONTEXT,
        topics.ALERT_EVENTS,
        topics.ALERT_STATE,
    }
    assert names <= topics.TOPICS.keys()
    for topic in topics.TOPICS.values():
        assert {*topic.producers, *topic.consumers} <= parties, topic.name
        assert topic.name not in topic.consumers
        assert (topic.cleanup == "compact") is (topic.retention_days == 0), topic.name
    assert set(topics.TOPICS[topics.DEALS].types) == set(deals.RECORDS)
    assert set(topics.TOPICS[topics.ALERT_EVENTS].types) == set(EVENTS)
    assert set(topics.TOPICS[topics.ALERT_STATE].types) == set(STATES)
    assert topics.dlq(topics.DEALS) in topics.TOPICS
    assert topics.TOPICS[topics.dlq(topics.DEALS)].retention_days == 30
