"""Amounts below 0, as credits have, cost their own event and never a change of stage beside it."""

from typing import Any

import pytest

from services.ingest.domain.crm.model import Connection, Kind
from services.ingest.domain.crm.registry import CONNECTORS
from tests.unit.ingest.crm import (
    test_close,
    test_salesforce_cdc,
    test_salesforce_outbound,
    test_twenty,
    test_zoho,
)
from tests.unit.ingest.crm.proofs import translated

PIPEDRIVE = {
    "meta": {"entity": "deal", "entity_id": 8, "action": "change", "user_id": 3,
             "id": "df47d877-b58c-4886-91cd-1aa83e1d7301", "timestamp": "2026-03-02T08:59:00Z"},
    "data": {"id": 8, "title": "Pumps", "value": -5, "currency": "EUR", "status": "open",
             "stage_id": 2, "pipeline_id": 1, "owner_id": 81},
    "previous": {"stage_id": 1, "value": 7},
}  # fmt: skip
NOTE = {
    "Id": "006000000000001",
    "StageName": "A",
    "Amount": "-5",
    "LastModifiedDate": "2026-03-02T08:59:00Z",
}
CREDITS: dict[Kind, tuple[str, Any]] = {
    "pipedrive": ("value", PIPEDRIVE),
    "close": ("value", test_close.updated({"value": -1, "status_id": "b"}, {"status_id": "a"})),
    "zoho": ("Amount", test_zoho.valued("update", {"Stage": "A", "Amount": -5})),
    "salesforce_cdc": ("Amount", test_salesforce_cdc.change({"StageName": "A", "Amount": -5})),
    "salesforce_outbound": (
        "Amount",
        test_salesforce_outbound.message(test_salesforce_outbound.note("04l1", **NOTE)),
    ),
    "twenty": (
        "amount",
        test_twenty.updated(
            {"stage": "A", "amount": {"amountMicros": -5, "currencyCode": "EUR"}}, "stage", "amount"
        ),
    ),
    "espocrm": ("amount", [{"id": "1", "stage": "A", "amount": -5}]),
}


@pytest.mark.parametrize("kind", CREDITS)
def test_the_stage_is_told_all_the_same(kind: Kind) -> None:
    _, body = CREDITS[kind]
    told = translated(CONNECTORS[kind], body, query={"event": "Opportunity.update"})
    assert [event.type for event in told.events] == ["deal.stage_changed"]
    assert [puzzle.code for puzzle in told.puzzles] == ["invalid_field"]


@pytest.mark.parametrize("kind", CREDITS)
def test_where_the_amount_is_an_attribute_all_of_it_enters(kind: Kind) -> None:
    field, body = CREDITS[kind]
    of = Connection("c", field_map={field: "attributes.credit"})
    told = translated(CONNECTORS[kind], body, of, query={"event": "Opportunity.update"})
    assert {event.type for event in told.events} == {"deal.stage_changed", "deal.updated"}
    assert told.puzzles == []
