"""How much one row of an import may make: a line of 60 kB must not become gigabytes of events.

An event copies what its mapping names, and each row of a body what stands beside it. Values are
shared until an event is spelled, so they are weighed as they are read, before anything is copied.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.errors import Violation
from services.ingest.domain.crm.bounds import MOST_BYTES, TOO_LARGE, TooMuch
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Examined, Receipt, Rejection

MOST_EVENTS = 5_000
TOO_MANY_EVENTS = "too_many_events"


class Load:
    """What has been made so far of one row; raises `TooMuch` instead of going on beyond `most`."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._characters, self._events = most, 0, 0

    def value(self, value: Any) -> None:
        self._characters += at_least(value, self._most)
        if self._characters > self._most:
            raise too_heavy(self._most)

    def event(self) -> None:
        self._events += 1
        if self._events > MOST_EVENTS:
            raise TooMuch(TOO_MANY_EVENTS, f"makes more than {MOST_EVENTS} events")


def at_least(value: Any, most: int) -> int:
    """Characters of a value as JSON, or fewer; does not look on beyond `most`."""
    weight, left = 0, [value]
    while left and weight <= most:
        one = left.pop()
        if isinstance(one, str):
            weight += len(one) + 2
        elif isinstance(one, Mapping):
            weight += 2
            left += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            weight += 2
            left += one
        else:
            weight += 1
    return weight


def examine_made(events: Iterable[IncomingEvent], receipt: Receipt) -> list[Examined]:
    """The events of one row, or the one reason why none of them enters. Raises `TooMuch`."""
    found: list[Examined] = []
    weight = 0
    for event in events:
        one = examine_incoming(event, receipt)
        if isinstance(one, Rejection):
            return [one]
        weight += len(one.envelope.data)
        if weight > MOST_BYTES:
            raise too_heavy(MOST_BYTES)
        found.append(one)
    return found


def rejected(much: TooMuch) -> Rejection:
    return Rejection(None, (Violation(much.code, "", much.detail),))


def too_heavy(most: int) -> TooMuch:
    return TooMuch(TOO_LARGE, f"makes events of more than {most} bytes together")
