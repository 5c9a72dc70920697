"""The files of `deploy/` as data."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.architecture.tree import ROOT

DEPLOY = ROOT / "deploy"
APP, DATA = "/app", "/data"


class GivenTwice(Exception):
    """A key stands twice in one mapping: Compose refuses that, PyYAML takes the last one."""


def load(text: str) -> Any:
    _refuse_twice(yaml.compose(text))
    return yaml.safe_load(text)


def _refuse_twice(node: Any) -> None:
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise GivenTwice(f"{twice} in line {node.start_mark.line + 1}")
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        for part in child if isinstance(child, tuple) else (child,):
            _refuse_twice(part)


@cache
def read(name: str) -> Any:
    """A YAML file of `deploy/`."""
    return load((DEPLOY / name).read_text("utf-8"))


def services() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = read("docker-compose.yml")["services"]
    return found


def ours() -> Mapping[str, Mapping[str, Any]]:
    """Services of our own image."""
    return {name: one for name, one in services().items() if "build" in one}


def service_of(one: Mapping[str, Any]) -> str:
    """The `services.<name>` that a container of ours runs."""
    return str(one["build"]["args"]["SERVICE"])


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile."""

    instruction: str
    value: str

    @property
    def words(self) -> Sequence[str]:
        return shlex.split(self.value)

    @property
    def flags(self) -> Mapping[str, str]:
        flags = (word[2:] for word in self.value.split() if word.startswith("--"))
        return dict(flag.partition("=")[::2] for flag in flags)

    @property
    def paths(self) -> Sequence[str]:
        return [word for word in self.words if not word.startswith("--")]

    @property
    def arguments(self) -> Sequence[str]:
        """Of the exec form; nothing of the shell form."""
        _, bracket, rest = self.value.partition("[")
        found: Sequence[str] = json.loads(bracket + rest) if bracket else []
        return found


def steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, value = line.strip().partition(" ")
        yield Step(instruction, value.strip())


def stages(text: str) -> Sequence[Sequence[Step]]:
    """Instructions by stage; each begins with its FROM."""
    found: list[list[Step]] = []
    for step in steps(text):
        if step.instruction == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text("utf-8")


def last(name: str) -> Step:
    """The instruction of that name that holds in the finished image."""
    return [step for step in stages(dockerfile())[-1] if step.instruction == name][-1]


def image_environment() -> Mapping[str, str]:
    """ENV of the finished image."""
    pairs = (word.partition("=") for s in stages(dockerfile())[-1] for word in s.words
             if s.instruction == "ENV")  # fmt: skip
    return {name: value for name, _, value in pairs}
