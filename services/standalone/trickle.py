"""The live trickle: keeps the demo tenant busy after its history ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from libs.common.clock import Clock
from services.standalone.client import Api, ClientError
from services.standalone.simulator import OpenDeal, next_events
from services.standalone.simulator.delivery import Event
from services.standalone.simulator.draws import generator
from services.standalone.simulator.live import due
from services.standalone.simulator.world import World, build_world

_TICK_SECONDS = 5.0
_MOST_AT_ONCE = 100
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Trickle:
    """Asks which deals are open, and posts what happens to some of them."""

    api: Api
    clock: Clock
    seed: int
    per_minute: float

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; a Headway that refuses or does not answer only costs the events due."""
        world, started, sent = build_world(self.seed), self.clock.now(), 0
        while not await _stopped(stop, _TICK_SECONDS):
            owed = due(started, self.clock.now(), self.per_minute) - sent
            if owed > 0:
                sent += owed
                await self.attempt(world, min(owed, _MOST_AT_ONCE))

    async def attempt(self, world: World, count: int) -> None:
        """Like `step`, but a failure is only logged."""
        try:
            await self.step(world, count)
        except ClientError as error:
            _log.warning("demo events not sent", error=error, count=count)

    async def step(self, world: World, count: int) -> Sequence[Event]:
        """Send `count` events that fit the deals as they are now."""
        now = self.clock.now()
        rng = generator(self.seed, "live", now.isoformat())
        page = await self.api.get("/v1/deals", {"status": "open", "limit": 500})
        deals = [deal for state in page["items"] if (deal := OpenDeal.of(state)) is not None]
        events = next_events(rng, world, deals, now, count)
        await self.api.post("/v1/events", events)
        return events


async def _stopped(stop: asyncio.Event, within: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), within)
    except TimeoutError:
        return False
    return True
