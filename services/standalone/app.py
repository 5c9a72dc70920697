"""The standalone process: database, services, workers, demo and summary, from start to stop."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from libs.common.db.migrate import SERVICES, migrate
from libs.common.db.selfcheck import check_roles
from libs.common.process import make_secret_key, open_resources
from libs.common.runtime import Resources, stop_on_signals
from libs.common.settings import CommonSettings
from libs.common.web.serve import PortTaken
from services.standalone.client import Api
from services.standalone.composition import composed, directory_of
from services.standalone.database import database_url
from services.standalone.keys import KeyFiles
from services.standalone.layout import Layout, read_private
from services.standalone.serving import serving

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A Headway that answers."""

    url: str
    layout: Layout
    resources: Resources
    keys: KeyFiles
    stop: asyncio.Event

    @property
    def operator(self) -> Api:
        return Api(self.url, read_private(self.layout.operator_key))


Story = Callable[[Running], Coroutine[Any, Any, None]]
"""What to do once it answers; the process ends when the story does, or before on a signal."""


async def run(settings: CommonSettings, tell: Tell, story: Story) -> None:
    """Start everything, live the story, stop everything in reverse. Signals after the first one
    cut waits short, but our database is stopped whatever comes: it would outlive us."""
    layout = Layout(settings.data_dir.resolve())
    stop, task = asyncio.Event(), asyncio.current_task()
    assert task is not None  # noqa: S101  # this is a coroutine
    stop_on_signals(stop, again=task.cancel)
    layout.prepare()
    with layout.owned():
        _refuse_taken_port(settings)
        make_secret_key(layout.root)
        async with database_url(settings, layout) as url:
            tell("migrating the database")
            await migrate(url)
            for name in SERVICES:
                await check_roles(url, name)
            await _run_services(settings, layout, url, stop, story)


def _refuse_taken_port(settings: CommonSettings) -> None:
    """Say so before a database is started for nothing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise PortTaken(settings.host, settings.port) from error


async def _run_services(
    settings: CommonSettings, layout: Layout, url: str, stop: asyncio.Event, story: Story
) -> None:
    own = settings.model_copy(update={"database_url": url, "data_dir": layout.root})
    async with (
        open_resources(own) as resources,
        composed(resources) as composition,
        serving(composition, own, stop) as port,
    ):
        keys = KeyFiles(resources, directory_of(composition), layout)
        await keys.operator()
        here = f"http://{_reachable(own.host)}:{port}"
        await _until(stop, story(Running(here, layout, resources, keys, stop)))


def _reachable(host: str) -> str:
    """Where we ourselves find a server that listens on `host`."""
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - not bound here
    return local.get(host, f"[{host}]" if ":" in host else host)


async def _until(stop: asyncio.Event, story: Coroutine[Any, Any, None]) -> None:
    """The story to its end, unless `stop` comes first; then it is cancelled."""
    telling = asyncio.create_task(story)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
    finally:
        for task in (telling, stopping):
            task.cancel()
        await asyncio.wait({telling, stopping})
