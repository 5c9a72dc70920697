"""Each event once: by (tenant, source, id), with its smallest recorded time; else a conflict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
        await store.know_earlier({i.key: i.envelope.recorded_at for i in result.earlier})
    return result


def _first_of_each(incoming: Sequence[Incoming], result: Deduplicated) -> dict[EventKey, Incoming]:
    first: dict[EventKey, Incoming] = {}
    for item in incoming:
        held = first.setdefault(item.key, item)
        if held.body_hash != item.body_hash:
            result.conflicts.append(_conflict(item))
        elif item.envelope.recorded_at < held.envelope.recorded_at:
            envelope = replace(held.envelope, recorded_at=item.envelope.recorded_at)
            first[item.key] = replace(held, envelope=envelope)
    return first


def _compare(
    repeated: dict[EventKey, Incoming], held: Mapping[EventKey, Held], result: Deduplicated
) -> None:
    for key, item in repeated.items():
        if held[key].body_hash != item.body_hash:
            result.conflicts.append(_conflict(item))
        elif item.envelope.recorded_at < held[key].recorded_at:
            result.earlier.append(item)


def _conflict(item: Incoming) -> Buried:
    return Buried(item.record, "conflict", "another event with this source and id came first")
