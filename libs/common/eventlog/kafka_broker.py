"""A real Apache Kafka as a plain process: KRaft, one node, for one machine and for tests."""

import base64
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from libs.common.eventlog.kafka_jars import KafkaMissing, java

_PROPERTIES = """process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
num.partitions=1
log.segment.bytes=16777216
"""


def free_port() -> int:
    """A port that stays free while a broker is away: not one that the system hands out.

    From those, somebody's outgoing connection may take it meanwhile, even a client's that looks
    for the broker: it would be connected to itself.
    """
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def listens(port: int) -> bool:
    """Whether something on this machine takes connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prepared(folder: Path, port: int, controller: int) -> Sequence[str]:
    """The command that runs the broker of a folder, which is formatted once.

    The ports may differ from those of an earlier run. Raises `KafkaMissing`.
    """
    properties, logs = folder / "server.properties", folder / "logs"
    properties.write_text(_PROPERTIES.format(port=port, controller=controller, logs=logs))
    if not (logs / "meta.properties").exists():
        format_ = java("kafka.tools.StorageTool", "format", "-t", _cluster_id(),
                       "-c", str(properties))  # fmt: skip
        subprocess.run(format_, check=True, capture_output=True)
    return java("kafka.Kafka", str(properties))


class KafkaBroker:
    """One broker in `folder`; `kill`, `pause` and `start` again for tests of damage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self._controller = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{self.server}"

    def start(self, seconds: float = 60) -> None:
        """Format the folder once, start, and wait until the port answers."""
        self.launch()
        self.await_port(seconds)

    def launch(self) -> None:
        """The same without the wait: brokers of one cluster may wait for each other."""
        command = self._prepared()
        with (self._folder / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def _prepared(self) -> Sequence[str]:
        return prepared(self._folder, self.port, self._controller)

    def await_port(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise KafkaMissing(f"the broker did not start: {self._said()}")
            if listens(self.port):
                return
            time.sleep(0.05)
        raise KafkaMissing(f"the broker did not answer within {seconds} s: {self._said()}")

    def _said(self) -> str:
        return (self._folder / "broker.log").read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> bool:
        """SIGTERM; whether that was enough to end it."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        return True

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def _cluster_id() -> str:
    """22 characters; not beginning with `-`, which the tool would take for an option."""
    while (drawn := base64.urlsafe_b64encode(secrets.token_bytes(16))[:22].decode())[0] == "-":
        continue
    return drawn
