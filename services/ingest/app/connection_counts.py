"""What each connection delivered, gathered in memory: counting must never hold a delivery up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.ingest.domain.connections import Live
from services.ingest.domain.counters import MOST
from services.ingest.domain.crm.model import SignatureVersion
from services.ingest.domain.ranges import Ranges, united

Key = tuple[str, str]
"""Tenant and connection."""
SKEW = timedelta(seconds=60)
"""How far a source's clock may be ahead of ours, for an event of it to have happened."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery that was taken."""

    at: datetime
    accepted: int
    duplicates: int
    rejected: int
    last_event_at: datetime | None
    number: int | None = None
    """That its source gave it."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of deliveries that brought something new, and of those that repeated what came."""

    fresh: Ranges = ()
    again: Ranges = ()

    def with_(self, other: "Numbers") -> "Numbers":
        fresh, again = united(self.fresh, other.fresh), united(self.again, other.again)
        return Numbers(fresh[-MOST:], again[-MOST:])


@dataclass(slots=True)
class Tally:
    """Of one connection since the last writing; `hours` are those of its deliveries."""

    deliveries: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0
    last_delivery_at: datetime | None = None
    last_event_at: datetime | None = None
    hours: Counter[datetime] = field(default_factory=Counter)
    matched: dict[str, datetime] = field(default_factory=dict)
    """When a secret, by its mark, proved a delivery last."""
    numbers: dict[str, Numbers] = field(default_factory=dict)
    """By the pointer that showed them."""
    signatures: dict[str, SignatureVersion] = field(default_factory=dict)
    """What proved a delivery and was not known to, by the public URL at which it did."""

    def add(self, other: "Tally") -> None:
        self.deliveries += other.deliveries
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.refused += other.refused
        self.last_delivery_at = _later(self.last_delivery_at, other.last_delivery_at)
        self.last_event_at = _later(self.last_event_at, other.last_event_at)
        self.hours.update(other.hours)
        for mark, at in other.matched.items():
            self.matched[mark] = max(at, self.matched.get(mark, at))
        for pointer, numbers in other.numbers.items():
            self.numbers[pointer] = self.numbers.get(pointer, Numbers()).with_(numbers)
        self.signatures.update(other.signatures)


class ConnectionCounts:
    """Counts that wait to be written; as many as there are connections at most."""

    def __init__(self) -> None:
        self._tallies: dict[Key, Tally] = {}

    def delivered(self, live: Live, one: Delivered) -> None:
        hour = one.at.replace(minute=0, second=0, microsecond=0)
        tally = Tally(
            deliveries=1,
            accepted=one.accepted,
            duplicates=one.duplicates,
            rejected=one.rejected,
            last_delivery_at=one.at,
            last_event_at=one.last_event_at,
            hours=Counter({hour: 1}),
            numbers=_numbered(live.counter, one),
        )
        self._of((live.tenant_id, live.connection_id)).add(tally)

    def proven(self, live: Live, place: int, at: datetime) -> None:
        """The secret at this place proved a delivery."""
        if place < len(live.marks):
            tally = Tally(matched={live.marks[place]: at})
            self._of((live.tenant_id, live.connection_id)).add(tally)

    def learned(self, live: Live, seen: SignatureVersion) -> None:
        """Its CRM signs by this version, at the URL that the connection has."""
        tally = Tally(signatures={live.connection.public_url or "": seen})
        self._of((live.tenant_id, live.connection_id)).add(tally)

    def refused(self, live: Live) -> None:
        """A delivery that was not proven. Anybody can send those, so that they tell nothing about
        when the CRM was heard of last."""
        self._of((live.tenant_id, live.connection_id)).refused += 1

    def take(self) -> Mapping[Key, Tally]:
        """What waits; it is the caller's from now on."""
        taken, self._tallies = self._tallies, {}
        return taken

    def give_back(self, taken: Mapping[Key, Tally]) -> None:
        """It could not be written: try again with the next ones."""
        for key, tally in taken.items():
            self._of(key).add(tally)

    def _of(self, key: Key) -> Tally:
        return self._tallies.setdefault(key, Tally())


def _numbered(pointer: str | None, one: Delivered) -> dict[str, Numbers]:
    if pointer is None or one.number is None:
        return {}
    at = ((one.number, one.number),)
    return {pointer: Numbers(fresh=at) if one.accepted else Numbers(again=at)}


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
