"""Mappings as authors write them: what they mean, and what is refused when they are saved."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.ingest.domain.mapping.reading import MAX_EXPRESSIONS
from tests.unit.ingest.mapping.made import CHANGED, document, faults, mapping, rows, verdicts

FILE = "deal,stage,value,day,owner\n"


def made(row: str, *events: Any, **settings: Any) -> Any:
    """The data of the one event of a row, or its verdicts."""
    ((_, found),) = verdicts(FILE + row + "\n", mapping(*events, **settings))
    return json.loads(found[0]) if len(found) == 1 and found[0].startswith("{") else found


def created(**data: Any) -> dict[str, Any]:
    return {"type": "deal.created", "data": {"deal_id": "deal", **data}}


def test_the_name_of_a_column_is_enough() -> None:
    event = created(amount="value", expected_close_date="day", owner_id="owner")
    assert made("D1,x,1.234,02.03.2026, ann ", event, decimal=",", date_formats=["%d.%m.%Y"]) == {
        "deal_id": "D1", "amount": "1234", "expected_close_date": "2026-03-02", "owner_id": "ann",
    }  # fmt: skip


def test_what_is_empty_is_left_out() -> None:
    event = created(amount="value", owner_id="owner")
    assert made("D1,x, ,,n/a", event, empty=["n/a"]) == {"deal_id": "D1"}


def test_a_lookup_and_its_default() -> None:
    stage = {"from": "stage", "lookup": "stages"}
    tables = {"stages": {"10": "offer"}}
    event = {"type": "deal.stage_changed", "data": {"deal_id": "deal", "stage_id": stage}}
    assert made("D1,10,,,", event, lookup=tables)["stage_id"] == "offer"
    assert made("D1,11,,,", event, lookup=tables) == ["invalid_field"]
    stage["default"] = "other"
    assert made("D1,11,,,", event, lookup=tables)["stage_id"] == "other"
    assert made("D1,,,,", event, lookup=tables)["stage_id"] == "other"


def test_expressions_constants_and_attributes() -> None:
    event = created(
        name="row.owner + ': ' + row.stage", currency="'EUR'", region={"value": "north"},
        amount="double(row.value) * 2.0", attributes={"seats": {"from": "value", "as": "integer"},
        "big": "int(row.value) > 3", "none": "day", "five": 5},
    )  # fmt: skip
    assert made("D1,x,4,,ann", event) == {
        "deal_id": "D1", "name": "ann: x", "currency": "EUR", "region": "north", "amount": "8.0",
        "attributes": {"seats": 4, "big": True, "five": 5},
    }  # fmt: skip


def test_changes_are_left_out_or_cleared() -> None:
    event = {
        "type": "deal.updated",
        "data": {
            "deal_id": "deal",
            "changes": {
                "amount": "value", "expected_close_date": {"from": "day", "clear": True},
                "attributes.who": "owner",
            },
        },
    }  # fmt: skip
    assert made("D1,x,,,ann", event)["changes"] == {
        "attributes.who": "ann", "expected_close_date": None,
    }  # fmt: skip


def test_an_event_only_where_its_condition_holds() -> None:
    event = {**CHANGED, "when": "row.stage != ''"}
    assert verdicts(FILE + "D1,,,,\nD2,x,,,\n", mapping(event)) == [
        (2, []), (3, ['{"deal_id":"D2","stage_id":"x"}']),
    ]  # fmt: skip


def test_a_row_enters_whole_or_not_at_all() -> None:
    won = {"type": "deal.won", "data": {"deal_id": "deal", "amount": "value"}}
    assert verdicts(FILE + "D1,x,rubbish,,\n", mapping(CHANGED, won)) == [(2, ["invalid_field"])]
    assert verdicts(FILE + "D1,,5,,\n", mapping(CHANGED, won)) == [(2, ["missing_field"])]


def test_a_time_or_an_id_that_is_named_must_be_there() -> None:
    dated = {**CHANGED, "time": "day"}
    assert made("D1,x,,,", dated) == ["missing_field"]
    assert made("D1,x,,rubbish,", dated) == ["invalid_field"]
    assert made("D1,x,,2026-03-02,", dated)["deal_id"] == "D1"
    assert made("D1,x,,,", {**CHANGED, "id": "owner"}) == ["missing_field"]


def test_without_an_id_a_repeated_row_is_the_same_event() -> None:
    by = mapping({**CHANGED, "time": "day"})
    found = rows(FILE + "D1,x,,2026-03-02,\nD1,x,,2026-03-02,\nD1,y,,2026-03-02,\n", by)
    ids = [one.envelope.id for _, examined in found for one in examined]  # type: ignore[union-attr]
    assert ids[0] == ids[1] != ids[2]


def test_a_fault_names_its_place_in_the_mapping() -> None:
    ((_, (rejection,)),) = rows(FILE + "D1,x,12 apples,,\n", mapping(created(amount="value")))
    assert rejection.detail.startswith("/events/0/data/amount: '12 apples' is no number")  # type: ignore[union-attr]


def test_an_expression_without_a_value_rejects_its_row() -> None:
    assert made("D1,x,four,,", created(name="string(int(row.value))")) == ["invalid_field"]
    assert made("D1,x,,,", {**CHANGED, "when": "int(row.value) > 1"}) == ["invalid_field"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"when": "row.stage =="}, ("/events/0/when", "syntax")),
        ({"when": "row.stage + 'x'"}, ("/events/0/when", "type")),
        ({"when": "rows.stage == 'x'"}, ("/events/0/when", "unknown_name")),
        ({"when": "body.x == 'x'"}, ("/events/0/when", "unknown_name")),
        ({"when": "[1].all(x, x > 0)"}, ("/events/0/when", "too_complex")),
        ({"when": "row.a == '" + "x" * 3000 + "' || true"}, ("/events/0/when", "too_long")),
        ({"type": "deal.exploded"}, ("/events/0/type", "unknown_type")),
        ({"type": {"value": 7}}, ("/events/0/type", "unknown_type")),
        ({"id": "row."}, ("/events/0/id", "syntax")),
        ({"time": {"value": "soon"}}, ("/events/0/time", "invalid_field")),
        ({"time": {"from": "day", "as": "text"}}, ("/events/0/time/as", "invalid_field")),
        ({"data": {"stage_id": "stage"}}, ("/events/0/data/deal_id", "missing_field")),
        (
            {"data": {"deal_id": "deal", "stage_id": "stage", "Stage": "stage"}},
            ("/events/0/data/Stage", "unknown_field"),
        ),
        (
            {"data": {"deal_id": "deal", "stage_id": {"from": "x", "lookup": "t"}}},
            ("/events/0/data/stage_id/lookup", "unknown_lookup"),
        ),
        (
            {"data": {"deal_id": "deal", "stage_id": {"form": "x"}}},
            ("/events/0/data/stage_id", "invalid_field"),
        ),
        (
            {"data": {"deal_id": "deal", "stage_id": [1]}},
            ("/events/0/data/stage_id", "invalid_field"),
        ),
    ],
)
def test_faults_are_told_when_it_is_saved(
    changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert faults({**CHANGED, **changes}) == [expected]


def test_all_faults_are_told_at_once_with_line_and_column() -> None:
    many = faults({**CHANGED, "id": "row.", "when": "row.a =="}, {"type": "x.y"})
    assert {pointer for pointer, _ in many} == {"/events/0/when", "/events/0/id", "/events/1/type"}


def test_a_mapping_has_a_limit_of_expressions() -> None:
    data = {"deal_id": "deal", "attributes": {f"a{n}": f"size(row.a) + {n}" for n in range(90)}}
    event = {"type": "deal.created", "data": data}
    found = faults(*[event] * (MAX_EXPRESSIONS // 90 + 1))
    assert {code for _, code in found} == {"too_complex"}


@pytest.mark.parametrize(
    "settings",
    [
        {"zone": "Moon/Base"}, {"decimal": "x"}, {"date_formats": ["%Q"]}, {"date_formats": []},
        {"dialect": {"delimiter": ",,"}}, {"dialect": {"delimiter": '"'}},
        {"dialect": {"delimiter": "\n"}}, {"dialect": {"encoding": "rot13"}},
        {"dialect": {"columns": ["a", "a"]}}, {"rows": "items"}, {"unheard": 1}, {"source": ""},
        {"kind": "xml"}, {"kind": "json", "dialect": {}}, {"lookup": {"t": {"a": [1]}}},
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        document(**settings)
