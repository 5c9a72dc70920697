"""Bodies fall into parts: each is translated by itself, and what makes no event is a puzzle."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import Puzzling, Told, digest, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import Connection, Delivery, Refresh, Unreadable
from services.ingest.domain.crm.times import iso
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Candidate, Receipt, Rejection

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONNECTION = Connection("c")


def deleted(part: Any) -> Iterator[Told]:
    """A little connector: `{"id": …, "deals": […], "type": …}`."""
    if not isinstance(part, dict):
        raise Puzzling("not_an_object", "a part is an object")
    draft = Draft(CONNECTION, part.get("id", "e"), NOW)
    yield from (draft.deal("deal.deleted", deal) for deal in part.get("deals", ()))
    if "type" in part:
        yield draft.skipped(part["type"], part)
    if "again" in part:
        yield Refresh("deal", part["again"], "gap")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(Delivery(body, {}))


def test_of_a_key_that_a_crm_says_twice_the_last_counts() -> None:
    assert read(Delivery(b'{"a":1,"a":2}', {})) == {"a": 2}


@pytest.mark.parametrize(
    ("rotten", "code"),
    [
        (7, "not_an_object"),
        ({"deals": ["d"], "more": float("nan")}, "invalid_field"),
        ({"deals": ["d"], "more": 2**64}, "invalid_field"),
        ({"deals": ["d"], "\ud800": 1}, "invalid_field"),
        ({"deals": ["d"], "more": "\x00"}, "invalid_field"),
        ({"deals": [""]}, "invalid_field"),
        ({"deals": ["x" * 201]}, "invalid_field"),
        ({"deals": ["d"], "id": "x" * 201}, "invalid_field"),
        ({"deals": ["d"], "id": "a\tb"}, "invalid_field"),
        ({"type": "c.\n"}, "invalid_field"),
        ({"type": "c." + "x" * 200}, "invalid_field"),
    ],
)
def test_a_rotten_part_is_a_puzzle_and_its_neighbours_enter(rotten: Any, code: str) -> None:
    told = gathered([{"deals": ["a"]}, rotten, {"deals": ["b"]}], deleted)
    assert [event.data for event in told.events] == [{"deal_id": "a"}, {"deal_id": "b"}]
    assert [(puzzle.code, puzzle.raw) for puzzle in told.puzzles] == [(code, rotten)]


def test_what_a_part_says_well_enters_beside_the_puzzle() -> None:
    part = {"deals": ["a", "", "b"]}
    told = gathered([part], deleted)
    assert [event.data["deal_id"] for event in told.events] == ["a", "b"]
    assert [puzzle.raw for puzzle in told.puzzles] == [part]


def test_records_to_be_read_are_told_in_order() -> None:
    told = gathered([{"again": "a"}, 7, {"again": "b"}], deleted)
    assert [refresh.record_id for refresh in told.refreshes] == ["a", "b"]


def test_an_instant_is_told_or_not_or_puzzles() -> None:
    assert happened("at", "2026-03-02T09:00:00Z", iso) == NOW
    assert happened("at", None, iso) is None
    unreadable: list[Any] = ["soon", 0, [], "9999-01-01T00:00:00Z"]
    for given in unreadable:
        with pytest.raises(Puzzling):
            happened("at", given, iso)


def test_a_digest_tells_what_it_names_apart() -> None:
    assert digest("a", 1) == digest("a", 1)
    assert len({digest("a", 1), digest("a", "1"), digest("a1"), digest("a", 1, None)}) == 4


RECEIPT = Receipt("t", NOW)


def test_a_sound_event_of_a_connector_is_a_candidate() -> None:
    examined = examine_incoming(Draft(CONNECTION, "e", NOW).deal("deal.deleted", "d"), RECEIPT)
    assert isinstance(examined, Candidate)
    assert examined.key == ("t", "/connections/c", "e")


@pytest.mark.parametrize(
    "event",
    [
        Draft(CONNECTION, "\ud800", NOW).deal("deal.deleted", "d"),
        Draft(CONNECTION, "e", NOW).deal("deal.deleted", "\ud800"),
        Draft(CONNECTION, "e", NOW).skipped("c.x", {"a": float("nan")}),
        Draft(CONNECTION, "e", NOW).skipped("c.x", {"\ud800": 1}),
        Draft(CONNECTION, "e", NOW).skipped("", None),
    ],
)
def test_one_that_is_not_is_rejected_without_an_accident(event: IncomingEvent) -> None:
    assert isinstance(examine_incoming(event, RECEIPT), Rejection)
