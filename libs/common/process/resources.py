"""What a process opens before it builds its service, and how it waits for what is not there yet."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from libs.common.clock import SystemClock
from libs.common.db.errors import DatabaseUnavailable
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.port import LogUnavailable
from libs.common.process.commands import ConfigurationError
from libs.common.process.secret_key import read_secret_key
from libs.common.retry import Backoff
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings

LONGEST_WAIT = 5.0
Tell = Callable[[str], None]
_log = structlog.get_logger()


class StoppedMeanwhile(Exception):
    """The process was told to stop while it waited for what it needs."""


@asynccontextmanager
async def open_resources(settings: CommonSettings) -> AsyncIterator[Resources]:
    """What a process of one service opens: the log, keys, an id; closed on the way out."""
    resources = unopened(settings)
    await resources.log.start()
    try:
        yield resources
    finally:
        await resources.log.stop()


def unopened(settings: CommonSettings) -> Resources:
    """The same before anything is reached; raises `ConfigurationError`."""
    clock = SystemClock()
    url, secret_key = database_url(settings), read_secret_key(settings)
    process_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        log = open_log(settings.log_url, url, clock, process_id)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return Resources(clock, settings, url, log, secret_key, process_id)


def database_url(settings: CommonSettings) -> str:
    if not settings.database_url:
        raise ConfigurationError(
            "HEADWAY_DATABASE_URL is not set: a service by itself needs a PostgreSQL"
            " (`make run` starts everything with an embedded one)"
        )
    if not settings.database_url.startswith("postgresql://"):
        raise ConfigurationError("HEADWAY_DATABASE_URL must be postgresql://user@host:port/name")
    return settings.database_url


async def until_there(
    attempt: Callable[[], Awaitable[None]], tell: Tell, stop: asyncio.Event
) -> None:
    """Attempt until the database or the log that it needs answers; `tell` hears why not yet."""
    backoff = Backoff(0.2, LONGEST_WAIT)
    while not stop.is_set():
        try:
            return await attempt()
        except (DatabaseUnavailable, LogUnavailable) as error:
            tell(str(error))
            _log.warning("start_waits", error=error)
            await backoff.pause(stop)
    raise StoppedMeanwhile
