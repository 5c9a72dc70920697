"""What clients get of a record, and whose it is."""

import json
from dataclasses import replace

import pytest

from libs.common.contracts.errors import ContractViolation
from services.reporting.domain.stream import chosen, event_of, resync, tenant_of, told
from tests.unit.reporting.records import new_record, stored


def test_an_event_is_a_cloud_event_with_the_value_as_written() -> None:
    value = b'{"amount":1.10,"big":123456789012345678901234567890,"text":"a\\nb\xe2\x80\xa8"}'
    event = event_of(stored(new_record("acme", value=value), 7), "deals")
    assert event is not None
    assert (event.topic, event.partition, event.offset) == ("deals", 0, 7)
    assert '"data":' + value.decode() in event.data
    told_of = json.loads(event.data)
    assert told_of.pop("data") == json.loads(value)
    assert told_of == {
        "specversion": "1.0", "id": "acme-D-1-deal.state_changed", "source": "/headway/funnel",
        "type": "deal.state_changed", "time": "2026-03-02T08:15:00Z",
        "recordedtime": "2026-03-02T08:15:00Z", "subject": "D-1",
    }  # fmt: skip


def test_line_breaks_of_a_value_never_reach_the_wire() -> None:
    value = b'{"a":\r\n1,\n"b":"x\\r\\ny"}'
    event = event_of(stored(new_record("acme", value=value)), "deals")
    assert event is not None
    assert told(event, "p").splitlines() == [
        "id: p", "event: deal.state_changed", f"data: {event.data}", "",
    ]  # fmt: skip
    assert json.loads(event.data)["data"] == {"a": 1, "b": "x\r\ny"}


@pytest.mark.parametrize(
    "record",
    [
        new_record("acme", type_="deal.watermark", value=b'{"partition":0}'),
        new_record("acme", origin="backfill"),
        new_record("acme", origin="reconcile"),
    ],
)
def test_watermarks_and_what_is_not_live_make_no_event(record: object) -> None:
    assert event_of(stored(record), "deals") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "record",
    [
        stored(new_record("acme", value=b"not json")),
        stored(new_record("acme", type_="deal.x\nevent: alert.fired")),
        replace(stored(new_record("acme")), value=None),
        replace(stored(new_record("acme")), headers=()),
    ],
)
def test_malformed_records_are_refused(record: object) -> None:
    with pytest.raises(ContractViolation):
        event_of(record, "deals")  # type: ignore[arg-type]


def test_header_and_key_have_to_name_the_same_tenant() -> None:
    assert tenant_of(stored(new_record("acme"))) == "acme"
    for key in (b"acm:D-1", b"acme2:D-1", b"acme", b"other:D-1"):
        assert tenant_of(stored(new_record("acme", key=key))) is None
    assert tenant_of(replace(stored(new_record("acme")), headers=())) is None


def test_topics_are_listed_once_each_in_any_order() -> None:
    assert [t.name for t in chosen("alerts,deals")] == ["deals", "alerts"]
    assert [t.name for t in chosen("alerts")] == ["alerts"]
    for wrong in ("", "deals,", "deals,deals", "leads", "Deals", " deals", "deals;alerts"):
        with pytest.raises(ValueError):
            chosen(wrong)


def test_a_resync_says_why() -> None:
    assert resync("import", "p") == 'id: p\nevent: resync\ndata: {"reason":"import"}\n\n'
