"""What `headway up` does once Headway answers: the demo, the summary, and then serving."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from services.standalone import summary as summaries
from services.standalone.app import Running
from services.standalone.client import Api
from services.standalone.demo import (
    FUNNEL,
    TENANT,
    SeedProgress,
    conversion,
    define_pipelines,
    demo_key,
    seed,
    until_folded,
)
from services.standalone.demo_plan import DemoPlan
from services.standalone.demo_rules import define_rules, open_alerts
from services.standalone.layout import read_private
from services.standalone.settings import DemoSettings
from services.standalone.simulator import history
from services.standalone.simulator.delivery import Event
from services.standalone.summary import Summary
from services.standalone.trickle import Trickle

Progress = Callable[[int], AbstractContextManager[SeedProgress]]
"""Opens the progress of importing so many events."""


@dataclass(frozen=True, slots=True)
class UpStory:
    """One start: with or without the demo, once or until stopped."""

    demo: bool
    once: bool
    settings: DemoSettings
    progress: Progress
    show: Callable[[Summary], None]

    async def live(self, running: Running) -> None:
        """The story of one process."""
        summary = summaries.running(running.url, running.layout)
        if self.demo:
            summary = await self._demo(running, summary)
        self.show(summary)
        if not self.once:
            await self._serve(running, summary.demo_key)

    async def _demo(self, running: Running, bare: Summary) -> Summary:
        async with running.operator as operator:
            key = await demo_key(operator, running.layout, partial(_renewed, running))
        async with Api(running.url, key) as api:
            kept = await self._seeded(running, api)
            await define_rules(api)
            alerts = await open_alerts(api)
            funnel = await conversion(api)
        file = str(running.layout.demo_key)
        return replace(
            bare,
            demo_key_file=file,
            demo_key=key,
            kept=kept,
            pipeline_id=FUNNEL,
            funnel=funnel,
            alerts=alerts,
        )

    async def _seeded(self, running: Running, api: Api) -> bool:
        """Seed unless an earlier start did; answers whether the data was kept."""
        file, clock = running.layout.demo_plan, running.resources.clock
        demo = DemoPlan.kept(file) or DemoPlan.begun(self.settings, clock.now(), file)
        await define_pipelines(api)
        if demo.seeded:
            await until_folded(api, _unseen)
            return True
        events: Sequence[Event] = history(demo.plan)
        with self.progress(len(events)) as progress:
            await seed(api, events, progress)
        demo.finished(file)
        return False

    async def _serve(self, running: Running, key: str | None) -> None:
        """Until the process is told to stop; the demo lives on meanwhile."""
        if not self.demo or self.settings.events_per_minute == 0:
            await running.stop.wait()
            return
        plan = DemoPlan.kept(running.layout.demo_plan)
        seed_number = plan.plan.seed if plan else self.settings.seed
        async with Api(running.url, key or read_private(running.layout.demo_key)) as api:
            clock, rate = running.resources.clock, self.settings.events_per_minute
            await Trickle(api, clock, seed_number, rate).run(running.stop)


async def _renewed(running: Running) -> str:
    return await running.keys.admin(TENANT, running.layout.demo_key)


def _unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""
