"""Close: entries of its event log, signed with a time."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.funnel.domain.model import StageClass
from services.ingest.domain.crm.close import CONNECTOR, translate, verify
from services.ingest.domain.crm.model import Connection, Delivery, Refused, Unreadable
from tests.unit.ingest.crm.checks import (
    ANYTHING,
    NOW,
    delivery,
    every_order,
    is_refused,
    mutants,
    places,
    state,
    survives,
    with_value,
)

KEY = "058bfb6a3d8cfdc4da7c3be5901b16ae11da982b46a25fb2cd7016e97a140a1c"
CLOSE = Connection("close", secrets=(KEY,))
BODY = b'{"event":{"object_type":"opportunity"},"subscription_id":"whsub_1"}'


def signed(at: datetime = NOW, *, body: bytes = BODY, key: bytes | None = None) -> Delivery:
    sent = str(int(at.timestamp()))
    proof = hmac.digest(key or bytes.fromhex(KEY), sent.encode() + body, hashlib.sha256).hex()
    return Delivery(body, {"close-sig-hash": proof, "close-sig-timestamp": sent})


def test_the_vector() -> None:
    proof = "96a15723ca4876b6dfacb2b516aaf9b0bf42e4a994826c91f5110b42e6c4c909"
    headers = {"close-sig-hash": proof, "close-sig-timestamp": "1544271440"}
    at = datetime.fromtimestamp(1544271440, UTC)
    assert verify(Delivery(b'{"a":1}', headers), CLOSE, at) == 0


@pytest.mark.parametrize("away", [-300, -299, 299, 300])
def test_within_the_tolerance_it_passes(away: int) -> None:
    assert verify(signed(NOW + timedelta(seconds=away)), CLOSE, NOW) == 0


@pytest.mark.parametrize("away", [-301, 301])
def test_a_replay_is_refused(away: int) -> None:
    with pytest.raises(Refused) as refused:
        verify(signed(NOW + timedelta(seconds=away)), CLOSE, NOW)
    assert refused.value.code == "stale"


def test_both_secrets_prove_while_they_rotate() -> None:
    rotating = replace(CLOSE, secrets=("ab" * 32, KEY))
    assert verify(signed(), rotating, NOW) == 1
    assert verify(signed(key=b"\xab" * 32), rotating, NOW) == 0


@pytest.mark.parametrize(
    "given_delivery",
    [
        Delivery(BODY, {}),
        signed(key=KEY.encode()),
        replace(signed(), body=BODY + b"\n"),
        replace(signed(), headers={"close-sig-hash": signed().headers["close-sig-hash"]}),
        replace(signed(), headers={"close-sig-timestamp": signed().headers["close-sig-timestamp"]}),
        replace(signed(), headers={**signed().headers, "close-sig-timestamp": "now"}),
    ],
)
def test_what_was_signed_otherwise_is_refused(given_delivery: Delivery) -> None:
    assert is_refused(verify, given_delivery, CLOSE)


@pytest.mark.parametrize("secret", ["", " ", "no key", KEY[:-1]])
def test_a_secret_that_is_no_key_proves_nothing(secret: str) -> None:
    assert is_refused(verify, signed(), replace(CLOSE, secrets=(secret,)))
    empty = hmac.digest(b"", signed().headers["close-sig-timestamp"].encode() + BODY, "sha256")
    forged = replace(signed(), headers={**signed().headers, "close-sig-hash": empty.hex()})
    assert is_refused(verify, forged, replace(CLOSE, secrets=(secret,)))


def test_ten_thousand_mutants_are_refused() -> None:
    headers = ["close-sig-hash", "close-sig-timestamp"]
    assert all(is_refused(verify, mutant, CLOSE) for mutant in mutants(signed(), headers, 10_000))


# What it means


def entry(kind: str, action: str, data: Any = None, *, second: int = 0, **more: Any) -> Any:
    return {
        "subscription_id": "whsub_1",
        "event": {
            "id": f"ev_{kind}_{action}_{second}", "object_type": kind, "action": action,
            "object_id": "oppo_1", "lead_id": "lead_1", "organization_id": "orga_1",
            "user_id": "user_9", "request_id": "req_1", "changed_fields": [], "previous_data": {},
            "data": {"id": "oppo_other"} | (data or {}),
            "meta": {"request_method": "PUT", "request_path": "/api/v1/"},
            "date_created": f"2026-03-02T08:00:{second:02}.500000",
            "date_updated": f"2026-03-02T08:00:{second:02}.500000",
            **more,
        },
    }  # fmt: skip


OPPORTUNITY = {
    "status_id": "stat_a", "status_label": "Active", "status_type": "active", "value": 90_000,
    "value_currency": "USD", "value_period": "one_time", "confidence": 50, "date_won": "2026-06-30",
    "date_lost": None, "pipeline_id": "pipe_1", "user_id": "user_1", "contact_id": "cont_1",
    "lead_name": "Pumps Ltd", "lead_id": "lead_1", "note": "",
}  # fmt: skip
WON = {"status_id": "stat_w", "status_type": "won", "date_won": "2026-03-02", "confidence": 100}
CREATED = entry("opportunity", "created", OPPORTUNITY)


def updated(now: Any, before: Any, second: int = 1, **more: Any) -> Any:
    data = {**OPPORTUNITY, **now}
    names = {"changed_fields": [*now, "date_updated"], "previous_data": before}
    return entry("opportunity", "updated", data, second=second, **{**names, **more})


def told(body: Any, connection: Connection = CLOSE) -> list[tuple[str, Any]]:
    translation = translate(delivery(body), connection)
    assert not translation.puzzles
    return [(event.type, event.data) for event in translation.events]


DEAL = {"deal_id": "oppo_1"}
BY = DEAL | {"actor_id": "user_9"}


def test_a_new_opportunity_is_a_new_deal_in_money_not_cents() -> None:
    fields = {
        "name": "Pumps Ltd", "amount": "900.00", "currency": "USD", "stage_id": "stat_a",
        "pipeline_id": "pipe_1", "owner_id": "user_1", "account_id": "lead_1",
        "expected_close_date": "2026-06-30", "attributes": {"value_period": "one_time"},
    }  # fmt: skip
    assert told(CREATED) == [("deal.created", DEAL | fields)]
    (event,) = translate(delivery(CREATED), CLOSE).events
    assert event.id == "ev_opportunity_created_0"
    assert event.time == datetime(2026, 3, 2, 8, 0, 0, 500_000, UTC)
    type_, data = told(entry("opportunity", "created", OPPORTUNITY | WON))[1]
    assert (type_, data) == ("deal.won", BY)


def test_an_update_tells_what_changed_with_the_claims() -> None:
    assert told(updated({"value": 120_005}, {"value": 90_000})) == [
        ("deal.updated", BY | {"changes": {"amount": "1200.05"}, "previous": {"amount": "900.00"}})
    ]


def test_a_win_is_a_stage_and_then_an_outcome() -> None:
    body = updated(WON, {"status_id": "stat_a", "status_type": "active", "confidence": 50})
    place = {"stage_id": "stat_w", "pipeline_id": "pipe_1", "from_stage_id": "stat_a"}
    assert told(body) == [("deal.stage_changed", BY | place), ("deal.won", BY)]
    ids = [event.id for event in translate(delivery(body), CLOSE).events]
    assert ids == ["ev_opportunity_updated_1/stage", "ev_opportunity_updated_1/status"]


def test_a_loss_and_a_reopening() -> None:
    lost = updated({"status_id": "stat_l", "status_type": "lost"}, {"status_type": "active"})
    assert [type_ for type_, _ in told(lost)] == ["deal.stage_changed", "deal.lost"]
    back = updated({"status_id": "stat_a", "status_type": "active"}, {"status_type": "lost"})
    assert told(back)[1] == ("deal.reopened", BY | {"stage_id": "stat_a"})


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (None, None), ("", None), (0, "0.00"), (5, "0.05"), (99, "0.99"), (100, "1.00"),
        ("100000", "1000.00"), (100000.0, "1000.00"),
    ],
)  # fmt: skip
def test_cents(value: Any, amount: str | None) -> None:
    (_, data), *_ = told(updated({"value": value}, {}))
    assert data["changes"] == {"amount": amount}


def test_maps_and_prefix_of_the_connection() -> None:
    mapped = replace(
        CLOSE,
        id_prefix="c-",
        stage_map={"stat_w": "won", "stat_a": "talks"},
        pipeline_map={"pipe_1": "sales"},
        field_map={"confidence": "attributes.confidence"},
    )
    data = dict(told(updated(WON, {"status_id": "stat_a"}), mapped))
    assert data["deal.won"] == {"deal_id": "c-oppo_1", "actor_id": "user_9"}
    assert data["deal.stage_changed"] == data["deal.won"] | {
        "stage_id": "won",
        "from_stage_id": "talks",
        "pipeline_id": "sales",
    }
    assert data["deal.updated"]["changes"] == {"attributes.confidence": 100}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (entry("opportunity", "deleted"), ("deal.deleted", BY)),
        (
            entry("lead", "created", {"display_name": "A"}, object_id="lead_1"),
            ("account.upserted", {"account_id": "lead_1", "name": "A"}),
        ),
        (
            entry("lead", "updated", {"name": "B"}, object_id="lead_1", changed_fields=["name"]),
            ("account.upserted", {"account_id": "lead_1", "name": "B"}),
        ),
    ],
)
def test_ends_and_accounts(body: Any, expected: tuple[str, Any]) -> None:
    assert told(body) == [expected]


def activity(kind: str, action: str, data: Any, **more: Any) -> Any:
    return entry(f"activity.{kind}", action, data, object_id="acti_1", **more)


@pytest.mark.parametrize(
    ("body", "type_", "more"),
    [
        (
            activity("call", "created", {"direction": "outbound", "user_id": "user_1"}),
            "activity.logged",
            {"kind": "call", "direction": "outbound", "actor_id": "user_1"},
        ),
        (
            activity("note", "created", {"opportunity_id": "oppo_1"}),
            "activity.logged",
            {"kind": "note", "deal_id": "oppo_1"},
        ),
        (
            activity("email", "created", {"direction": "incoming", "status": "inbox"}),
            "activity.logged",
            {"kind": "email", "direction": "inbound"},
        ),
        (
            activity(
                "email",
                "updated",
                {"direction": "outgoing", "status": "sent", "sequence_id": "seq_1"},
                previous_data={"status": "outbox"},
            ),
            "activity.logged",
            {"kind": "email", "direction": "outbound", "automated": True},
        ),
        (activity("meeting", "created", {}), "activity.logged", {"kind": "meeting"}),
        (
            activity("meeting", "created", {"status": "upcoming", "starts_at": "2026-03-05T10:00"}),
            "activity.scheduled",
            {"kind": "meeting", "scheduled_for": "2026-03-05T10:00:00+00:00"},
        ),
        (
            activity("meeting", "updated", {"status": "completed"}, changed_fields=["status"]),
            "activity.completed",
            {"kind": "meeting"},
        ),
        (
            activity("meeting", "updated", {"status": "canceled"}, changed_fields=["status"]),
            "activity.cancelled",
            {"kind": "meeting"},
        ),
        (
            activity("meeting", "deleted", {"status": "upcoming"}),
            "activity.cancelled",
            {"kind": "meeting"},
        ),
    ],
)
def test_activities_belong_to_the_lead_and_the_opportunity(
    body: Any, type_: str, more: dict[str, Any]
) -> None:
    base = {"activity_id": "acti_1", "account_id": "lead_1", "actor_id": "user_9"}
    assert told(body) == [(type_, base | more)]


@pytest.mark.parametrize(
    "body",
    [
        entry("contact", "created"), entry("opportunity", "merged"), entry("task.lead", "created"),
        entry("lead", "updated", {"name": "A"}, changed_fields=["status_id"]),
        entry("lead", "deleted"), updated({"confidence": 60}, {"confidence": 50}),
        updated({"date_won": "2026-03-02", "status_type": "won"}, {}, changed_fields=["date_won"]),
        activity("call", "updated", {}), activity("email", "created", {"status": "draft"}),
        activity("email", "updated", {"status": "sent"}, previous_data={"opens": 1}),
        activity("email", "sent", {"status": "sent"}),
        activity("meeting", "updated", {"status": "completed"}, changed_fields=["note"]),
        activity("sms", "created", {}), activity("note", "created", {}, lead_id=None),
    ],
)  # fmt: skip
def test_what_has_no_use_is_kept_under_its_own_name(body: Any) -> None:
    event = body["event"]
    assert told(body) == [(f"close.{event['object_type']}.{event['action']}", body)]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"event": None}, {"event": {}}, entry("opportunity", "created", object_id=None),
        entry("opportunity", "created", date_created="soon"),
        entry("opportunity", "created", {"value": -5}),
        entry("opportunity", "created", {"value": 10**15 * 100}),
        entry("opportunity", "created", {"value_currency": "XXL"}),
        entry("opportunity", "updated", data=None, object_id=[]), entry("x" * 300, "created"),
        entry("contact", "\n"), entry("contact", "created", {"a": "\x00"}),
    ],
)  # fmt: skip
def test_what_makes_no_event_is_a_puzzle(body: Any) -> None:
    translation = translate(delivery(body), CLOSE)
    assert not translation.events
    assert [puzzle.raw for puzzle in translation.puzzles] == [body]


def test_a_rotten_field_spoils_no_other_event_of_its_entry() -> None:
    body = updated({"value": -1, "status_id": "stat_b"}, {"status_id": "stat_a"})
    translation = translate(delivery(body), CLOSE)
    assert [event.type for event in translation.events] == ["deal.stage_changed"]
    assert len(translation.puzzles) == 1


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        translate(Delivery(body, {}), CLOSE)


PIPES: dict[str, dict[str, StageClass]] = {
    "pipe_1": {"stat_a": "open", "stat_b": "open", "stat_w": "won", "stat_l": "lost"}
}
LIFE = [
    CREATED,
    updated({"value": 120_000}, {"value": 90_000}, 1),
    updated({"status_id": "stat_b", "value": 120_000}, {"status_id": "stat_a"}, 2),
    updated({**WON, "value": 120_000}, {"status_id": "stat_b", "status_type": "active"}, 3),
]


@pytest.mark.parametrize("defined", [PIPES, {}])
def test_a_life_of_a_deal_is_the_same_in_any_order(
    defined: dict[str, dict[str, StageClass]],
) -> None:
    for arrived in every_order(LIFE, translate, CLOSE):
        facts = state(arrived, "oppo_1", defined).facts
        assert (facts.status, str(facts.amount)) == ("won", "1200.00")
        assert facts.closed_at == datetime(2026, 3, 2, 8, 0, 3, 500_000, UTC)
        assert facts.account_id == "lead_1"
    gone = entry("opportunity", "deleted", second=9)
    for arrived in every_order([*LIFE, gone], translate, CLOSE):
        assert state(arrived, "oppo_1", defined).facts.status == "deleted"


def test_a_reopened_deal_is_open_in_its_stage() -> None:
    back = updated({"status_id": "stat_b", "status_type": "active"}, {"status_type": "won"}, 8)
    for defined in (PIPES, {}):
        for arrived in every_order([*LIFE, back], translate, CLOSE):
            facts = state(arrived, "oppo_1", defined).facts
            assert (facts.status, facts.stage_id) == ("open", "stat_b")


SAMPLES = [
    CREATED, LIFE[3], entry("lead", "created", {"display_name": "A"}),
    activity("meeting", "created", {"status": "upcoming", "starts_at": "2026-03-05T10:00"}),
    activity("email", "created", {"direction": "incoming", "sequence_id": "s", "status": "inbox"}),
]  # fmt: skip


@given(st.data(), ANYTHING)
def test_any_value_in_any_field_is_survived(data: st.DataObject, value: Any) -> None:
    for sample in SAMPLES:
        path = data.draw(st.sampled_from(list(places(sample))))
        survives(translate, CLOSE, with_value(sample, path, value))


@given(ANYTHING)
def test_any_body_is_survived(body: Any) -> None:
    survives(translate, CLOSE, body)


def test_it_signs_its_time() -> None:
    assert CONNECTOR.signs_time
