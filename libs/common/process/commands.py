"""Which commands each service has, and which of its workers run in which of them."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.runtime import Service, Worker
from libs.common.settings import CommonSettings


class ConfigurationError(Exception):
    """The process cannot start as configured; the message says what to set."""


API, MIGRATE, WORKER = "api", "migrate", "worker"
"""`worker` runs every worker of a service in one process, for small installations."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A command that one service has beside its processes; `run` answers the exit status."""

    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[CommonSettings, Namespace], Coroutine[Any, Any, int]]


Named = tuple[str, ...]
REST: Named = ()
"""All workers that no other command of the service names."""

COMMANDS: Mapping[str, Mapping[str, Named]] = {
    "ingest": {"consumer": REST},
    "funnel": {"consumer": REST, "relay": ("funnel-relay",)},
    "alerts": {
        "consumer": ("alerts-loop",),
        "relay": ("alerts-relay",),
        "scheduler": REST,
    },
    "reporting": {},
}
"""The worker processes of each service: the command, and the names of the workers that it runs."""


def commands_of(service: str) -> Sequence[str]:
    """Every command of a service, in the order in which a help text names them."""
    workers = tuple(COMMANDS[service])
    return (API, *workers, *((WORKER,) if workers else ()), MIGRATE)


def workers_of(service: Service, command: str) -> Sequence[Worker]:
    """The workers that a worker command runs; raises `ConfigurationError` if there are none."""
    chosen = [worker for worker in service.workers if command in (WORKER, home(service, worker))]
    if not chosen:
        raise ConfigurationError(f"{service.name} has no workers to run as {command!r}")
    return chosen


def home(service: Service, worker: Worker) -> str | None:
    """The command that runs a worker."""
    table = COMMANDS[service.name]
    named = [command for command, names in table.items() if worker.name in names]
    rest = [command for command, names in table.items() if names == REST]
    return next(iter((*named, *rest)), None)
