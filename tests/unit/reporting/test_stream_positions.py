"""Positions: signed, bound to their tenant and topics, and judged against what is kept."""

import base64

import pytest

from libs.common.eventlog.port import Partition, PartitionEnds
from services.reporting.app.stream_positions import BadPosition, Positions
from services.reporting.domain.stream import Event
from services.reporting.domain.stream_position import MOST_REPLAYED, Place, Position, continued

SIGNED = Positions(b"k" * 32)
BOTH = Position({"deals": Place("t-1", (3, 0)), "alerts": Place("t-2", (9,))}, 4)
TEXT = SIGNED.seal("acme", BOTH)


def test_a_position_comes_back_as_it_was() -> None:
    assert SIGNED.open("acme", ["alerts", "deals"], TEXT) == BOTH


@pytest.mark.parametrize(
    ("tenant", "names", "text"),
    [
        ("beta", ["deals", "alerts"], TEXT),
        ("acm", ["deals", "alerts"], TEXT),
        ("acme", ["deals"], TEXT),
        ("acme", ["deals", "alerts"], Positions(b"x" * 32).seal("acme", BOTH)),
        ("acme", ["deals", "alerts"], ""),
        ("acme", ["deals", "alerts"], "rubbish"),
        ("acme", ["deals", "alerts"], "ä" * 40),
        ("acme", ["deals", "alerts"], TEXT + "A" * 50_000),
    ],
)
def test_what_is_not_ours_for_this_tenant_and_these_topics_is_refused(
    tenant: str, names: list[str], text: str
) -> None:
    with pytest.raises(BadPosition):
        SIGNED.open(tenant, names, text)


def test_no_bit_of_a_position_can_be_changed() -> None:
    raw = bytearray(base64.urlsafe_b64decode(TEXT))
    for index in range(len(raw)):
        changed = bytes(b ^ (n == index) for n, b in enumerate(raw))
        with pytest.raises(BadPosition):
            SIGNED.open("acme", ["deals", "alerts"], base64.urlsafe_b64encode(changed).decode())


def test_the_widest_position_fits() -> None:
    wide = Place("0198c1d2-0000-7000-8000-000000000000", tuple(10**11 + n for n in range(1024)))
    widest = Position({"deals": wide, "alerts": wide}, 10**6)
    assert SIGNED.open("acme", ["deals", "alerts"], SIGNED.seal("acme", widest)) == widest


def ends(*bounds: tuple[int, int]) -> dict[Partition, PartitionEnds]:
    return {Partition("t", n): PartitionEnds(*bound) for n, bound in enumerate(bounds)}


def test_a_client_reads_on_where_it_left() -> None:
    now = Place("t-1", (10, 5))
    assert continued(Place("t-1", (3, 5)), now, ends((3, 10), (0, 5))) == Place("t-1", (3, 5))
    ahead = Place("t-1", (12, 5))  # another process was further on
    assert continued(ahead, now, ends((3, 12), (0, 5))) == ahead


def test_partitions_that_were_added_are_read_from_their_start() -> None:
    found = continued(Place("t-1", (3,)), Place("t-1", (10, 5)), ends((3, 10), (2, 5)))
    assert found == Place("t-1", (3, 2))


@pytest.mark.parametrize(
    ("since", "kept"),
    [
        (Place("t-0", (10, 5)), ends((0, 10), (0, 5))),  # the topic was made anew
        (Place("t-1", (3, 5)), ends((4, 10), (0, 5))),  # retention took the next record
        (Place("t-1", (11, 5)), ends((0, 10), (0, 5))),  # the log has lost its end
        (Place("t-1", (3, 5, 0)), ends((3, 10), (0, 5))),  # it never had so many partitions
    ],
)
def test_history_that_is_gone_is_said(since: Place, kept: dict[Partition, PartitionEnds]) -> None:
    assert continued(since, Place("t-1", (10, 5)), kept) == "history_gone"


def test_there_is_an_end_to_what_is_read_again() -> None:
    far = Place("t-1", (MOST_REPLAYED, 1))
    kept = ends((0, MOST_REPLAYED), (0, 1))
    assert continued(Place("t-1", (0, 0)), far, kept) == "too_far_behind"
    assert continued(Place("t-1", (0, 1)), far, kept) == Place("t-1", (0, 1))


def test_a_position_moves_with_events_and_knows_the_ones_it_has_passed() -> None:
    event = Event("deals", 3, 7, "deal.state_changed", "{}")
    moved = BOTH.after(event)
    assert moved.places == {"deals": Place("t-1", (3, 0, 0, 8)), "alerts": Place("t-2", (9,))}
    assert (BOTH.passed(event), moved.passed(event)) == (False, True)
    assert Place("t-1", (3, 9)).latest(Place("t-1", (4, 1, 2))) == Place("t-1", (4, 9, 2))
    assert Place("t-1", (3, 9)).latest(Place("t-9", (1,))) == Place("t-9", (1,))
