"""Parts that connections put aside: events by the connection of today, or the reason."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.contracts.topics import CRM_EVENTS
from services.ingest.app.retranslating import anew
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.bounds import Bounds
from services.ingest.domain.crm.model import Connection, Connector, Delivery, Kind
from services.ingest.domain.crm.registry import CONNECTORS, connectors
from services.ingest.domain.letters import Letter, of_puzzles
from services.ingest.domain.model import Candidate
from services.ingest.domain.redriving import Part, Refusal, StoredLetter, again

CAME = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = CAME + timedelta(days=2)
PIPE = Live("t", "pipe", "pipedrive", Connection("pipe", secrets=("hook:new",)))
CHANGE = {"meta": {"entity": "deal", "entity_id": 8, "action": "change", "user_id": 3,
    "id": "df47d877-b58c-4886-91cd-1aa83e1d7301", "timestamp": "2026-03-02T08:59:00Z"},
    "data": {"id": 8, "title": "Pumps", "value": -5, "currency": "EUR", "status": "open",
        "stage_id": 2, "pipeline_id": 1, "owner_id": 81}, "previous": {"stage_id": 1},
}  # fmt: skip


def put_aside(live: Live, body: Any, **headers: str) -> Letter:
    came = Delivery(json.dumps(body).encode(), headers, received_at=CAME)
    told = CONNECTORS[live.kind].translate(came, live.connection)
    (letter,) = of_puzzles(live, came, told.puzzles)
    return letter


def stored(letter: Letter) -> StoredLetter:
    kept = (letter.code, None, letter.event_id, letter.headers, letter.body)
    return StoredLetter(UUID(int=1), "open", *kept, source=letter.source, received_at=CAME)


def part_of(letter: Letter) -> Part:
    part = again(stored(letter), "t", NOW)
    assert isinstance(part, Part)
    return part


async def read(letter: Letter, live: Live | None) -> Sequence[Candidate] | Refusal:
    return await anew(CONNECTORS, part_of(letter), live, NOW)


def refused(verdict: Sequence[Candidate] | Candidate | Part | Refusal) -> Refusal:
    assert isinstance(verdict, Refusal)
    return verdict


async def test_it_is_translated_by_the_connection_of_today() -> None:
    letter = put_aside(PIPE, CHANGE)
    mended = replace(PIPE.connection, field_map={"value": "attributes.loss"}, id_prefix="p-")
    events = await read(letter, replace(PIPE, connection=mended))
    assert not isinstance(events, Refusal)
    (update,) = [event for event in events if event.envelope.type == "deal.updated"]
    data = json.loads(update.envelope.data)
    assert data["deal_id"] == "p-8"
    assert (data["changes"]["attributes.loss"], data["changes"]["name"]) == (-5, "Pumps")
    assert update.envelope.occurred_at == CAME - timedelta(minutes=1)
    assert {event.envelope.recorded_at for event in events} == {NOW}
    assert {event.envelope.tenant_id for event in events} == {"t"}
    assert {event.envelope.source for event in events} == {"/connections/pipe"}


async def test_its_ids_are_those_of_a_delivery_however_often() -> None:
    letter = put_aside(PIPE, CHANGE)
    mended = replace(PIPE, connection=replace(PIPE.connection, field_map={"value": "attributes.v"}))
    first, second = await read(letter, mended), await read(letter, mended)
    assert not isinstance(first, Refusal)
    assert not isinstance(second, Refusal)
    again_delivered = Delivery(json.dumps(CHANGE).encode(), {}, received_at=CAME)
    told = CONNECTORS["pipedrive"].translate(again_delivered, mended.connection)
    assert [event.key.event_id for event in first] == [event.id for event in told.events]
    assert [(e.key, e.body_hash) for e in first] == [(e.key, e.body_hash) for e in second]


async def test_what_is_still_a_puzzle_says_why() -> None:
    told = refused(await read(put_aside(PIPE, CHANGE), PIPE))
    assert (told.code, told.mended_by) == ("invalid_field", "redrive")
    assert "/changes/amount" in told.detail


async def test_what_tells_no_time_happened_when_it_came() -> None:
    std = Live("t", "std", "standard_webhooks", Connection("std"))
    body = {"type": "deal.created", "data": {"deal_id": "D", "nonsense": 1}}
    letter = put_aside(std, body, **{"webhook-id": "m1"})
    part = part_of(letter)
    good = json.dumps({"type": "deal.created", "data": {"deal_id": "D"}}).encode()
    events = await anew(CONNECTORS, replace(part, body=good), std, NOW)
    assert not isinstance(events, Refusal)
    assert [(e.key.event_id, e.envelope.occurred_at) for e in events] == [("m1", CAME)]


@pytest.mark.parametrize(
    ("live", "code"),
    [
        (None, "connection_deleted"),
        (replace(PIPE, kind="hubspot"), "connection_kind"),
    ],
)
async def test_a_connection_that_cannot_read_it(live: Live | None, code: str) -> None:
    assert refused(await read(put_aside(PIPE, CHANGE), live)).code == code


async def test_a_fault_of_a_connector_costs_this_letter_alone() -> None:
    def fails(delivery: Delivery, connection: Connection) -> Any:
        raise KeyError("x")

    broken: dict[Kind, Connector] = {"pipedrive": replace(CONNECTORS["pipedrive"], translate=fails)}
    told = refused(await anew(broken, part_of(put_aside(PIPE, CHANGE)), PIPE, NOW))
    assert (told.code, told.mended_by) == ("connector_failed", "redrive")


async def test_what_was_too_much_is_redriven_once_more_is_allowed() -> None:
    hub = Live("t", "hub", "hubspot", Connection("hub", secrets=("s",)))
    created = {"subscriptionType": "deal.creation", "occurredAt": 1_764_000_000_000, "portalId": 1}
    letter = put_aside(hub, [created | {"objectId": number} for number in range(1_001)])
    assert letter.code == "too_many_parts"
    assert refused(await read(letter, hub)).code == "too_many_parts"
    events = await anew(connectors(Bounds(parts=1_001)), part_of(letter), hub, NOW)
    assert not isinstance(events, Refusal)
    assert len(events) == 1_001


async def test_a_body_that_nobody_can_read_is_refused() -> None:
    part = replace(part_of(put_aside(PIPE, CHANGE)), body=b"{")
    assert refused(await anew(CONNECTORS, part, PIPE, NOW)).code == "unreadable"


def test_a_part_is_a_connections_and_a_tenants() -> None:
    letter = stored(put_aside(PIPE, CHANGE))
    for other in (
        replace(letter, topic=CRM_EVENTS),
        replace(letter, source="/crm/t"),
        replace(letter, headers=[]),
    ):
        assert not isinstance(again(other, "t", NOW), Part)
    assert not isinstance(again(letter, None, NOW), Part)
    assert refused(again(replace(letter, state="dismissed"), "t", NOW)).code == "dismissed"
