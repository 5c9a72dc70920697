"""A process of one service, from its first moment to its last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from fastapi import FastAPI

from libs.common.db.database import Database
from libs.common.db.selfcheck import check_roles
from libs.common.oidc.trusted import trusted_by
from libs.common.process.checks import base_checks
from libs.common.process.commands import API, workers_of
from libs.common.process.front import Front
from libs.common.process.resources import StoppedMeanwhile, unopened, until_there
from libs.common.process.status import Examiner
from libs.common.process.status_route import status_service
from libs.common.process.stopping import stop_in_time
from libs.common.runtime import Resources, Service, Worker, run_workers
from libs.common.settings import CommonSettings
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from libs.common.web.limits import limits_of
from libs.common.web.proxies import behind
from libs.common.web.serve import Port, listen, listening

Build = Callable[[Resources], Service]
LOG_SECONDS = 2.0


async def run_process(name: str, command: str, build: Build, settings: CommonSettings) -> None:
    """Answer on the port at once, wait for what is needed, work until told to stop."""
    process = _Process(name, command, build, unopened(settings))
    stop_in_time(process.stop, settings.stop_seconds)
    address = listen(settings.host, settings.port)
    front = behind(settings.trusted_proxies, process.front)
    async with listening(front, address, process.stop) as port:
        try:
            await process.live(port)
        except StoppedMeanwhile:
            return


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    command: str
    build: Build
    resources: Resources
    front: Front = field(default_factory=Front)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self, port: Port) -> None:
        async with self._reached():
            service = self.build(self.resources)
            workers = () if self.command == API else workers_of(service, self.command)
            async with self._application(service, workers) as app:
                self.front.open(app)
                await (self._work(workers) if workers else self._serve(port))

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        """Once the database keeps tenants apart and the log answers.

        An API waits only a moment for the log: events are taken without it, and answers given.
        """
        url, log = self.resources.database_url, self.resources.log
        await until_there(lambda: check_roles(url, self.name), self.front.waits, self.stop)
        reaching = asyncio.create_task(until_there(log.start, self.front.waits, self.stop))
        try:
            patience = LOG_SECONDS if self.command == API else None
            if (await asyncio.wait({reaching}, timeout=patience))[0]:
                reaching.result()
            yield
        finally:
            reaching.cancel()
            await asyncio.gather(reaching, return_exceptions=True)
            await log.stop()

    @asynccontextmanager
    async def _application(
        self, service: Service, workers: Sequence[Worker]
    ) -> AsyncIterator[FastAPI]:
        """The service's routes, or a worker's health only, with the service started."""
        resources, url = self.resources, self.resources.database_url
        role = f"headway_{self.name}_{'worker' if workers else 'api'}"
        keys = Database(url, f"headway_{self.name}_api", pool_size=2, statement_timeout=3)
        pings = Database(url, role, pool_size=1, statement_timeout=2, pool_timeout=2)
        checked = base_checks(service, pings, resources.log, working=bool(workers))
        examiner = Examiner([checked], url, {self.name: keys}, resources.log)
        app = create_app(
            [replace(checked, routers=())] if workers else [checked, status_service(examiner)],
            authenticator=Authenticator(
                keys,
                resources.key_for("api-keys"),
                resources.clock,
                None if workers else trusted_by(resources.settings),
            ),
            cursors=Cursors(resources.key_for("cursors")),
            clock=resources.clock,
            title=f"Headway {self.name}",
            limits=limits_of(resources.settings, resources.clock),
        )
        try:
            async with app.router.lifespan_context(app):
                yield app
        finally:
            await keys.close()
            await pings.close()

    async def _serve(self, port: Port) -> None:
        """Not ready first, so that no new requests are sent here; those under way finish."""
        await self.stop.wait()
        self.front.drain()
        await asyncio.sleep(self.resources.settings.drain_seconds)
        await port.close()

    async def _work(self, workers: Sequence[Worker]) -> None:
        """Until told to stop, or until a worker fails; each ends at a record boundary."""
        working = asyncio.create_task(run_workers(workers, self.stop))
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self.front.drain()
            await working
        finally:
            self.stop.set()
            for task in (working, stopping):
                task.cancel()
