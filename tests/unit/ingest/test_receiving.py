"""Deliveries on their way in: what is large is worked on beside the event loop."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, cast, get_args

import pytest

from libs.common.clock import SystemClock
from services.ingest.app import reading, receiving
from services.ingest.app.connection_counts import ConnectionCounts
from services.ingest.app.grouped import Overloaded
from services.ingest.app.receiving import Receiver
from services.ingest.app.turns import LARGE, Turns
from services.ingest.domain import letters
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Kind,
    Puzzle,
    Refused,
    Translation,
)
from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Receipt
from services.ingest.domain.put_aside import PutAside
from services.ingest.settings import IngestSettings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
OWN = Live("t", "c", "hubspot", Connection("c", ("s",)))


class World:
    """A receiver whose neighbours believe everything; `threads` did the work, by its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: dict[str, int] = {}
        self.forged = False
        self.kept: list[PutAside] = []
        self.times, self.counts = [NOW], ConnectionCounts()
        self.turns = Turns(most=1, patience=0.01)
        self.reached, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.clock, self.within = SystemClock(), inf
        connector = Connector(self._verify, self._translate, signs_time=True)
        connectors, own = dict.fromkeys(get_args(Kind), connector), cast(Any, self)
        self.receiver = Receiver(
            connectors, own, own, own, self.counts, own, self.clock, IngestSettings()
        )
        self._watch(monkeypatch, reading, "examine_incoming", examine_incoming)
        self._watch(monkeypatch, letters, "of_puzzles", letters.of_puzzles)
        self._watch(monkeypatch, letters, "of_rejected", letters.of_rejected)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, at: Any, name: str, real: Any) -> None:
        def watched(*args: Any) -> Any:
            self.threads[name] = threading.get_ident()
            return real(*args)

        monkeypatch.setattr(at, name, watched)

    async def receive(
        self, own: Live, size: int, *, insists: bool = False, answer_by: float = inf
    ) -> receiving.Received:
        receipt = Receipt(own.tenant_id, NOW, insists=insists, answer_by=answer_by)
        return await self.receiver.receive(own, Delivery(b"x" * size, {}), receipt, self.turns)

    def _verify(self, *_: Any) -> int:
        if self.forged:
            raise Refused("signature_invalid", "not signed")
        return 0

    def _translate(self, _: Delivery, of: Connection) -> Translation:
        self.threads["translate"] = threading.get_ident()
        events = [
            Draft(of, str(n), at).event("deal.deleted", {"deal_id": "D"})
            for n, at in enumerate(self.times)
        ]
        return Translation(events, [Puzzle("invalid_event", "no event", 1)])

    async def accept(self, _: Receipt, examined: Sequence[Any]) -> Any:
        self.reached.set()
        await self.gate.wait()
        return decide(examined, {})

    async def has(self, _: str) -> bool:
        """A sandbox, where nothing is flagged for its time."""
        return True

    async def keep(self, aside: PutAside, within: float = inf) -> None:
        self.within = within
        self.kept.append(aside)

    def offer(self, _: Any) -> None: ...


@pytest.mark.parametrize(
    ("kind", "size", "beside"),
    [
        ("hubspot", 4_000, False),
        ("hubspot", reading.LARGE, True),
        ("salesforce_cdc", 1_000, False),
        ("salesforce_cdc", 4_000, True),
        ("zoho", 4_000, True),
    ],
)
async def test_a_large_body_is_worked_on_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, size: int, beside: bool
) -> None:
    world, own = World(monkeypatch), replace(OWN, kind=kind)
    told = await world.receive(own, size)
    assert told == receiving.Received(accepted=1, duplicates=0, rejected=1, refreshes=0)
    assert [len(aside.letters) for aside in world.kept] == [1]
    assert set(world.threads) == {"translate", "examine_incoming", "of_puzzles", "of_rejected"}
    here = threading.get_ident()
    assert {thread != here for thread in world.threads.values()} == {beside}


@pytest.mark.parametrize(
    ("ahead", "latest"),
    [
        (["-1d", "-2d"], "-1d"),
        (["-1d", "+20s"], "+20s"),
        (["-1d", "+1h"], "-1d"),
        (["-1d", "+60000d"], "-1d"),
        (["+60000d"], None),
        ([], None),
    ],
)
async def test_the_latest_event_is_one_that_has_happened(
    monkeypatch: pytest.MonkeyPatch, ahead: list[str], latest: str | None
) -> None:
    world = World(monkeypatch)
    world.times = [_from_now(one) for one in ahead]
    await world.receive(OWN, 1)
    (tally,) = world.counts.take().values()
    assert tally.last_event_at == (None if latest is None else _from_now(latest))


def _from_now(text: str) -> datetime:
    unit = {"s": "seconds", "h": "hours", "d": "days"}[text[-1]]
    return NOW + timedelta(**{unit: int(text[:-1])})


async def test_large_deliveries_take_turns_once_they_are_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    world.gate.clear()
    first = asyncio.create_task(world.receive(OWN, LARGE))
    await asyncio.wait_for(world.reached.wait(), 10)
    with pytest.raises(Overloaded):
        await world.receive(OWN, LARGE)
    world.forged = True
    with pytest.raises(Refused):
        await world.receive(OWN, LARGE)
    world.forged = False
    world.gate.set()
    assert (await first).accepted == 1
    assert len(world.turns) == 0


@pytest.mark.parametrize(
    ("tenant", "size", "insists"),
    [("t", LARGE - 1, False), ("u", LARGE, False), ("t", LARGE, True)],
)
async def test_small_ones_others_and_who_takes_no_refusal_are_received_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tenant: str, size: int, insists: bool
) -> None:
    world = World(monkeypatch)
    async with world.turns.of("t", LARGE):
        told = await world.receive(replace(OWN, tenant_id=tenant), size, insists=insists)
    assert told.accepted == 1
