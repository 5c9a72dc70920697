"""Rounds of all contestants one after the other, so that a noisy minute hits all of them."""

import asyncio
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

import orjson

from libs.common.eventlog.kafka_jars import KafkaMissing
from tests.bench.ingest import servers, truth
from tests.bench.ingest.client import Outcome, Task
from tests.bench.ingest.requests import BATCH
from tests.bench.ingest.servers import BARE, ECHO, KAFKA, POSTGRES, STANDALONE, Server
from tests.e2e.processes.stack import ROOT

SIZES = (1, BATCH)
CONNECTIONS = 256
WARM_UP = 1.0
LONGEST = 120.0
"""Seconds beyond its time that a load may take until its last answer."""
Say = Callable[[str], None]


@dataclass
class Measured:
    """By contestant and size of a request, one outcome per round."""

    outcomes: dict[tuple[str, int], list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    cpu: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of the server's processor time per event."""
    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[str] = field(default_factory=list)
    """A bench with faults says nothing."""

    def rates(self, name: str, size: int) -> list[float]:
        """Events per second."""
        return [told.events / told.seconds for told in self.outcomes[name, size]]

    def note(self, server: Server, size: int, told: Outcome, cpu: float) -> None:
        self.outcomes[server.name, size].append(told)
        self.cpu[server.name, size].append(cpu / max(1, told.accepted))
        self.accepted[server.name] += told.accepted


@dataclass
class Rounds:
    """Loads of `seconds` each; `wanted` are the servers that take in; Kafka may be missing."""

    seconds: float
    say: Say
    wanted: Sequence[str] = (STANDALONE, POSTGRES, KAFKA)
    measured: Measured = field(default_factory=Measured)
    _runs: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, rounds: int) -> Measured:
        with tempfile.TemporaryDirectory(prefix="hwi") as folder, ExitStack() as opened:
            fixed = [opened.enter_context(servers.plain(name)) for name in (ECHO, BARE)]
            fixed += self._by_themselves(opened, Path(folder))
            for number in range(rounds):
                self._round(number, fixed, Path(folder) / f"round-{number}")
            for server in fixed:
                self._compare(server)
        return self.measured

    def _by_themselves(self, opened: ExitStack, folder: Path) -> Iterator[Server]:
        for name in (name for name in self.wanted if name != STANDALONE):
            (folder / name).mkdir()
            try:
                yield opened.enter_context(servers.by_itself(name, folder / name))
            except KafkaMissing as missing:
                self.say(f"no Kafka: {missing}")

    def _round(self, number: int, fixed: Sequence[Server], folder: Path) -> None:
        """The one that also folds is new in each round: what it still has to fold would slow down
        the others."""
        for server in fixed:
            self._load(number, server)
        if STANDALONE in self.wanted:
            folder.mkdir()
            with servers.standalone(folder) as server:
                self._load(number, server)
                self._compare(server)

    def _load(self, number: int, server: Server) -> None:
        for size in SIZES:
            task = Task(server.port, server.path(size), size, next(self._runs), self.seconds,
                        WARM_UP, CONNECTIONS, server.key)  # fmt: skip
            before = server.cpu()
            told = sent(task)
            self.measured.note(server, size, told, server.cpu() - before)
            rate, name = told.events / told.seconds, f"{server.name}, {size} a request"
            self.say(f"round {number + 1}: {name}: {rate:,.0f} events/s, {told.again} again")
            if told.refused:
                self.measured.faults.append(f"{name}: refused {told.refused}")

    def _compare(self, server: Server) -> None:
        """Whether the log has each event that a 202 was said of, and no other."""
        if not server.ingests:
            return
        measured, name = self.measured, server.name
        accepted = measured.accepted[name] - measured.compared[name]
        measured.compared[name] += accepted
        found = asyncio.run(truth.kept(server, accepted))
        if found != accepted:
            measured.faults.append(f"{name}: {accepted} accepted, {found} in the log")
        measured.kept[name] += found


def sent(task: Task) -> Outcome:
    """The load of a task, by a process of its own."""
    command = (sys.executable, "-m", "tests.bench.ingest.client", orjson.dumps(asdict(task)))
    limit = task.seconds + task.warm_up + LONGEST
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=limit)
    return Outcome(**orjson.loads(done.stdout))
