"""Records of alerts: readers take what they do not know, the writer writes nothing else."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.contracts.alerts import EVENTS, STATES, Alert, AlertRecord, Segment
from libs.common.contracts.deals import to_json
from libs.common.testing.contract_schemas import EXAMPLES, SCHEMAS, place

RECORDS: dict[str, type[AlertRecord]] = {**EVENTS, **STATES}
TYPES = sorted(RECORDS)


def example(event_type: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place(event_type, EXAMPLES).read_text("utf-8"))
    return found


@pytest.mark.parametrize("event_type", TYPES)
def test_each_record_has_a_schema_and_an_example_that_survives(event_type: str) -> None:
    assert place(event_type, SCHEMAS).is_file()
    record = RECORDS[event_type].model_validate(example(event_type), extra="forbid")
    assert json.loads(to_json(record)) == example(event_type)
    assert (record.alert_id, record.version) == (record.alert.id, record.alert.version)


def planted(event_type: str) -> Iterator[dict[str, Any]]:
    """The example with an unknown field, once at each depth."""
    for path in ((), ("alert",), ("alert", "subject"), ("alert", "evidence"),
                 ("alert", "evidence", "clock")):  # fmt: skip
        data = deepcopy(example(event_type))
        inner = data
        for name in path:
            inner = inner[name]
        inner["own_field"] = 1
        yield data


@pytest.mark.parametrize("event_type", TYPES)
def test_an_unknown_field_is_ignored_by_readers_and_refused_from_writers(event_type: str) -> None:
    model = RECORDS[event_type]
    for data in planted(event_type):
        assert model.model_validate(data) == model.model_validate(example(event_type))
        assert b"own_field" not in to_json(model.model_validate(data)), "never written on"
        with pytest.raises(ValidationError, match="own_field"):
            model.model_validate(data, extra="forbid")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "sleeping"), ("resolution", "gone"), ("stage", "late"), ("severity", "high"),
        ("started_at", "2026-04-01T08:15:00"), ("started_at", None), ("episode", -1),
        ("episode", "1"), ("version", 1.5), ("id", ""), ("subject", {"type": "user", "id": "u"}),
        ("labels", {"team": 1}), ("evidence", {}), ("corrections", [{}]),
    ],
)  # fmt: skip
def test_a_field_out_of_its_limits_is_refused(field: str, value: Any) -> None:
    data = example("alert.fired")["alert"] | {field: value}
    with pytest.raises(ValidationError) as refused:
        Alert.model_validate(data)
    assert {fault["loc"][0] for fault in refused.value.errors()} == {field}


@pytest.mark.parametrize("name", ["from", "from_"])
def test_a_segment_is_written_from_one_instant_to_another(name: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    segment = Segment.model_validate({name: at, "to": at, "kind": "working"})
    assert to_json(segment) == (
        b'{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z","kind":"working"}'
    )
