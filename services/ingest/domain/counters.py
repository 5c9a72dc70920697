"""The numbers that a source gives its deliveries: which of them are missing.

What was received is a set, so that order and repetition make no difference. Only a source that
begins to count anew needs to be told from a late delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.ingest.domain.ranges import Range, Ranges, between, common, size, united

LATE = 100
"""How far a number may lie back before it tells of a new beginning: deliveries overtake one
another, and one that is tried twice at a time may pass for two."""
MOST = 1_000
"""Ranges of missing numbers that are kept; the lowest are given up."""
HIGHEST = 10**18


@dataclass(frozen=True, slots=True)
class Counted:
    """What a source has counted since it began; `excused` are numbers that are no longer missed."""

    received: Ranges = ()
    excused: Ranges = ()
    given_up: int = 0
    restarts: int = 0
    restarted_at: datetime | None = None

    @property
    def missing(self) -> Ranges:
        return between(united(self.received, self.excused))

    @property
    def highest(self) -> int | None:
        return self.received[-1][1] if self.received else None


def taken(held: Counted, fresh: Ranges, again: Ranges, at: datetime) -> Counted:
    """With more deliveries: those that brought something new, and those that repeated what came.

    A source has begun anew where a number far behind brings something new although it came before,
    or lies far before all that came; what was missing of its old count is then forgotten.
    """
    begun = tuple(one for one in fresh if _far_behind(held, one))
    if begun:
        return _bounded(Counted(begun, restarts=held.restarts + 1, restarted_at=at))
    earliest = held.received[0][0] - LATE if held.received else 0
    repeated = (one for one in again if one[0] >= earliest)
    return _bounded(replace(held, received=united(held.received, fresh, repeated)))


def excused(held: Counted, filled: Ranges) -> Counted:
    """Without missing these numbers any longer."""
    given = common(held.missing, united(filled))
    return replace(held, excused=united(held.excused, given))


def _far_behind(held: Counted, one: Range) -> bool:
    if not held.received:
        return False
    first, last = united(held.received, held.excused)[0][0], held.received[-1][1]
    came = bool(common(held.received, (one,)))
    return one[1] < first - LATE or (came and one[1] < last - LATE)


def _bounded(counted: Counted) -> Counted:
    """With the highest ranges of missing numbers alone."""
    surplus = len(counted.received) - MOST - 1
    if surplus <= 0:
        return counted
    lost = (counted.received[0][0], counted.received[surplus][0] - 1)
    given_up = size(common(counted.missing, (lost,)))
    return replace(
        counted,
        received=counted.received[surplus:],
        excused=united(counted.excused, (lost,)),
        given_up=min(counted.given_up + given_up, HIGHEST),
    )


def parts(pointer: str) -> Sequence[str]:
    """What a JSON pointer (RFC 6901) names, from outside to inside."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def number_at(body: Any, pointer: str) -> int | None:
    """The number that the pointer shows, also as its digits; `None` if there is none."""
    for part in parts(pointer):
        body = _inner(body, part)
    if isinstance(body, str) and body.isascii() and body.isdecimal() and len(body) < 20:
        body = int(body)
    whole = isinstance(body, int) and not isinstance(body, bool) and 0 <= body <= HIGHEST
    return body if whole else None


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    within = isinstance(value, list) and part.isascii() and part.isdecimal() and len(part) < 8
    return value[int(part)] if within and int(part) < len(value) else None
