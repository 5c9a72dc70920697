"""`generic`: any JSON by a mapping, under the connection's ids."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given

from services.ingest.domain.crm.generic import CONNECTOR, UNMAPPED, NoMapping
from services.ingest.domain.crm.model import Connection, Delivery, Refused, Translation, Unreadable
from tests.unit.ingest.crm.checks import ANYTHING, NOW
from tests.unit.ingest.mapping.made import mapping

MOVED = {
    "when": "headers['x-event'] == 'moved'",
    "type": "deal.stage_changed",
    "id": "string(body.delivery) + '-' + string(row.id)",
    "time": "row.at",
    "data": {"deal_id": "row.id", "stage_id": "row.to.stage", "actor_id": "row.by"},
}
BY = mapping(MOVED, kind="json", rows="data.items", date_formats=["epoch_ms"])
CONNECTION = Connection("c", ["u:p"], id_prefix="x-", stage_map={"9": "won"}, mapping=BY)
ROW = {"id": 7, "at": 1_772_442_000_000, "to": {"stage": 9}, "by": None}


def told(
    *rows: Any, event: str = "moved", connection: Connection = CONNECTION, **more: Any
) -> Translation:
    body = {"delivery": "d1", "data": {"items": list(rows)}, **more}
    return CONNECTOR.translate(Delivery(json.dumps(body).encode(), {"x-event": event}), connection)


def test_rows_become_events_under_the_connections_ids() -> None:
    first, second = told(ROW, ROW | {"id": 8, "by": "ann"}).events
    assert (first.id, first.source, first.type) == ("d1-7", "/connections/c", "deal.stage_changed")
    assert first.data == {"deal_id": "x-7", "stage_id": "won"}
    assert first.time is not None
    assert first.time.isoformat() == "2026-03-02T09:00:00+00:00"
    assert second.data == {"deal_id": "x-8", "stage_id": "won", "actor_id": "ann"}


def test_what_is_taken_for_no_event_is_stored_and_skipped() -> None:
    (skipped,) = told(ROW, event="other").events
    assert (skipped.type, skipped.data) == (UNMAPPED, ROW)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (ROW | {"at": "soon"}, "invalid_field"),
        ({"id": 7}, "missing_field"),
        (ROW | {"to": {}}, "missing_field"),
        ("row", "invalid_event"),
        (ROW | {"x": "\x00"}, "invalid_field"),
    ],
)
def test_a_rotten_row_is_a_puzzle_and_its_neighbours_enter(row: Any, code: str) -> None:
    found = told(row, ROW)
    assert [puzzle.code for puzzle in found.puzzles] == [code]
    assert found.puzzles[0].raw == row
    assert [event.id for event in found.events] == ["d1-7"]


def test_a_body_without_rows_is_a_puzzle_as_a_whole() -> None:
    for body in (b"{}", b"[]", b'{"data": {"items": null}}', b'{"data": 1}'):
        found = CONNECTOR.translate(Delivery(body, {}), CONNECTION)
        assert [puzzle.code for puzzle in found.puzzles] == ["invalid_event"]
    assert [p.code for p in told(ROW, x="\x00").puzzles] == ["invalid_field"]


def test_too_many_rows_are_unreadable() -> None:
    assert len(told(*[ROW] * 1_000).events) == 1_000
    with pytest.raises(Unreadable):
        told(*[ROW] * 1_001)


def test_credentials_are_not_for_expressions() -> None:
    by = mapping({"type": "deal.won", "data": {"deal_id": "headers.authorization"}}, kind="json")
    delivery = Delivery(b"{}", {"authorization": "Basic secret"})
    (puzzle,) = CONNECTOR.translate(delivery, Connection("c", mapping=by)).puzzles
    assert puzzle.code == "missing_field"


def test_a_mapping_that_is_gone_is_our_fault() -> None:
    with pytest.raises(NoMapping):
        told(ROW, connection=Connection("c", ["u:p"]))


def test_proven_by_basic_credentials() -> None:
    good = base64.b64encode(b"u:p").decode()
    delivery = Delivery(b"{}", {"authorization": f"Basic {good}"})
    assert CONNECTOR.verify(delivery, CONNECTION, NOW) == 0
    with pytest.raises(Refused):
        CONNECTOR.verify(Delivery(b"{}", {"authorization": "Basic eDp5"}), CONNECTION, NOW)


@given(ANYTHING, ANYTHING)
def test_any_json_is_events_or_puzzles(row: Any, more: Any) -> None:
    found = told(row, more=more)
    assert found.events or found.puzzles
