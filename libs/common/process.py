"""One service as a process: `python -m services.<name> api|worker|migrate`.

The API and the workers of a service are two processes of one build; each serves health and metrics
on its port.
"""

import argparse
import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvloop
from fastapi import FastAPI
from pydantic import ValidationError

from libs.common import faults
from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.migrate import migrate
from libs.common.db.selfcheck import SelfCheckFailed, check_roles
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.port import LogUnavailable
from libs.common.logging import configure
from libs.common.runtime import Resources, Service, run_workers, stop_on_signals
from libs.common.settings import CommonSettings, UnknownSettings
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app
from libs.common.web.serve import PortTaken, serve

Build = Callable[[Resources], Service]

MIN_SECRET = 32
"""Characters of a secret key; `make_secret_key` writes more."""

WORKER_NAMES = {"funnel": "consumer"}
"""What a service calls its workers on the command line, where it is not `worker`."""


class ConfigurationError(Exception):
    """The process cannot start as configured; the message says what to set."""


_CANNOT_START = (
    ConfigurationError,
    PortTaken,
    SelfCheckFailed,
    UnknownSettings,
    ValidationError,
)


def main(name: str, build: Build, argv: Sequence[str]) -> int:
    """Run one service's command; the exit status of its `__main__`.

    2 asks the operator to mend something, 1 is worth another try.
    """
    command = _parser(name).parse_args(list(argv)).command
    try:
        settings = CommonSettings.load(os.environ)
        _prepare(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(command, name, build, settings))
    except _CANNOT_START as error:
        sys.stderr.write(f"headway {name}: {error}\n")
        return 2
    except (DatabaseUnavailable, LogUnavailable) as error:
        sys.stderr.write(f"headway {name}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    commands = sorted({"api", "migrate", "worker", WORKER_NAMES.get(name, "worker")})
    parser.add_argument("command", choices=commands)
    return parser


def _prepare(settings: CommonSettings) -> None:
    configure(settings.log_level)
    if settings.crash_point:
        faults.arm(settings.crash_point, settings.crash_report)


async def _run(command: str, name: str, build: Build, settings: CommonSettings) -> None:
    if command == "migrate":
        await migrate(_database_url(settings))
        return
    async with open_resources(settings) as resources:
        await check_roles(resources.database_url, name)
        if command == "api":
            await run_api(name, build(resources), resources)
        else:
            await run_worker_process(name, build(resources), resources)


@asynccontextmanager
async def open_resources(settings: CommonSettings) -> AsyncIterator[Resources]:
    """What a process of one service opens: the log, keys, an id; closed on the way out."""
    clock = SystemClock()
    database_url = _database_url(settings)
    secret_key = read_secret_key(settings)
    process_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        log = open_log(settings.log_url, database_url, clock, process_id)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    await log.start()
    try:
        yield Resources(clock, settings, database_url, log, secret_key, process_id)
    finally:
        await log.stop()


async def run_api(name: str, service: Service, resources: Resources) -> None:
    """Serve the service's routes until SIGTERM; its workers run elsewhere."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with _app(name, service, resources) as app:
        await serve(app, resources.settings.host, resources.settings.port, stop)


async def run_worker_process(name: str, service: Service, resources: Resources) -> None:
    """Run the service's workers until SIGTERM, with health and metrics on the port."""
    if not service.workers:
        raise ConfigurationError(f"{name} has no workers to run; its API needs none")
    stop, up = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop)

    async def work() -> None:
        await up.wait()
        try:
            await run_workers(service.workers, stop)
        finally:
            stop.set()

    host, port = resources.settings.host, resources.settings.port
    async with _app(name, replace(service, routers=()), resources) as app:
        working = asyncio.create_task(work())
        try:
            await serve(app, host, port, stop, ready=lambda _: up.set())
        finally:
            stop.set()
            if not up.is_set():
                working.cancel()
            await asyncio.wait({working})
        await working


@asynccontextmanager
async def _app(name: str, service: Service, resources: Resources) -> AsyncIterator[FastAPI]:
    keys = Database(resources.database_url, f"headway_{name}_api", pool_size=2, statement_timeout=3)
    authenticator = Authenticator(keys, resources.key_for("api-keys"), resources.clock)
    try:
        yield create_app(
            [service],
            authenticator=authenticator,
            cursors=Cursors(resources.key_for("cursors")),
            clock=resources.clock,
            title=f"Headway {name}",
        )
    finally:
        await keys.close()


def _database_url(settings: CommonSettings) -> str:
    if not settings.database_url:
        raise ConfigurationError(
            "HEADWAY_DATABASE_URL is not set: a service by itself needs a PostgreSQL"
            " (`make run` starts everything with an embedded one)"
        )
    return settings.database_url


def read_secret_key(settings: CommonSettings) -> bytes:
    """The secret that all keys derive from: the setting, else the file of the data directory."""
    file = secret_key_file(settings.data_dir)
    secret = settings.secret_key.get_secret_value()
    if not secret and file.exists():
        secret = file.read_text("utf-8").strip()
    if not secret:
        raise ConfigurationError(f"HEADWAY_SECRET_KEY is not set and {file} does not exist")
    if len(secret) < MIN_SECRET:
        raise ConfigurationError(f"the secret key is shorter than {MIN_SECRET} characters")
    return secret.encode()


def secret_key_file(data_dir: Path) -> Path:
    return data_dir / "secret-key"


def make_secret_key(data_dir: Path) -> None:
    """Write a new secret key for its owner's eyes only, unless there is one."""
    file = secret_key_file(data_dir)
    if file.exists():
        return
    draft = file.with_name(f".secret-key-{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(secrets.token_urlsafe(48))
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, file)  # the first of two starters wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
