"""What a wrong signature costs does not tell how much of it is right."""

import random
import statistics
import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from time import perf_counter_ns

import pytest

from services.ingest.domain.crm.model import Connection, Delivery, Kind, Refused
from services.ingest.domain.crm.registry import CONNECTORS
from tests.unit.ingest.crm import (
    proofs,
    test_close,
    test_hubspot,
    test_standard_webhooks,
    test_twenty,
)

NOW = proofs.NOW
pytestmark = [pytest.mark.scale, pytest.mark.timeout(900)]
SAMPLES = 100_000
"""Of each of the two classes."""
AHEAD = 1_000
"""Texts that are made at a time."""
MOST = 5.0
"""Welch's t. Equal classes exceed it once in a million; what leaks exceeds it tenfold."""
KEPT = 0.8
"""The quickest part of all samples: what was interrupted tells nothing of what was compared."""
STANDARD = test_standard_webhooks
SIGNED: dict[Kind, tuple[Delivery, str, Connection, datetime]] = {
    "standard_webhooks": (
        STANDARD.VECTOR, "webhook-signature", STANDARD.of(STANDARD.SECRET), STANDARD.SIGNED_AT,
    ),
    "close": (test_close.signed(), "close-sig-hash", test_close.CLOSE, NOW),
    "hubspot": (test_hubspot.v3(), "x-hubspot-signature-v3", test_hubspot.HUB, NOW),
    "twenty": (
        test_twenty.VECTOR, "x-twenty-webhook-signature", proofs.CONNECTION,
        test_twenty.SIGNED_AT,
    ),
}  # fmt: skip


def timed(run: Callable[[str], object], right: str, places: Sequence[int]) -> list[list[int]]:
    """Nanoseconds by place of the wrong character. Turns are drawn, and each text is a new one,
    made beforehand and alike for all places, so that neither the machine's moods nor its memory
    favour a class."""
    chance, wrong = random.Random(11), _in_none_of(right, places)
    turns = [n for n in range(len(places)) for _ in range(SAMPLES)]
    chance.shuffle(turns)
    taken: list[list[int]] = [[] for _ in places]
    for begin in range(0, len(turns), AHEAD):
        some = turns[begin : begin + AHEAD]
        texts = [_spelled(right, places[turn], chance.choice(wrong)) for turn in some]
        for turn, text in zip(some, texts, strict=True):
            started = perf_counter_ns()
            run(text)
            taken[turn].append(perf_counter_ns() - started)
    return taken


def _in_none_of(right: str, places: Sequence[int]) -> str:
    there = {right[place] for place in places}
    return "".join(one for one in string.hexdigits if one not in there)


def _spelled(right: str, place: int, wrong: str) -> str:
    return "".join(wrong if n == place else one for n, one in enumerate(right))


def t_of(first: Sequence[int], last: Sequence[int]) -> float:
    """Welch's t of the quick samples of both."""
    limit = sorted([*first, *last])[int(KEPT * (len(first) + len(last)))]
    quick = [[one for one in samples if one <= limit] for samples in (first, last)]
    spread = sum(statistics.variance(one) / len(one) for one in quick)
    return float((statistics.fmean(quick[0]) - statistics.fmean(quick[1])) / spread**0.5)


@pytest.mark.parametrize("kind", SIGNED)
def test_the_first_and_the_last_character_cost_the_same(
    kind: Kind, record_property: Callable[[str, object], None]
) -> None:
    delivery, name, connection, now = SIGNED[kind]
    verify, right = CONNECTORS[kind].verify, delivery.headers[name]
    assert verify(delivery, connection, now) == 0

    def run(text: str) -> None:
        try:
            verify(replace(delivery, headers={**delivery.headers, name: text}), connection, now)
        except Refused:
            return
        raise AssertionError(text)

    begins = right.find(",") + 1
    ends = len(right.rstrip("=")) - 2  # the very last of base64 has bits that mean nothing
    t = t_of(*timed(run, right, (begins, ends)))
    record_property("t", round(t, 2))
    assert abs(t) <= MOST


def test_a_comparison_that_stops_early_is_found() -> None:
    right = test_close.signed().headers["close-sig-hash"]

    def run(text: str) -> bool:
        return all(a == b for a, b in zip(text, right, strict=True))

    assert abs(t_of(*timed(run, right, (0, len(right) - 1)))) > 10 * MOST
