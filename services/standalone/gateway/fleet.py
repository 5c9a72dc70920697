"""The processes behind the gateway, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from libs.common.process.commands import API, COMMANDS, ConfigurationError

UNKNOWN = {"process": "was not asked yet"}


@dataclass(eq=False)
class Process:
    """`name` is `<service>-<command>[-<number>]`. `checks` says why it is not ready."""

    name: str
    url: str
    ready: bool = False
    checks: Mapping[str, str] = field(default_factory=lambda: UNKNOWN)
    warnings: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        return self.name.split("-")[0]

    @property
    def is_api(self) -> bool:
        return self.name.split("-")[1] == API

    @property
    def faults(self) -> Sequence[str]:
        return [f"{name}: {text}" for name, text in self.checks.items()]

    @property
    def warned(self) -> Sequence[str]:
        return [f"{name}: {text}" for name, text in self.warnings.items()]

    def is_well(self, warnings: Mapping[str, str]) -> None:
        self.ready, self.checks, self.warnings = True, {}, warnings

    def is_not(self, checks: Mapping[str, str]) -> None:
        self.ready, self.checks, self.warnings = False, checks, {}


class Fleet:
    """Every process of the installation."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self.processes = processes
        self._turn = count()

    def apis(self, service: str) -> Sequence[Process]:
        """The service's API processes in the order in which to try them: ready ones in turn, then
        the others, of which nobody knows better."""
        apis = [process for process in self.processes if process.service == service]
        apis = [process for process in apis if process.is_api]
        start = next(self._turn) % (len(apis) or 1)
        turned = [*apis[start:], *apis[:start]]
        return sorted(turned, key=lambda process: not process.ready)

    def is_served(self, service: str) -> bool:
        """Whether somebody answers for the service."""
        return any(p.ready for p in self.processes if p.service == service and p.is_api)


def fleet_of(text: str) -> Fleet:
    """`HEADWAY_GATEWAY_PROCESSES` as a fleet; raises `ConfigurationError`."""
    return Fleet([_process(item.strip()) for item in text.split(",") if item.strip()])


def _process(item: str) -> Process:
    name, _, url = item.partition("=")
    parts = name.split("-")
    known = len(parts) > 1 and parts[0] in COMMANDS
    if not known or urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
        raise ConfigurationError(
            f"HEADWAY_GATEWAY_PROCESSES has {item!r}; it takes name=http://host:port, such as"
            " ingest-api-1=http://127.0.0.1:8081"
        )
    return Process(name, url.rstrip("/"))
