"""What no Dockerfile of ours does, and no service of a compose file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.architecture.deploy.files import Step, stages

_PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(?:\.\d+)?(?:-[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|PRIVATE")
_REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
_FETCH = re.compile(r"\b(?:curl|wget|git|apt|apt-get|apk|sudo)\b")
_BANNED = ("privileged", "network_mode", "pid", "ipc", "devices", "container_name")
_EXEC_FORM = ("CMD", "ENTRYPOINT", "HEALTHCHECK")


def is_pinned(image: str) -> bool:
    """A full version: neither `latest`, nor nothing, nor a tag that moves with every minor."""
    return _PINNED.fullmatch(image) is not None


def dockerfile_faults(text: str) -> list[str]:
    made = stages(text)
    found = [fault for stage in made for step in stage for fault in _step_faults(step, made)]
    return found + list(_final_faults(made[-1]))


def _step_faults(step: Step, made: Any) -> Iterator[str]:
    names = {stage[0].words[-1] for stage in made if " AS " in stage[0].value}
    match step.instruction:
        case "FROM" if step.words[0] not in names and not is_pinned(step.words[0]):
            yield f"{step.words[0]} is not pinned"
        case "ADD":
            yield "ADD fetches and unpacks; COPY does neither"
        case "RUN":
            yield from _run_faults(step.value)
        case "ENV" | "ARG" if _SECRET.search(step.value):
            yield f"{step.instruction} {step.value} bakes a secret in"
        case "COPY" if step.paths[0] in {".", "./", "/"}:
            yield "COPY of everything"
        case "WORKDIR" if not step.value.startswith("/"):
            yield "a relative WORKDIR"
    if step.instruction in _EXEC_FORM and step.value != "NONE" and not step.arguments:
        yield f"{step.instruction} in the shell form does not pass signals on"


def _run_faults(command: str) -> Iterator[str]:
    if found := _FETCH.search(command):
        yield f"RUN uses {found[0]}"
    if "pip install" in command:
        for needed in ("--require-hashes", "--only-binary=:all:"):
            if needed not in command:
                yield f"pip installs without {needed}"


def _final_faults(stage: Any) -> Iterator[str]:
    users = [step.value for step in stage if step.instruction == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        yield "the image does not run as a numeric user other than root"
    for step in stage:
        if step.instruction == "COPY" and "from" not in step.flags:
            yield "the last stage copies from the tree"
        if step.instruction == "RUN" and "pip" in step.value.split():
            yield "the last stage installs"
    if not any(step.instruction == "HEALTHCHECK" for step in stage):
        yield "no HEALTHCHECK"


def compose_faults(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{name}: {fault}" for name, one in services.items() for fault in _service_faults(one)]


def _service_faults(one: Mapping[str, Any]) -> Iterator[str]:
    if not is_pinned(one["image"]):
        yield f"{one['image']} is not pinned"
    if one.get("cap_drop") != ["ALL"] or one.get("security_opt") != ["no-new-privileges:true"]:
        yield "keeps or may gain privileges"
    if not {"restart", "healthcheck", "logging"} <= one.keys():
        yield "has no restart, healthcheck or logging"
    yield from (f"has {key}" for key in one if key in _BANNED)
    if any("docker.sock" in volume for volume in one.get("volumes", ())):
        yield "reaches the container engine"
    yield from _environment_faults(one.get("environment", {}))


def _environment_faults(environment: Mapping[str, Any]) -> Iterator[str]:
    for name, value in environment.items():
        if not isinstance(value, str):
            yield f"{name} is no text"
        elif _SECRET.search(name) and not _REQUIRED.fullmatch(value):
            yield f"{name} is not asked of whoever starts it"
