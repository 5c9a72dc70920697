"""Pipedrive: whole records, webhooks of both versions, no signature."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.funnel.domain.model import StageClass
from services.ingest.domain.crm.model import Connection, Delivery, Refresh, Unreadable
from services.ingest.domain.crm.pipedrive import CONNECTOR, translate
from tests.unit.ingest.crm.checks import (
    ANYTHING,
    NOW,
    delivery,
    every_order,
    is_refused,
    mutants,
    places,
    repeated,
    state,
    survives,
    with_value,
)

PIPE = Connection("pipe", secrets=("hook:new", "hook:old"))


def basic(text: str) -> Delivery:
    return Delivery(b"{}", {"authorization": "Basic " + base64.b64encode(text.encode()).decode()})


def test_both_passwords_prove_while_they_rotate_and_nothing_else() -> None:
    assert CONNECTOR.verify(basic("hook:new"), PIPE, NOW) == 0
    assert CONNECTOR.verify(basic("hook:old"), PIPE, NOW) == 1
    assert not CONNECTOR.signs_time
    for wrong in (basic("hook:"), basic("hook"), Delivery(b"{}", {"x-pipedrive-signature": "a"})):
        assert is_refused(CONNECTOR.verify, wrong, PIPE)


def test_credentials_changed_in_any_way_are_refused() -> None:
    right = basic("hook:new")
    _, _, credentials = right.headers["authorization"].partition(" ")
    refused = 0
    for mutant in mutants(right, ["authorization"], 30_000):
        scheme, _, told_now = mutant.headers["authorization"].partition(" ")
        unchanged = scheme.lower() == "basic" and told_now.strip() == credentials
        assert is_refused(CONNECTOR.verify, mutant, PIPE) is not unchanged
        refused += not unchanged
    assert refused >= 10_000, "of the bodies none is signed"


# Version 2


UUID = "df47d877-b58c-4886-91cd-1aa83e1d73{:02}"
RECORD = {
    "id": 8, "title": "Pumps", "value": 100, "currency": "EUR", "status": "open", "stage_id": 2,
    "pipeline_id": 1, "owner_id": 81, "person_id": 5, "org_id": 55,
    "expected_close_date": "2026-06-30", "add_time": "2026-03-02T08:00:00Z", "update_time": None,
    "stage_change_time": None, "won_time": None, "lost_time": None, "lost_reason": None,
    "probability": None, "custom_fields": {"ab12": {"type": "enum", "id": 7}},
}  # fmt: skip


def v2(
    action: str, data: Any, previous: Any = None, *, second: int = 0, entity: str = "deal",
    **meta: Any,
) -> Any:  # fmt: skip
    shown = data if isinstance(data, dict) else previous if isinstance(previous, dict) else {}
    return {
        "data": data,
        "previous": previous,
        "meta": {
            "action": action, "entity": entity, "entity_id": str(shown.get("id", 8)),
            "id": UUID.format(second), "version": "2.0", "company_id": "1", "user_id": "81",
            "webhook_id": "4", "attempt": 1, "is_bulk_edit": False, "change_source": "app",
            "timestamp": f"2026-03-02T08:00:{second:02}.724Z", **meta,
        },
    }  # fmt: skip


def change(now: Any, before: Any, second: int = 1, **meta: Any) -> Any:
    return v2("change", {**RECORD, **now}, before, second=second, **meta)


def told(body: Any, connection: Connection = PIPE) -> list[tuple[str, Any]]:
    translation = translate(delivery(body), connection)
    assert not translation.puzzles
    return [(event.type, event.data) for event in translation.events]


DEAL = {"deal_id": "8"}
BY = DEAL | {"actor_id": "81"}
PLACE = {"stage_id": "2", "pipeline_id": "1"}
FIELDS = {
    "name": "Pumps", "amount": "100", "currency": "EUR", "owner_id": "81", "account_id": "55",
    "expected_close_date": "2026-06-30",
}  # fmt: skip


def test_a_new_deal() -> None:
    assert told(v2("create", RECORD)) == [("deal.created", DEAL | FIELDS | PLACE)]
    (event,) = translate(delivery(v2("create", RECORD)), PIPE).events
    assert event.id == UUID.format(0)
    assert event.time == datetime(2026, 3, 2, 8, 0, 0, 724_000, UTC)
    won = told(v2("create", RECORD | {"status": "won"}))
    assert won[1] == ("deal.won", BY)


def test_a_change_tells_the_record_with_the_claims() -> None:
    assert told(change({"value": 150.5}, {"value": 100})) == [
        (
            "deal.updated",
            BY | {"changes": FIELDS | PLACE | {"amount": "150.5"}, "previous": {"amount": "100"}},
        )
    ]


def test_a_move_is_told_with_the_time_that_pipedrive_gives_it() -> None:
    body = change({"stage_id": 3, "stage_change_time": "2026-03-02T07:59:30Z"}, {"stage_id": 2})
    moved, updated = translate(delivery(body), PIPE).events
    assert moved.data == BY | {"stage_id": "3", "pipeline_id": "1", "from_stage_id": "2"}
    assert (moved.type, moved.id) == ("deal.stage_changed", UUID.format(1) + "/stage")
    assert moved.time == datetime(2026, 3, 2, 7, 59, 30, tzinfo=UTC)
    assert updated.data["changes"] == FIELDS | PLACE | {"stage_id": "3"}


def test_a_move_in_the_second_of_its_event_happened_with_it() -> None:
    for given_time in (None, "2026-03-02T08:00:01Z", "2026-03-02T08:00:02Z"):
        body = change({"stage_id": 3, "stage_change_time": given_time}, {"stage_id": 2})
        moved, updated = translate(delivery(body), PIPE).events
        assert moved.time == updated.time == datetime(2026, 3, 2, 8, 0, 1, 724_000, UTC)
        assert updated.data["changes"] == FIELDS


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ({"status": "won"}, {"status": "open"}, ("deal.won", {})),
        (
            {"status": "lost", "lost_reason": "price"},
            {"status": "open", "lost_reason": None},
            ("deal.lost", {"reason_text": "price"}),
        ),
        ({"status": "lost"}, {"status": "won"}, ("deal.lost", {})),
        ({"status": "open"}, {"status": "lost"}, ("deal.reopened", {"stage_id": "2"})),
        ({"status": "deleted"}, {"status": "open"}, ("deal.deleted", {})),
        ({"status": "open"}, {"status": "deleted"}, ("deal.restored", {})),
        (
            {"status": "lost", "lost_reason": "timing"},
            {"lost_reason": "price"},
            ("deal.lost", {"reason_text": "timing"}),
        ),
    ],
)
def test_changes_of_status(now: Any, before: Any, expected: tuple[str, Any]) -> None:
    events = told(change(now, before))
    assert [type_ for type_, _ in events] == ["deal.updated", expected[0]]
    assert events[1][1] == BY | expected[1]


def test_an_edit_of_a_closed_deal_neither_reopens_nor_closes_it_anew() -> None:
    for now, before in (({"title": "x"}, {"title": "y"}), ({"stage_id": 3}, {"stage_id": 2})):
        ((type_, data),) = told(change({"status": "won", **now}, before))
        assert type_ == "deal.updated"
        assert not data["changes"].keys() & PLACE.keys()


def test_a_win_with_a_move_ends_won() -> None:
    body = change({"status": "won", "stage_id": 3}, {"status": "open", "stage_id": 2})
    assert [type_ for type_, _ in told(body)] == ["deal.stage_changed", "deal.updated", "deal.won"]


def test_a_deletion_and_a_merge() -> None:
    assert told(v2("delete", None, RECORD)) == [("deal.deleted", BY)]
    expected = [("deal.merged", {"deal_id": "9", "actor_id": "81", "merged_deal_ids": ["8"]})]
    assert told(v2("delete", None, RECORD | {"merged_to_id": 9})) == expected
    assert told(v2("delete", None, RECORD, merged_to_id="9")) == expected


def test_maps_prefix_and_custom_fields_of_the_connection() -> None:
    mapped = replace(
        PIPE,
        id_prefix="pd-",
        stage_map={"2": "new", "3": "offer"},
        pipeline_map={"1": "sales"},
        field_map={"ab12": "attributes.segment", "title": "attributes.title"},
    )
    data = dict(told(change({"stage_id": 3.0, "custom_fields": {"ab12": 9}}, {"stage_id": "2"}),
                     mapped))  # fmt: skip
    place = {"stage_id": "offer", "pipeline_id": "sales"}
    base = {"deal_id": "pd-8", "actor_id": "81"}
    assert data["deal.stage_changed"] == base | place | {"from_stage_id": "new"}
    assert data["deal.updated"]["changes"]["attributes.segment"] == 9
    assert data["deal.updated"]["changes"]["attributes.title"] == "Pumps"
    ((_, created),) = told(v2("create", RECORD), mapped)
    assert created["attributes"] == {"segment": 7, "title": "Pumps"}
    body = change({}, {"custom_fields": {"ab12": {"type": "enum", "id": 6}}})
    assert told(body, mapped)[0][1]["previous"] == {"attributes.segment": 6}


ACTIVITY = {
    "id": 2, "type": "meeting", "done": False, "deal_id": 8, "lead_id": None, "org_id": 55,
    "owner_id": 81, "due_date": "2026-03-05", "due_time": {"timezone_id": None, "value": ""},
    "subject": "Visit",
}  # fmt: skip
MEETING = {
    "activity_id": "2", "deal_id": "8", "account_id": "55", "kind": "meeting", "actor_id": "81",
}  # fmt: skip


@pytest.mark.parametrize(
    ("action", "now", "before", "type_", "more"),
    [
        (
            "create",
            {},
            None,
            "activity.scheduled",
            {"scheduled_for": "2026-03-05T23:59:59+00:00"},
        ),
        (
            "create",
            {"due_time": "09:30", "type": "call"},
            None,
            "activity.scheduled",
            {"scheduled_for": "2026-03-05T09:30:00+00:00", "kind": "call"},
        ),
        (
            "change",
            {"due_date": "2026-03-06", "due_time": {"value": "10:00:00"}},
            {"due_date": "2026-03-05"},
            "activity.scheduled",
            {"scheduled_for": "2026-03-06T10:00:00+00:00"},
        ),
        ("create", {"due_date": None}, None, "activity.scheduled", {}),
        ("create", {"done": True}, None, "activity.logged", {}),
        ("change", {"done": True}, {"done": False}, "activity.completed", {}),
        ("create", {"type": "sauna", "done": 1}, None, "activity.logged", {"kind": "other"}),
    ],
)
def test_activities(action: str, now: Any, before: Any, type_: str, more: Any) -> None:
    body = v2(action, ACTIVITY | now, before, entity="activity")
    assert told(body) == [(type_, MEETING | more)]


def test_a_planned_activity_that_is_deleted_is_cancelled() -> None:
    body = v2("delete", None, ACTIVITY, entity="activity")
    assert told(body) == [("activity.cancelled", MEETING)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            v2("change", {"id": 55, "name": "Pumps Ltd", "owner_id": 81}, entity="organization"),
            ("account.upserted", {"account_id": "55", "name": "Pumps Ltd", "owner_id": "81"}),
        ),
        (
            v2(
                "create",
                {"id": 81, "name": "A", "email": "a@example.com", "active_flag": True},
                entity="user",
            ),
            (
                "user.upserted",
                {"user_id": "81", "name": "A", "email": "a@example.com", "active": True},
            ),
        ),
        (
            v2("delete", None, {"id": 81, "active_flag": True}, entity="user"),
            ("user.upserted", {"user_id": "81", "active": False}),
        ),
    ],
)
def test_organizations_and_users(body: Any, expected: tuple[str, Any]) -> None:
    assert told(body) == [expected]


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (v2("create", {"id": 5}, entity="person"), "pipedrive.person.create"),
        (v2("change", {"id": "x-1"}, entity="lead"), "pipedrive.lead.change"),
        (v2("delete", None, {"id": 55}, entity="organization"), "pipedrive.organization.delete"),
        (v2("archive", RECORD), "pipedrive.deal.archive"),
        (
            v2("change", ACTIVITY | {"done": True}, {"subject": "x"}, entity="activity"),
            "pipedrive.activity.change",
        ),
        (
            v2("create", ACTIVITY | {"deal_id": None, "org_id": None}, entity="activity"),
            "pipedrive.activity.create",
        ),
    ],
)
def test_what_has_no_use_is_kept_under_its_own_name(body: Any, type_: str) -> None:
    meta = {name: one for name, one in body["meta"].items() if name != "attempt"}
    assert told(body) == [(type_, body | {"meta": meta})]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"meta": 5}, {"meta": {}, "data": {}}, {"meta": {"entity": "deal"}, "data": {}},
        v2("change", None, None), v2("change", {}, {}), v2("create", {}, entity_id=None),
        v2("create", RECORD | {"value": -1}), v2("create", RECORD | {"currency": "XXL"}),
        v2("create", RECORD, timestamp="soon"), v2("create", RECORD, timestamp=10**15),
        v2("create", RECORD | {"stage_id": [2]}), v2("create", {"id": 5}, entity="\n"),
        v2("create", RECORD | {"x": "\x00"}), v2("create", RECORD | {"x": 2**70}),
    ],
)  # fmt: skip
def test_what_makes_no_event_is_a_puzzle(body: Any) -> None:
    translation = translate(delivery(body), PIPE)
    assert not translation.events
    assert [puzzle.raw for puzzle in translation.puzzles] == [body]


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        translate(Delivery(body, {}), PIPE)


def ids(body: Any) -> list[str | None]:
    return [event.id for event in translate(delivery(body), PIPE).events]


def attempts(first: Any) -> Any:
    """The same for the last time, as both versions count."""
    return {**first, "retry": 3, "meta": first["meta"] | {"attempt": 4}}


def test_another_attempt_is_the_same_event_in_id_and_body() -> None:
    person = {"id": 5, "name": "x"}
    for first in (
        v2("create", RECORD), v2("create", RECORD, id="no uuid"),
        v2("create", person, entity="person"), v2("create", person, entity="person", id="no uuid"),
        v2("change", RECORD, entity="lead"), v1("added", OLD), v1("added", person, entity="person"),
        v1("merged", OLD, OLD),
    ):  # fmt: skip
        ((accepted,), (again,)) = repeated(translate, PIPE, first, attempts(first))
        assert (accepted, again) == ("accepted", ("duplicate", None)), first


def test_ids_and_times_whatever_the_attempt_or_the_json_type() -> None:
    first = v2("create", RECORD, id="no uuid", timestamp=1772438400)
    typed = {"attempt": 4, "entity_id": 8, "timestamp": "1772438400"}
    assert ids(first) == ids({**first, "meta": first["meta"] | typed})
    assert len(ids(first)[0] or "") == 64
    (event,) = translate(delivery(first), PIPE).events
    assert event.time == datetime(2026, 3, 2, 8, tzinfo=UTC)
    others = ({"timestamp": 1772438401}, {"entity_id": 9}, {"action": "delete"})
    all_ids = [ids({**first, "meta": first["meta"] | more})[0] for more in ({}, *others)]
    assert len(set(all_ids)) == 4
    assert ids(v2("create", RECORD, id=None, timestamp=None)) == [None]


# Version 1


OLD = {
    "id": 8, "title": "Pumps", "value": 100, "currency": "EUR", "status": "open", "stage_id": 2,
    "pipeline_id": 1, "user_id": 81, "org_id": {"value": 55, "name": "Pumps Ltd"},
    "expected_close_date": "2026-06-30", "stage_change_time": None, "lost_reason": None,
    "rotten_time": None, "stage_order_nr": 2, "weighted_value": 100,
}  # fmt: skip


def v1(
    action: str, current: Any, previous: Any = None, *, second: int = 0, entity: str = "deal",
    **meta: Any,
) -> Any:  # fmt: skip
    stamp = 1772438400 + second
    return {
        "v": 1, "matches_filters": None, "event": f"{action}.{entity}", "retry": 0,
        "current": current, "previous": previous,
        "meta": {
            "v": 1, "action": action, "object": entity, "id": 8, "company_id": 1, "user_id": 81,
            "timestamp": stamp, "timestamp_micro": stamp * 1_000_000 + 724_000,
            "webhook_id": "4", **meta,
        },
    }  # fmt: skip


def test_version_1_tells_the_same() -> None:
    assert told(v1("added", OLD)) == [("deal.created", DEAL | FIELDS | PLACE)]
    moved, updated = told(v1("updated", OLD | {"stage_id": 3}, OLD))
    assert moved[1] == BY | {"stage_id": "3", "pipeline_id": "1", "from_stage_id": "2"}
    assert updated == ("deal.updated", BY | {"changes": FIELDS})
    assert told(v1("updated", OLD | {"status": "won"}, OLD))[1] == ("deal.won", BY)
    assert told(v1("deleted", None, OLD)) == [("deal.deleted", BY)]
    (event,) = translate(delivery(v1("added", OLD)), PIPE).events
    assert event.time == datetime(2026, 3, 2, 8, 0, 0, 724_000, UTC)


def test_version_1_writes_times_without_a_zone() -> None:
    body = v1("updated", OLD | {"stage_id": 3, "stage_change_time": "2026-03-02 07:00:00"}, OLD)
    moved, _ = translate(delivery(body), PIPE).events
    assert moved.time == datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_a_merge_of_version_1() -> None:
    current = OLD | {"id": 9, "merge_what_id": 8}
    assert told(v1("merged", current, OLD)) == [
        ("deal.merged", {"deal_id": "9", "actor_id": "81", "merged_deal_ids": ["8"]})
    ]
    unsaid = translate(delivery(v1("merged", OLD, OLD)), PIPE)
    assert [event.type for event in unsaid.events] == ["pipedrive.deal.merge"]
    assert list(unsaid.refreshes) == [Refresh("deal", "8", "partial")]


def test_users_of_version_1_come_in_a_list() -> None:
    users = [{"id": 81, "name": "A", "active_flag": False}, {"id": 82, "name": "B"}]
    body = v1("updated", users, None, entity="user")
    assert told(body) == [
        ("user.upserted", {"user_id": "81", "name": "A", "active": False}),
        ("user.upserted", {"user_id": "82", "name": "B"}),
    ]
    assert len(set(ids(body))) == 2


@pytest.mark.parametrize("flag", [True, False, 1, 0, "1", "0"])
def test_a_user_is_active_by_a_number_too(flag: Any) -> None:
    ((_, data),) = told(v1("updated", {"id": 81, "active_flag": flag}, None, entity="user"))
    assert data["active"] is bool(int(flag))


@pytest.mark.parametrize("flag", [7, "yes", [1]])
def test_what_is_no_flag_is_refused(flag: Any) -> None:
    body = v1("updated", {"id": 81, "active_flag": flag}, None, entity="user")
    (puzzle,) = translate(delivery(body), PIPE).puzzles
    assert (puzzle.code, puzzle.detail) == ("invalid_field", "/data/active: must be true or false")


def test_ids_of_version_1() -> None:
    first = v1("added", OLD)
    assert ids(first) == ids({**first, "retry": 3})
    assert ids(first) == ids({**first, "meta": first["meta"] | {"id": "8", "webhook_id": 4}})
    assert ids(first) != ids(v1("added", OLD, second=1))
    assert ids(first) != ids(v1("added", OLD, webhook_id="5"))


# Lives


PIPES: dict[str, dict[str, StageClass]] = {
    "1": {"2": "open", "3": "open", "won": "won", "lost": "lost"}
}
LIFE = [
    v2("create", RECORD),
    change({"value": 150}, {"value": 100}, 1),
    change({"value": 150, "stage_id": 3, "stage_change_time": "2026-03-02T08:00:02Z"},
           {"stage_id": 2}, 2),
    change({"value": 150, "stage_id": 3, "status": "won"}, {"status": "open"}, 3),
    change({"value": 150, "stage_id": 3, "status": "won", "title": "P"}, {"title": "Pumps"}, 4),
]  # fmt: skip
OLD_LIFE = [
    v1("added", OLD),
    v1("updated", OLD | {"value": 150}, OLD, second=1),
    v1("updated", OLD | {"value": 150, "stage_id": 3}, OLD | {"value": 150}, second=2),
    v1("updated", OLD | {"value": 150, "stage_id": 3, "status": "won"},
       OLD | {"value": 150, "stage_id": 3}, second=3),
    v1("updated", OLD | {"value": 150, "stage_id": 3, "status": "won", "title": "P"},
       OLD | {"value": 150, "stage_id": 3, "status": "won"}, second=4),
]  # fmt: skip


@pytest.mark.parametrize("defined", [PIPES, {}])
@pytest.mark.parametrize("life", [LIFE, OLD_LIFE])
def test_a_life_of_a_deal_is_the_same_in_any_order(
    life: list[Any], defined: dict[str, dict[str, StageClass]]
) -> None:
    for arrived in every_order(life, translate, PIPE):
        facts = state(arrived, "8", defined).facts
        assert (facts.status, str(facts.amount), facts.name) == ("won", "150", "P")
        assert facts.closed_at == datetime(2026, 3, 2, 8, 0, 3, 724_000, UTC)
    for arrived in every_order(life[:3], translate, PIPE):
        facts = state(arrived, "8", defined).facts
        assert (facts.status, facts.stage_id, str(facts.amount)) == ("open", "3", "150")
        assert facts.stage_entered_at == datetime(2026, 3, 2, 8, 0, 2, 724_000, UTC)
    gone = v2("delete", None, RECORD, second=9)
    for arrived in every_order([*life, gone], translate, PIPE):
        assert state(arrived, "8", defined).facts.status == "deleted"


def test_what_was_missed_is_made_good_by_the_next_record() -> None:
    facts = state([translate(delivery(body), PIPE) for body in (LIFE[0],)], "8", PIPES).facts
    assert facts.stage_id == "2"
    later = change({"stage_id": 3, "value": 150, "title": "P"}, {"title": "Pumps"}, 5)
    facts = state([translate(delivery(body), PIPE) for body in (LIFE[0], later)], "8", PIPES).facts
    assert (facts.stage_id, str(facts.amount)) == ("3", "150")


SAMPLES = [
    *LIFE[:1], LIFE[2], LIFE[3], OLD_LIFE[2], v2("delete", None, RECORD | {"merged_to_id": 9}),
    v2("create", ACTIVITY, entity="activity"), v1("merged", OLD | {"merge_what_id": 7}, OLD),
    v1("updated", [{"id": 81, "name": "A"}], entity="user"),
    v2("change", {"id": 55, "name": "A"}, {"name": "B"}, entity="organization"),
]  # fmt: skip


@given(st.data(), ANYTHING)
def test_any_value_in_any_field_is_survived(data: st.DataObject, value: Any) -> None:
    for sample in SAMPLES:
        path = data.draw(st.sampled_from(list(places(sample))))
        survives(translate, PIPE, with_value(sample, path, value))


@given(ANYTHING)
def test_any_body_is_survived(body: Any) -> None:
    survives(translate, PIPE, body)
