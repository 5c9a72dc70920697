"""The one table of processes: `make stack`, compose and Prometheus all follow it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from libs.common.eventlog.kafka_broker import free_port
from libs.common.process.commands import API, COMMANDS

APIS = 2
"""API processes of each service, so that one answers while the other restarts."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process: `python -m services.<service> <command>`; `number` tells equal ones apart."""

    service: str
    command: str
    number: int | None = None

    @property
    def name(self) -> str:
        return self.role if self.number is None else f"{self.role}-{self.number}"

    @property
    def role(self) -> str:
        """What processes that do the same share; the gateway has no service of its own."""
        return self.command if self == GATEWAY else f"{self.service}-{self.command}"

    @property
    def module(self) -> str:
        return f"services.{self.service}"

    @property
    def is_api(self) -> bool:
        return self.command == API


GATEWAY = Part("standalone", "gateway")


def _parts() -> Iterator[Part]:
    for service in COMMANDS:
        yield from (Part(service, API, number) for number in range(1, APIS + 1))
    for service, commands in COMMANDS.items():
        yield from (Part(service, command) for command in commands)
    yield GATEWAY


PARTS: Sequence[Part] = tuple(_parts())
"""In the order of starting: APIs, workers, the gateway. Stopping has the reverse order."""


def ports(first: int) -> Mapping[Part, int]:
    """A port for each process: the gateway has `first`, the others follow it; 0: any free ones."""
    inner = [part for part in PARTS if part != GATEWAY]
    numbered = (GATEWAY, *inner)
    if not first:
        return {part: free_port() for part in numbered}
    return {part: first + number for number, part in enumerate(numbered)}


def addresses(urls: Mapping[Part, str]) -> str:
    """`HEADWAY_GATEWAY_PROCESSES`: every process that the gateway sends to or looks at."""
    return ",".join(f"{part.name}={url}" for part, url in urls.items() if part != GATEWAY)
