"""Whatever fails and whenever: per key, events are in the log in the order of their acceptance."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.eventlog.port import LogUnavailable, NewRecord
from services.ingest.app.grouped import Overloaded
from services.ingest.app.ports import SpoolFull
from services.ingest.domain.model import Candidate
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import candidate
from tests.unit.ingest.spool.test_order import turns

HURRIED = {"append_deadline": 0.004, "append_limit": 0.01}
"""Seconds: some appends of a plan take longer."""
REFUSED = (SpoolFull, Overloaded, TimeoutError)


@dataclass
class Plan:
    """What befalls: `sends` are keys of each request and turns of the loop before the next one;
    `appends` of the log are turns that each takes and whether it succeeds; `writes` whether each
    one of the disk does. Later ones succeed."""

    sends: list[tuple[list[int], int]]
    appends: list[tuple[int, bool]]
    writes: list[bool]
    sample: int
    group: int


TURNS = st.sampled_from([0, 0, 1, 3, 10, 30, 300])
PAUSES = st.sampled_from([0, 0, 0, 1, 5, 20])
PLANS = st.builds(
    Plan,
    sends=st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=3), PAUSES), min_size=3,
        max_size=12,
    ),
    appends=st.lists(st.tuples(TURNS, st.booleans()), min_size=2, max_size=10),
    writes=st.lists(st.booleans(), max_size=6),
    sample=st.sampled_from([0, 1, 2]),
    group=st.sampled_from([1, 3, 100]),
)  # fmt: skip


def script(at: Door, plan: Plan) -> None:
    appends, writes, append = iter(plan.appends), iter(plan.writes), at.log.append

    async def scripted(topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        takes, succeeds = next(appends, (0, True))
        await turns(takes)
        if not succeeds:
            raise LogUnavailable("scripted")
        return await append(topic, records)

    def write() -> None:
        if not next(writes, True):
            raise SpoolFull("scripted")

    at.log.append, at.disk.before = scripted, write  # type: ignore[method-assign]


async def carried_out(at: Door, plan: Plan) -> list[Candidate]:
    """What was accepted, in the order in which it came."""
    number, tasks = 0, list[tuple[Sequence[Candidate], asyncio.Task[None]]]()
    for keys, pause in plan.sends:
        events = [candidate(number + place, f"D-{key}") for place, key in enumerate(keys)]
        number += len(keys)
        tasks.append((events, asyncio.create_task(at.send(*events))))
        await turns(pause)
    async with asyncio.timeout(10):
        told = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
    assert [one for one in told if one is not None and not isinstance(one, REFUSED)] == []
    pairs = zip(tasks, told, strict=True)
    return [event for (events, _), one in pairs if one is None for event in events]


@settings(max_examples=100, deadline=None)
@given(plan=PLANS)
def test_the_order_of_a_key_is_that_of_its_acceptance(plan: Plan) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            chosen: dict[str, Any] = {"spool_sample": plan.sample, "max_group": plan.group}
            async with door(Path(folder), **(chosen | HURRIED)) as at:
                script(at, plan)
                accepted = await carried_out(at, plan)
                await at.until(lambda: not len(at.spool) and not at.acceptor.waiting)
                assert_kept(at.log.ids, accepted)

    asyncio.run(run())


def assert_kept(ids: Sequence[str], accepted: Sequence[Candidate]) -> None:
    """What comes twice has one effect: the first one's."""
    promised = {event.envelope.id for event in accepted}
    found = [name for name in dict.fromkeys(ids) if name in promised]
    assert sorted(found) == sorted(promised), "an accepted event is lost"
    for key in {event.log_key for event in accepted}:
        came = [event.envelope.id for event in accepted if event.log_key == key]
        assert [name for name in found if name in came] == came
