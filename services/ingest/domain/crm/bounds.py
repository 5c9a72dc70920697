"""How much one delivery may make of itself: a body of 1 MiB must not become gigabytes of events.

A list of records that share one change is copied once for each of them. No CRM sends as many, or as
much, as is allowed here: HubSpot and Salesforce 100 in a list, EspoCRM 50.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent

MOST_PARTS = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""Of parts, and of the data of events, as JSON."""


class TooMuch(Exception):
    """The delivery is put aside as a whole: none of it enters, and nothing of it is lost."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def counted(parts: Iterable[Any]) -> Iterator[Any]:
    """The parts, one by one; raises `TooMuch` instead of the first that is too many, and for a list
    before anything is done about it."""
    if isinstance(parts, list) and len(parts) > MOST_PARTS:
        raise _too_many()
    for number, part in enumerate(parts):
        if number >= MOST_PARTS:
            raise _too_many()
        yield part


class Weight:
    """What has been weighed so far; raises `TooMuch` once that is too much."""

    def __init__(self) -> None:
        self._parts = self._events = 0

    def part(self, part: Any) -> None:
        self._parts += size(part)
        _bounded(self._parts)

    def events(self, events: Iterable[IncomingEvent]) -> None:
        self._events += sum(size(event.data) for event in events)
        _bounded(self._events)


def size(value: Any) -> int:
    """Bytes of JSON; what nests too deep to be written counts as the most that may come."""
    try:
        return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=repr))
    except RecursionError:
        return MOST_BYTES


def _too_many() -> TooMuch:
    return TooMuch("too_many_parts", f"more than {MOST_PARTS} parts in one delivery")


def _bounded(weight: int) -> None:
    if weight > MOST_BYTES:
        raise TooMuch("too_large", f"its parts are more than {MOST_BYTES} bytes together")
