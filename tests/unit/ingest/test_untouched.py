"""What a letter keeps of a delivery: its very bytes where the body has the part as it is."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.crm.model import Kind
from services.ingest.domain.letters import Letter
from services.ingest.domain.untouched import elements, hidden
from tests.unit.ingest.crm import test_salesforce_cdc, test_salesforce_outbound
from tests.unit.ingest.crm.proofs import JSON
from tests.unit.ingest.mapping.made import mapping
from tests.unit.ingest.test_letters import AMOUNT, SECOND, letters, live, only

ODD = b'{ "subscriptionType": "deal.x",\t"objectId": 1.50, "propertyValue": "\\u00e9\\/ \xc3\xa9" }'
BLANKS = b'\xef\xbb\xbf [ {"subscriptionType" : 1, "n": 1.50} ,\r\n {"n":1E+2}, 7.0 ]\n'


def blank(body: Any) -> bytes:
    """JSON as nobody here spells it."""
    return json.dumps(body, indent=3).replace("-5", "-5.00").encode()


WHOLE: list[tuple[Kind, bytes]] = [
    ("hubspot", b"[ " + ODD.replace(b"deal.x", b"deal.creation").replace(b"1.50", b"null") + b"]"),
    ("hubspot", b"[" + b" 1.0," * 2_000 + b"1.0 ]"),
    ("espocrm", b'[{"n": 1.50}]'),
    ("espocrm", b"[" + b" 1.0," * 2_000 + b"1.0 ]"),
    ("pipedrive", blank(SECOND)),
    ("close", b'{"event" : 1.50}'),
    ("twenty", b'{"event" : 1.50}'),
    ("standard_webhooks", b'{"type" : 1.50}'),
    ("salesforce_cdc", blank([test_salesforce_cdc.change({"Amount": -5})])),
    ("salesforce_cdc", blank(test_salesforce_cdc.change({}, recordIds=["006A"] * 1_001))),
]


@pytest.mark.parametrize(("kind", "body"), WHOLE)
def test_a_body_of_one_part_or_too_many_is_kept_as_it_came(kind: Kind, body: bytes) -> None:
    assert only(live(kind), body).body == body


@pytest.mark.parametrize("kind", ["hubspot", "espocrm"])
def test_of_several_parts_each_is_kept_as_it_came(kind: Kind) -> None:
    kept = [b'{"subscriptionType" : 1, "n": 1.50}', b'{"n":1E+2}', b"7.0"]
    assert [one.body for one in letters(live(kind), BLANKS)] == kept


def test_a_row_of_a_list_is_kept_as_it_came() -> None:
    of = live("generic", mapping=mapping({"type": "deal.created", "data": {"deal_id": "row.id"}},
                                         kind="json"))  # fmt: skip
    told = letters(of, b'[{"id": "D"}, {"x" : 1.50}, 7.0]')
    assert [one.body for one in told] == [b'{"x" : 1.50}', b"7.0"]


def test_one_row_is_kept_with_what_stands_beside_it() -> None:
    made = {"type": "deal.created", "data": {"deal_id": "row.id"}}
    of = live("generic", mapping=mapping(made, kind="json", rows="rows"))
    assert only(of, b'{"by" : 1.50, "rows" : [{}]}').body == b'{"by" : 1.50, "rows" : [{}]}'
    several = letters(of, b'{"by" : 1.50, "rows" : [{}, {"x" : 1.50}]}')
    assert [one.body for one in several] == [b"{}", b'{"x":1.5}']


@pytest.mark.parametrize("ids", [1, 1_001])
def test_of_a_notification_of_zoho_all_is_kept_but_its_secrets(ids: int) -> None:
    listed = json.dumps([f"{n}" for n in range(ids)])
    names = '"t\\u006fken": "an\\u006fther", "query_params": {"a": [1]}, "token" : "s3cret"'
    body = f'{{ "module" : 1.50, "ids": {listed},\n {names}, "state": "\\u00e9" }}'
    kept = body.replace('"an\\u006fther"', '"***"').replace('{"a": [1]}', '"***"')
    assert only(live("zoho"), body.encode()).body == kept.replace('"s3cret"', '"***"').encode()


def test_of_several_records_each_keeps_what_concerns_it() -> None:
    body = b'{"module" : 1.50, "token": "s3cret", "ids": ["1", "2"]}'
    told = [one.body for one in letters(live("zoho"), body)]
    assert told == [b'{"module":1.5,"ids":["1"]}', b'{"module":1.5,"ids":["2"]}']


def test_a_message_of_soap_is_kept_without_its_session() -> None:
    body = test_salesforce_outbound.message(test_salesforce_outbound.note("04l", Id=None))
    assert b"hidden!session" in body
    assert json.loads(only(live("salesforce_outbound"), body).body)["Id"] == "04l"


SPELLED = ["s3cret", "s\\u0033cret", "\\u00733cret"]


@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("parts", [1, 2])
def test_no_spelling_of_a_secret_is_kept(spelled: str, parts: int) -> None:
    part = f'{{"n" : 1.50, "x": "{spelled}"}}'
    told = letters(live("hubspot"), f"[{', '.join([part] * parts)}]".encode())
    assert [one.body for one in told] == [b'{"n":1.5,"x":"***"}'] * parts


def test_its_spelling_names_no_letter() -> None:
    other = only(live("hubspot"), json.dumps([AMOUNT], indent=3).encode())
    one = only(live("hubspot"), [AMOUNT])
    assert one.body != other.body
    assert replace(other, body=one.body) == one


def test_what_nests_deep_is_kept() -> None:
    deep = b"[" * 500 + b"1.0" + b"]" * 500
    told: list[Letter] = letters(live("hubspot"), b'[{"x": %s}, 1]' % deep)
    assert [one.body for one in told] == [b'{"x": %s}' % deep, b"1"]


def spelled(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=indent is None)


@given(values=st.lists(JSON, max_size=4), indent=st.sampled_from([None, 0, 2]))
def test_a_list_is_cut_where_its_elements_end(values: list[Any], indent: int | None) -> None:
    cut = elements(spelled(values, indent))
    assert [spelled(json.loads(one), None) for one in cut] == [spelled(v, None) for v in values]


@given(told=st.dictionaries(st.text(max_size=3), JSON, max_size=4), indent=st.sampled_from([0, 2]))
def test_what_is_hidden_of_an_object_is_all_that_differs(told: Any, indent: int) -> None:
    names = sorted(told)[:2]
    left = json.loads(hidden(spelled(told, indent), names))
    assert spelled(left, None) == spelled({**told, **dict.fromkeys(names, "***")}, None)
    assert hidden(spelled(told, indent), ()) == spelled(told, indent)
