"""One delivery makes no more than it may: beyond that it is put aside, whole and as one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.ingest.domain import letters
from services.ingest.domain.connections import Live
from services.ingest.domain.crm import (
    espocrm,
    generic,
    hubspot,
    salesforce_cdc,
    salesforce_outbound,
    zoho,
)
from services.ingest.domain.crm.bodies import gathered
from services.ingest.domain.crm.bounds import MOST_BYTES, MOST_PARTS, Bounds, size
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Kind,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.registry import CONNECTORS, connectors
from tests.unit.ingest.crm import test_salesforce_cdc, test_salesforce_outbound
from tests.unit.ingest.crm.proofs import CONNECTION, NOW, translated
from tests.unit.ingest.mapping.made import mapping

WIDE = 200 * 1024
ORIGIN = test_salesforce_cdc.header()["changeOrigin"]
MAPPED = Connection("c", secrets=("t" * 40,), field_map={"Text__c": "attributes.text"})


def change(ids: int, entityName: str = "Opportunity", **fields: Any) -> Any:
    listed = [f"006{n:012d}AAA" for n in range(ids)]
    return test_salesforce_cdc.change(fields, recordIds=listed, entityName=entityName)


def notification(ids: int, values: int = 0, **more: Any) -> Any:
    listed = [f"{n:018d}" for n in range(ids)]
    told = [{"record_id": one, "values": {"Deal_Name": "x" * 200}} for one in listed[:values]]
    return {
        "server_time": int(NOW.timestamp() * 1000), "module": "Deals", "operation": "update",
        "channel_id": "1", "token": MAPPED.secrets[0], "query_params": {"key": "hidden"},
        "ids": listed, "affected_values": told,
        "affected_fields": [{one: ["Deal_Name"]} for one in listed],
    } | more  # fmt: skip


def weight(translation: Translation) -> int:
    return sum(size(one.data) for one in translation.events)


def aside(translation: Translation) -> Any:
    """What is put aside of a delivery of which nothing else is left."""
    assert (list(translation.events), list(translation.refreshes)) == ([], [])
    (puzzle,) = translation.puzzles
    assert puzzle.code in ("too_many_parts", "too_large")
    return puzzle.raw


TOO_MUCH = {
    "wide": (salesforce_cdc.CONNECTOR, change(200, Text__c="x" * WIDE)),
    "many": (salesforce_cdc.CONNECTOR, change(40_000, Amount=5)),
    "several": (salesforce_cdc.CONNECTOR, [change(700, Amount=5), change(700, Amount=5)]),
    "nowhere": (salesforce_cdc.CONNECTOR, change(900, Text__c="x" * WIDE, entityName="Contact")),
    "hubspot": (hubspot.CONNECTOR, [1] * 400_000),
    "espocrm": (espocrm.CONNECTOR, [1] * 400_000),
}


@pytest.mark.parametrize(("connector", "body"), TOO_MUCH.values(), ids=list(TOO_MUCH))
def test_too_much_is_put_aside_whole(connector: Connector, body: Any) -> None:
    translation = translated(connector, body, MAPPED)
    assert aside(translation) == without_origin(body)
    delivery = Delivery(json.dumps(body).encode(), {})
    live = Live("t", "c", "hubspot", MAPPED)
    (letter,) = letters.of_puzzles(live, delivery, translation.puzzles)
    assert len(letter.body) <= len(delivery.body)


def test_a_notification_of_too_many_is_put_aside_without_its_token() -> None:
    body = notification(2 * MOST_PARTS)
    raw = aside(translated(zoho.CONNECTOR, body, MAPPED))
    assert raw == {n: v for n, v in body.items() if n not in ("token", "query_params")}


def test_a_record_of_which_nothing_is_told_is_not_given_what_is_told_of_others() -> None:
    """Each of 500 had all the values of the 500 others."""
    translation = translated(zoho.CONNECTOR, notification(MOST_PARTS, MOST_PARTS // 2), MAPPED)
    assert len(translation.refreshes) == MOST_PARTS // 2
    contacts = notification(MOST_PARTS, MOST_PARTS // 2, module="Contacts")
    assert weight(translated(zoho.CONNECTOR, contacts, MAPPED)) < MOST_BYTES
    odd = translated(zoho.CONNECTOR, notification(1, affected_values={"x": 1}, module="x"), MAPPED)
    assert odd.events[0].data["affected_values"] == {"x": 1}, "a shape that nobody knows is kept"


def without_origin(body: Any) -> Any:
    """As every letter of Change Data Capture is kept."""
    spelled = json.dumps(body)
    return json.loads(spelled.replace(f'"changeOrigin": {json.dumps(ORIGIN)}, ', ""))


@pytest.mark.parametrize("parts", [MOST_PARTS + 1, 10 * MOST_PARTS])
def test_no_more_parts_are_looked_at_than_may_be(parts: int) -> None:
    drawn, seen = list[int](), list[int]()

    def each() -> Iterator[int]:
        for number in range(parts):
            drawn.append(number)
            yield number

    def told(part: Any) -> list[Any]:
        seen.append(part)
        return []

    translation = gathered(each(), told, whole="whole")
    assert [one.raw for one in translation.puzzles] == ["whole"]
    assert (len(drawn), len(seen)) == (MOST_PARTS + 1, MOST_PARTS)
    seen.clear()
    gathered(list(range(parts)), told)
    assert seen == [], "a list that is too long is not begun"


def test_what_weighs_too_much_is_not_looked_at_to_the_end() -> None:
    seen, part = list[int](), "x" * (MOST_BYTES // 10)

    def told(_: Any) -> list[Any]:
        seen.append(1)
        return [Draft(CONNECTION, None, NOW).skipped("x", part)]

    assert gathered([part] * 9, told, whole="whole").puzzles == []
    seen.clear()
    assert len(gathered([part] * 100, told, whole="whole").puzzles) == 1
    assert len(seen) <= 10
    seen.clear()
    assert len(gathered(list(range(100)), told, whole="whole").puzzles) == 1
    assert len(seen) <= 11


FITS = [
    (salesforce_cdc.CONNECTOR, change(MOST_PARTS, Amount=5, Text__c="x" * 2_000)),
    (salesforce_cdc.CONNECTOR, change(50, Text__c="x" * 60_000)),
    (hubspot.CONNECTOR, [{"subscriptionType": "deal.creation", "objectId": n} for n in range(100)]),
    (espocrm.CONNECTOR, [{"id": str(n), "name": "x" * 2_000} for n in range(50)]),
    (zoho.CONNECTOR, notification(MOST_PARTS, MOST_PARTS)),
    (zoho.CONNECTOR, notification(MOST_PARTS, MOST_PARTS // 2)),
    (
        salesforce_outbound.CONNECTOR,
        test_salesforce_outbound.message(
            *[test_salesforce_outbound.note(f"04l{n}", Id=f"006{n}", Name="x") for n in range(100)]
        ),
    ),
]


@pytest.mark.parametrize(("connector", "body"), FITS)
def test_what_crms_send_is_taken(connector: Connector, body: Any) -> None:
    translation = translated(connector, body, MAPPED)
    assert translation.puzzles == []
    assert len(translation.events) in (MOST_PARTS, MOST_PARTS // 2, 100, 50)
    assert weight(translation) <= MOST_BYTES


def test_more_messages_than_salesforce_sends_are_put_aside_without_the_session() -> None:
    notes = [test_salesforce_outbound.note(f"04l{n}", Id=f"006{n}") for n in range(MOST_PARTS + 1)]
    raw = aside(translated(salesforce_outbound.CONNECTOR, test_salesforce_outbound.message(*notes)))
    assert len(raw) == MOST_PARTS + 1
    assert "hidden!session" not in str(raw)


LISTS: dict[Kind, Callable[[int], Any]] = {
    "salesforce_cdc": lambda n: change(n, Amount=5),
    "zoho": lambda n: notification(n, n),
    "hubspot": lambda n: [{"subscriptionType": "deal.creation", "objectId": k} for k in range(n)],
    "espocrm": lambda n: [{"id": str(k), "name": "x"} for k in range(n)],
    "salesforce_outbound": lambda n: test_salesforce_outbound.message(
        *[test_salesforce_outbound.note(f"04l{k}", Id=f"006{k}", Name="x") for k in range(n)]
    ),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("parts", [2, MOST_PARTS + 2])
def test_an_installation_sets_how_many_parts_are_taken(kind: Kind, parts: int) -> None:
    connector = connectors(Bounds(parts=parts))[kind]
    assert len(translated(connector, LISTS[kind](parts), MAPPED).events) == parts
    assert aside(translated(connector, LISTS[kind](parts + 1), MAPPED))


@pytest.mark.parametrize("kind", ["salesforce_cdc", "zoho"])
def test_an_installation_sets_how_much_is_taken(kind: Kind) -> None:
    body = LISTS[kind](100)
    least = max(
        sum(size(part) for part in weighed(kind, body)),
        weight(translated(CONNECTORS[kind], body, MAPPED)),
    )
    assert translated(connectors(Bounds(bytes=least))[kind], body, MAPPED).puzzles == []
    assert aside(translated(connectors(Bounds(bytes=least - 1))[kind], body, MAPPED))


def weighed(kind: Kind, body: Any) -> list[Any]:
    """The parts that are copied for each of the records."""
    if kind == "zoho":
        return list(zoho._parts({n: v for n, v in body.items() if n not in zoho.SECRET}))
    return list(salesforce_cdc._records(without_origin(body)))


def test_an_installation_sets_how_many_rows_a_mapping_takes() -> None:
    of = Connection("c", mapping=mapping({"type": "deal.deleted", "data": {"deal_id": "row.id"}},
                                         kind="json"))  # fmt: skip
    rows = [{"id": str(n)} for n in range(MOST_PARTS + 1)]
    more = connectors(Bounds(parts=len(rows)))["generic"]
    assert len(translated(more, rows, of).events) == len(rows)
    with pytest.raises(Unreadable, match="more than 1000 rows"):
        translated(CONNECTORS["generic"], rows, of)
    with pytest.raises(Unreadable, match="more than 2 rows"):
        translated(connectors(Bounds(parts=2))["generic"], rows[:3], of)


def test_rows_that_repeat_what_stands_beside_them_are_bounded_too() -> None:
    made = {
        "type": "deal.created",
        "data": {"deal_id": "row.id", "attributes": "{'text': body.text}"},
    }
    of = Connection("c", mapping=mapping(made, kind="json", rows="rows"))
    body: dict[str, Any] = {"text": "x" * 8_000, "rows": [{"id": n} for n in range(MOST_PARTS)]}
    assert aside(translated(generic.CONNECTOR, body, of)) == body
    body["rows"] = body["rows"][:100]
    assert len(translated(generic.CONNECTOR, body, of).events) == 100
