"""The table of processes as programs to run on this machine."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from libs.common.eventlog.kafka_broker import listens, prepared
from services.standalone.stack.child import Program, answers
from services.standalone.stack.table import GATEWAY, PARTS, Part, addresses

KAFKA = "kafka"
DRAIN_SECONDS = 2.5
"""How long an API that was told to stop goes on answering; the gateway notices in less."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the programs run: what they share, and each one's port.

    `listening` is the gateway's socket: the launcher keeps it open, so that connections wait and
    are not refused while the gateway restarts.
    """

    environment: Mapping[str, str]
    ports: Mapping[Part, int]
    listening: int

    def ranks(self) -> Sequence[Sequence[Program]]:
        """APIs, workers, the gateway: each rank starts together, and stops before the earlier."""
        workers = [part for part in PARTS if not part.is_api and part != GATEWAY]
        ranks = ([part for part in PARTS if part.is_api], workers, [GATEWAY])
        return [[self._program(part) for part in rank] for rank in ranks]

    def _program(self, part: Part) -> Program:
        own = {"HEADWAY_PORT": str(self.ports[part]), "HEADWAY_DRAIN_SECONDS": str(DRAIN_SECONDS)}
        if part == GATEWAY:
            urls = {one: f"http://127.0.0.1:{port}" for one, port in self.ports.items()}
            own["HEADWAY_GATEWAY_PROCESSES"] = addresses(urls)
            own["HEADWAY_GATEWAY_SOCKET"] = str(self.listening)
        return Program(
            part.name,
            (sys.executable, "-m", part.module, part.command),
            {**self.environment, **own},
            partial(answers, self.ports[part]),
            (self.listening,) if part == GATEWAY else (),
        )


def kafka(folder: Path, port: int, controller: int) -> Program:
    """The broker; raises `KafkaMissing` where it cannot run."""
    folder.mkdir(exist_ok=True, mode=0o700)
    return Program(KAFKA, prepared(folder, port, controller), {}, partial(listens, port))
