"""How much one delivery may make of itself: a body of 1 MiB must not become gigabytes of events.

A list of records that share one change is copied once for each of them. No CRM sends as many, or as
much, as is allowed here: HubSpot and Salesforce 100 in a list, EspoCRM 50.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent

MOST_PARTS = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""Of parts, and of the data of events, as JSON."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that this installation takes of one delivery."""

    parts: int = MOST_PARTS
    bytes: int = MOST_BYTES

    def or_more(self, other: "Bounds") -> "Bounds":
        return Bounds(max(self.parts, other.parts), max(self.bytes, other.bytes))


REDRIVEN = Bounds(10_000, 32 * 1024 * 1024)
"""The most of a body that was put aside whole: nobody waits for an answer to it, and such bodies
are worked on one at a time."""


TOO_MANY, TOO_LARGE = "too_many_parts", "too_large"
TOO_MUCH = (TOO_MANY, TOO_LARGE)


class TooMuch(Exception):
    """The delivery is put aside as a whole: none of it enters, and nothing of it is lost."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def counted(parts: Iterable[Any], most: int) -> Iterator[Any]:
    """The parts, one by one; raises `TooMuch` instead of the first that is too many, and for a list
    before anything is done about it."""
    if isinstance(parts, list) and len(parts) > most:
        raise _too_many(most)
    for number, part in enumerate(parts):
        if number >= most:
            raise _too_many(most)
        yield part


class Weight:
    """What has been weighed so far; raises `TooMuch` once that is more than `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._parts, self._events = most, 0, 0

    def part(self, part: Any) -> None:
        self._parts += size(part, self._most)
        self._bound(self._parts)

    def events(self, events: Iterable[IncomingEvent]) -> None:
        self._events += sum(size(event.data, self._most) for event in events)
        self._bound(self._events)

    def _bound(self, weight: int) -> None:
        if weight > self._most:
            raise TooMuch(TOO_LARGE, f"its parts are more than {self._most} bytes together")


def size(value: Any, most: int = MOST_BYTES) -> int:
    """Bytes of JSON; what nests too deep to be written counts as the most that may come."""
    try:
        return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=repr))
    except RecursionError:
        return most


def _too_many(most: int) -> TooMuch:
    return TooMuch(TOO_MANY, f"more than {most} parts in one delivery")
