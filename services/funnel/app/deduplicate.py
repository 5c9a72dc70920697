"""Each event once: by (tenant, source, id), with its smallest recorded time; else a conflict.

What a reconciliation tells and something else as well is not reconciled, whichever came first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from libs.common.contracts.envelope import Envelope
from libs.common.eventlog.loop import Buried
from services.funnel.app.model import EventKey, Held, Incoming
from services.funnel.app.ports import Store


@dataclass(slots=True)
class Deduplicated:
    """What is new in a batch, what contradicts an event that came first, and what was known
    earlier than it seemed."""

    new: list[Incoming] = field(default_factory=list)
    conflicts: list[Buried] = field(default_factory=list)
    earlier: list[Incoming] = field(default_factory=list)


async def keep_new(store: Store, incoming: Sequence[Incoming]) -> Deduplicated:
    """Keep what is new; report conflicts and smaller recorded times of what was there."""
    result = Deduplicated()
    first = _first_of_each(incoming, result)
    inserted = set(await store.insert_events(list(first.values())))
    result.new = [item for key, item in first.items() if key in inserted]
    repeated = {key: item for key, item in first.items() if key not in inserted}
    if repeated:
        held = await store.held(repeated.keys())
        _compare(repeated, held, result)
        known = {i.key: (i.envelope.recorded_at, i.envelope.origin) for i in result.earlier}
        await store.know_earlier(known)
    return result


def _first_of_each(incoming: Sequence[Incoming], result: Deduplicated) -> dict[EventKey, Incoming]:
    first: dict[EventKey, Incoming] = {}
    for item in incoming:
        held = first.setdefault(item.key, item)
        if held.body_hash != item.body_hash:
            result.conflicts.append(_conflict(item))
        elif (envelope := _united(held.envelope, item.envelope)) is not held.envelope:
            first[item.key] = replace(held, envelope=envelope)
    return first


def _united(one: Envelope, other: Envelope) -> Envelope:
    recorded_at = min(one.recorded_at, other.recorded_at)
    origin = other.origin if one.origin == "reconcile" else one.origin
    if (recorded_at, origin) == (one.recorded_at, one.origin):
        return one
    return replace(one, recorded_at=recorded_at, origin=origin)


def _compare(
    repeated: dict[EventKey, Incoming], held: Mapping[EventKey, Held], result: Deduplicated
) -> None:
    for key, item in repeated.items():
        if held[key].body_hash != item.body_hash:
            result.conflicts.append(_conflict(item))
        elif _adds(item.envelope, held[key]):
            result.earlier.append(item)


def _adds(told: Envelope, held: Held) -> bool:
    """An earlier recorded time, or an origin by which the event is no longer reconciled."""
    otherwise = held.origin == "reconcile" and told.origin != "reconcile"
    return told.recorded_at < held.recorded_at or otherwise


def _conflict(item: Incoming) -> Buried:
    return Buried(item.record, "conflict", "another event with this source and id came first")
