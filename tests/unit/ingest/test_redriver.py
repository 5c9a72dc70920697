"""Redriving whole bodies that were too much for a delivery: in chunks, one body at a time."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from libs.common.clock import FakeClock
from libs.common.eventlog.port import EventLog, NewRecord, RecordTooLarge
from services.ingest.app.redriving import CHUNK, Outcome, Redriven, Redriver
from services.ingest.app.unappended import Unappended
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.bounds import MOST_PARTS, REDRIVEN, Bounds
from services.ingest.domain.crm.model import Connection, Delivery, Kind
from services.ingest.domain.crm.registry import CONNECTORS, connectors
from services.ingest.domain.letters import Letter, of_puzzles
from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.redriving import StoredLetter
from tests.unit.ingest.crm import test_salesforce_outbound

CAME = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = CAME + timedelta(days=2)
HUB = Live("t", "hub", "hubspot", Connection("hub", secrets=("s3cret",)))


class World:
    """The letters of a tenant and a log, both in memory."""

    tenant_id = "t"

    def __init__(self, live: Live, *letters: Letter) -> None:
        self.live = live
        self.stored = {UUID(int=n): _stored(n, letter) for n, letter in enumerate(letters)}
        self.appended: list[int] = []
        self.asked: list[int] = []
        self.done: list[Redriven] = []
        self.hashes: dict[str, bytes] = {}
        """Of ids that came before."""
        self.collided: list[str] = []
        self.too_large = False

    async def redrive(self, bounds: Bounds = REDRIVEN, *, dry_run: bool = False) -> list[Outcome]:
        own = cast(Any, self)
        driver = Redriver(
            cast(EventLog, self), Unappended(), CONNECTORS, connectors(bounds), FakeClock(NOW)
        )
        return await driver.redrive(own, list(self.stored), dry_run=dry_run)

    async def append(self, _: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if self.too_large:
            raise RecordTooLarge("scripted")
        self.appended.append(len(records))
        return [(0, n) for n, _ in enumerate(records)]

    async def load(self, ids: Sequence[UUID]) -> Sequence[StoredLetter]:
        return [self.stored[one] for one in ids]

    async def tenants(self, named: Collection[str]) -> Collection[str]:
        return named

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        self.asked.append(len(keys))
        return {key: self.hashes[key.event_id] for key in keys if key.event_id in self.hashes}

    async def connection(self, _: str) -> Live:
        return self.live

    async def entered(self, redriven: Sequence[Redriven], at: datetime) -> None:
        assert at == NOW
        self.done += redriven

    async def keep_conflicts(self, conflicts: Sequence[Candidate], at: datetime) -> None:
        assert at == NOW
        self.collided += [event.key.event_id for event in conflicts]

    @property
    def ids(self) -> list[str]:
        return [one.entry.candidate.key.event_id for one in self.done]


def _stored(number: int, letter: Letter) -> StoredLetter:
    kept = (letter.code, None, letter.event_id, letter.headers, letter.body)
    return StoredLetter(UUID(int=number), "open", *kept, source=letter.source, received_at=CAME)


def put_aside(live: Live, body: bytes, bounds: Bounds = Bounds()) -> Letter:  # noqa: B008
    came = Delivery(body, {}, received_at=CAME)
    told = connectors(bounds)[live.kind].translate(came, live.connection)
    (letter,) = of_puzzles(live, came, told.puzzles)
    return letter


def creations(count: int, first: int = 0) -> list[dict[str, Any]]:
    made = {"subscriptionType": "deal.creation", "occurredAt": 1_764_000_000_000, "portalId": 1}
    return [made | {"objectId": first + number} for number in range(count)]


def body_of(*parts: Any) -> bytes:
    return json.dumps(parts).encode()


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_body_of_too_many_parts_enters_in_chunks(dry_run: bool) -> None:
    parts = creations(2 * CHUNK + 7)
    world = World(HUB, put_aside(HUB, body_of(*parts)))
    (told,) = await world.redrive(dry_run=dry_run)
    assert told.status == ("would_redrive" if dry_run else "redriven")
    assert world.appended == ([] if dry_run else [CHUNK, CHUNK, 7])
    assert max(world.asked) <= CHUNK


async def test_its_events_are_named_as_in_smaller_deliveries() -> None:
    parts = creations(MOST_PARTS + 1)
    world = World(HUB, put_aside(HUB, body_of(*parts)))
    await world.redrive()
    smaller = [
        CONNECTORS["hubspot"].translate(Delivery(body_of(*some), {}), HUB.connection).events
        for some in (parts[:500], parts[500:])
    ]
    assert world.ids == [event.id for events in smaller for event in events]


def ids_of(*parts: Any) -> list[str]:
    told = CONNECTORS["hubspot"].translate(Delivery(body_of(*parts), {}), HUB.connection)
    return [str(event.id) for event in told.events]


@pytest.mark.parametrize("dry_run", [False, True])
async def test_what_another_body_came_first_of_is_kept_beside_what_enters(dry_run: bool) -> None:
    first, second, third = ids_of(*creations(3))
    world = World(HUB, replace(put_aside(HUB, body_of(1)), body=body_of(*creations(3))))
    world.hashes[second] = b"another"
    (told,) = await world.redrive(dry_run=dry_run)
    assert told.status == ("would_redrive" if dry_run else "redriven")
    assert (world.ids, world.collided) == (([], []) if dry_run else ([first, third], [second]))


async def test_of_two_bodies_under_one_id_in_one_letter_the_first_wins() -> None:
    """HubSpot tells who did it beside what names the event."""
    gone = creations(1)[0] | {"subscriptionType": "deal.deletion"}
    other = gone | {"sourceId": "userId:7"}
    (own,) = set(ids_of(gone, other))
    world = World(HUB, replace(put_aside(HUB, body_of(1)), body=body_of(gone, other, gone)))
    (told,) = await world.redrive()
    assert (told.status, world.ids, world.collided) == ("redriven", [own], [own])


async def test_a_letter_that_does_not_enter_leaves_no_other_behind() -> None:
    """It stays open itself, and tells all that it holds."""
    first, second = ids_of(*creations(2))
    letter = replace(put_aside(HUB, body_of(1)), body=body_of(*creations(2)))
    world = World(HUB, letter)
    world.hashes |= {first: b"another", second: b"another"}
    (told,) = await world.redrive()
    assert (told.code, world.ids, world.collided) == ("conflict", [], [])
    del world.hashes[first]
    world.too_large = True
    (told,) = await world.redrive()
    assert (told.code, world.ids, world.collided) == ("refused_by_log", [], [])


async def test_bodies_of_too_many_parts_enter_one_at_a_time_in_their_order() -> None:
    """Each may be as much in memory as all small ones together."""
    small = replace(put_aside(HUB, body_of(1)), body=body_of(*creations(1, first=50_000)))
    large = [put_aside(HUB, body_of(*creations(MOST_PARTS + 1, first=n))) for n in (0, 5_000)]
    world = World(HUB, small, small, *large, small)
    told = await world.redrive()
    assert [one.id.int for one in told] == [0, 1, 2, 3, 4]
    assert world.appended == [2, MOST_PARTS, 1, MOST_PARTS, 1, 1]


async def test_messages_of_soap_enter_too() -> None:
    live = Live("t", "sf", "salesforce_outbound", Connection("sf"))
    notes = [
        test_salesforce_outbound.note(f"04l{n}", Id=f"006{n}", Name="x")
        for n in range(MOST_PARTS + 1)
    ]
    world = World(live, put_aside(live, test_salesforce_outbound.message(*notes)))
    (told,) = await world.redrive()
    assert (told.status, len(world.done)) == ("redriven", MOST_PARTS + 1)


@pytest.mark.parametrize(
    ("bounds", "code", "setting"),
    [
        (Bounds(parts=1_500), "too_many_parts", "HEADWAY_INGEST_DELIVERY_PARTS"),
        (Bounds(parts=1_500, bytes=30_000), "too_large", "HEADWAY_INGEST_DELIVERY_BYTES"),
    ],
)
async def test_beyond_every_limit_it_says_what_to_do(
    bounds: Bounds, code: str, setting: str
) -> None:
    kind: Kind = "zoho" if code == "too_large" else "hubspot"
    live = Live("t", "c", kind, Connection("c"))
    wide = {"module": "Deals", "operation": "update", "x": "y" * 1_000,
            "ids": [str(n) for n in range(1_001)]}  # fmt: skip
    body = json.dumps(wide).encode() if kind == "zoho" else body_of(*creations(2_000))
    (told,) = await World(live, put_aside(live, body)).redrive(bounds)
    assert (told.status, told.code, told.mended_by) == ("refused", code, "redrive")
    assert setting in str(told.detail)
    assert "fewer" in str(told.detail)


async def test_other_parts_keep_to_what_a_delivery_may_be() -> None:
    """Fifty of them are in memory at a time."""
    letter = replace(put_aside(HUB, body_of(1)), body=body_of(*creations(MOST_PARTS + 1)))
    (told,) = await World(HUB, letter).redrive()
    assert (told.status, told.code) == ("refused", "too_many_parts")


def test_a_redrive_takes_what_a_delivery_may_be_at_least() -> None:
    assert Bounds(1, 2).or_more(Bounds(3, 4)) == Bounds(3, 4)
    assert Bounds(5, 2).or_more(Bounds(3, 4)) == Bounds(5, 4)
