"""Three brokers that keep copies of each other's partitions, for tests that lose one or two."""

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.common.eventlog.kafka_broker import KafkaBroker, free_port
from libs.common.eventlog.kafka_jars import java
from tests.e2e.processes.stack import until

_ID = "AQIDBAUGBwgJCgsMDQ4PEA"
"""The cluster's: 16 bytes as base64."""
_PROPERTIES = """process.roles={roles}
node.id={number}
listeners={listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.voters={voters}
log.dirs={logs}
offsets.topic.replication.factor=3
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.segment.bytes=16777216
"""


class Node(KafkaBroker):
    """One of the brokers; `controllers` have the ports of those that vote, by their numbers."""

    def __init__(self, folder: Path, number: int, controllers: dict[int, int]) -> None:
        super().__init__(folder)
        self.number, self._controllers = number, controllers

    def _prepared(self) -> Sequence[str]:
        properties, logs = self._folder / "server.properties", self._folder / "logs"
        properties.write_text(self._properties(logs))
        if not (logs / "meta.properties").exists():
            tool = java("kafka.tools.StorageTool", "format", "-t", _ID, "-c", str(properties))
            subprocess.run(tool, check=True, capture_output=True)
        return java("kafka.Kafka", str(properties))

    def _properties(self, logs: Path) -> str:
        votes = self._controllers.get(self.number)
        own = f",CONTROLLER://127.0.0.1:{votes}" if votes else ""
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in self._controllers.items())
        return _PROPERTIES.format(
            roles="broker,controller" if votes else "broker", number=self.number, port=self.port,
            listeners=f"PLAINTEXT://127.0.0.1:{self.port}{own}", voters=voters, logs=logs,
        )  # fmt: skip


@dataclass
class Cluster:
    """Brokers 1, 2 and 3; the first one is there for questions, and is not to be lost."""

    nodes: Sequence[Node]
    voting: Sequence[int]
    """The numbers of those that are controllers, too."""

    @property
    def server(self) -> str:
        return ",".join(node.server for node in self.nodes)

    def await_brokers(self, count: int) -> None:
        """Until so many take part, as the first one tells."""
        until(f"{count} brokers take part", lambda: len(self._told("brokers")) == count, 60, 0.2)

    def await_in_sync(self, topic: str, copies: int) -> None:
        """Until each partition of the topic has just so many copies that are in sync."""
        until(f"{copies} in sync", lambda: self._in_sync(topic) == {copies}, 60, 0.2)

    def _in_sync(self, topic: str) -> set[int]:
        found = (held for held in self._told("topics") if held["topic"] == topic)
        return {len(place["isr"]) for held in found for place in held["partitions"]}

    def _told(self, part: str) -> Any:
        """Brokers or topics of the cluster; nothing while nobody can say."""
        return asyncio.run(_metadata(self.nodes[0].server)).get(part, ())


async def _metadata(server: str) -> dict[str, Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    try:
        async with asyncio.timeout(5):
            await admin.start()
            described = await admin.describe_cluster()
            return {**described, "topics": await admin.describe_topics()}
    except (KafkaError, OSError, TimeoutError):
        return {}
    finally:
        await admin.close()


@contextmanager
def three_brokers(folder: Path, voting: Sequence[int]) -> Iterator[Cluster]:
    """Started; `voting` are those that are controllers, too. Raises `KafkaMissing`."""
    controllers = {number: free_port() for number in voting}
    nodes = []
    for number in (1, 2, 3):
        own = folder / str(number)
        own.mkdir()
        nodes.append(Node(own, number, controllers))
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.await_port(240)
        cluster = Cluster(nodes, voting)
        cluster.await_brokers(len(nodes))
        yield cluster
    finally:
        for node in nodes:
            node.kill()
